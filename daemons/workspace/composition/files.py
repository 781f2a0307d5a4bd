"""Puts the files of a node together."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from daemons.kit.auth import Access
from daemons.workspace.adapters.confined import Confinement
from daemons.workspace.adapters.trees import Disk, DiskTrees
from daemons.workspace.http.files import FileRoutes
from daemons.workspace.http.files_bodies import Carriers
from daemons.workspace.http.files_transfers import DownloadRoutes, UploadRoutes
from daemons.workspace.http.signed import Signer
from daemons.workspace.ports import Activity
from daemons.workspace.ports.files import Ensure, Folders
from daemons.workspace.services.files import Files
from daemons.workspace.services.transfers import Transfers
from daemons.workspace.services.workspaces import Workspaces
from daemons.workspace.settings import WorkspaceSettings


@dataclass(frozen=True, slots=True)
class FilePorts:
    """What files need of the rest of the node."""

    homes: Folders
    activity: Activity
    ensure: Ensure


@dataclass(frozen=True, slots=True)
class ContainerOf:
    """The port `Ensure` over the workspaces' life."""

    workspaces: Workspaces

    async def ensured(self, user_id: str) -> None:
        """The user's container runs."""
        await self.workspaces.ensure(user_id)


def add_files(
    app: web.Application, access: Access, signer: Signer, settings: WorkspaceSettings, ports: FilePorts
) -> None:
    """The routes of files, and what ends with the application."""
    disk = Disk(ports.homes, Confinement.of_this_kernel(settings.uid))
    files = Files(DiskTrees(disk), ports.activity, ports.ensure)
    transfers = Transfers(files)
    carriers = Carriers(signer, settings.form_bytes, settings.upload_bytes)
    app.add_routes(access.routes(FileRoutes(files, str(settings.host_root)).table(), signer.gate()))
    app.add_routes(access.routes(UploadRoutes(transfers, carriers).table(), signer.body_gate()))
    app.add_routes(access.routes(DownloadRoutes(transfers).table(), signer.gate()))

    async def closing(_app: web.Application) -> AsyncIterator[None]:
        yield
        disk.close()

    app.cleanup_ctx.append(closing)
