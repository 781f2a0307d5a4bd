"""Puts the files of a node together."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from daemons.kit.clock import Clock
from daemons.kit.tasks import every
from daemons.workspace.adapters.confined import Confinement
from daemons.workspace.adapters.files_watching import Watcher
from daemons.workspace.adapters.trees import Disk, DiskTrees
from daemons.workspace.adapters.upload_records import UploadFiles
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.http.files import FileRoutes
from daemons.workspace.http.files_bodies import Carriers
from daemons.workspace.http.files_changes import ChangeRoutes
from daemons.workspace.http.files_transfers import DownloadRoutes, UploadRoutes
from daemons.workspace.http.files_uploads import UploadPartRoutes
from daemons.workspace.ports import Activity, HomeError, RecordError
from daemons.workspace.ports.files import Ensure, Folders, Rooms
from daemons.workspace.services.files import Files
from daemons.workspace.services.transfers import Transfers
from daemons.workspace.services.uploads import Uploads
from daemons.workspace.services.workspaces import Workspaces

_SWEEP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class FilePorts:
    """What files need of the rest of the node."""

    homes: Folders
    activity: Activity
    ensure: Ensure
    clock: Clock
    rooms: Rooms | None = None


@dataclass(frozen=True, slots=True)
class ContainerOf:
    """The port `Ensure` over the workspaces' life."""

    workspaces: Workspaces

    async def ensured(self, user_id: str) -> None:
        """The user's container runs."""
        await self.workspaces.ensure(user_id)


@dataclass(frozen=True, slots=True)
class FileServices:
    """What others need of files."""

    disk: Disk
    uploads: Uploads


def add_files(wiring: Wiring, ports: FilePorts) -> FileServices:
    """The routes of files, and what ends with the application."""
    settings = wiring.settings
    disk = Disk(ports.homes, Confinement.of_this_kernel(settings.uid), ports.rooms)
    files = Files(DiskTrees(disk), ports.activity, ports.ensure)
    transfers = Transfers(files)
    carriers = Carriers(wiring.signer, settings.form_bytes, settings.upload_bytes)
    uploads = Uploads(files, UploadFiles(settings.state_root / "uploads"), ports.clock, settings.upload_bytes)
    parts = UploadPartRoutes(uploads, carriers)
    watcher = Watcher(disk)
    wiring.serve(FileRoutes(files, str(settings.host_root)).table(), ChangeRoutes(files, watcher).table())
    wiring.serve(parts.table(), DownloadRoutes(transfers).table())
    wiring.serve_bodies(parts.body_table(), UploadRoutes(transfers, carriers).table())

    async def end_streams(_app: web.Application) -> None:
        watcher.end()

    async def closing(_app: web.Application) -> AsyncIterator[None]:
        yield
        disk.close()

    async def sweep() -> None:
        await every(_SWEEP_SECONDS, uploads.sweep, expected=(RecordError, HomeError))

    wiring.app.on_shutdown.append(end_streams)
    wiring.app.cleanup_ctx.append(closing)
    wiring.loop(sweep)
    return FileServices(disk, uploads)
