"""The node's services over its parts."""

from dataclasses import dataclass

from aiohttp import web

from daemons.workspace.composition.outside import Parts
from daemons.workspace.domain.containers import WORKDIR, Limits
from daemons.workspace.services.terminals import Keeping, Terminals
from daemons.workspace.services.workspaces import Making, Outside, Workspaces
from daemons.workspace.settings import WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    workspaces: Workspaces
    terminals: Terminals

    async def recover(self, _app: web.Application) -> None:
        """Before the first request: what the last process left is known."""
        await self.workspaces.recover()


def make_services(settings: WorkspaceSettings, parts: Parts) -> Services:
    """The services."""
    outside = Outside(parts.containers, parts.images, parts.homes, parts.records, parts.ports)
    workspaces = Workspaces(outside, _making(settings), parts.clock)
    return Services(workspaces, Terminals(workspaces, parts.programs, workspaces, Keeping()))


def _making(settings: WorkspaceSettings) -> Making:
    return Making(
        node=settings.node_name,
        image=settings.image,
        pull=settings.image_pull_policy,
        container_port=settings.container_port,
        port_base=settings.host_port_base,
        port_count=settings.host_port_count,
        uid=settings.uid,
        limits=Limits(settings.memory_bytes, settings.cpus, settings.pids, settings.open_files, settings.tmp_bytes),
        environment={"HOME": f"{WORKDIR}/.home", "LANG": "C.UTF-8"},
    )
