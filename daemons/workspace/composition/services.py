"""The node's services over its parts."""

from dataclasses import dataclass

from aiohttp import web

from daemons.workspace.composition.outside import Parts
from daemons.workspace.domain.containers import WORKDIR, Limits
from daemons.workspace.domain.idle import Patience
from daemons.workspace.domain.launch import Surroundings
from daemons.workspace.services.idle import Idle
from daemons.workspace.services.previews import Previews
from daemons.workspace.services.runlogs import RunLogReader
from daemons.workspace.services.runs import Rules, Runs
from daemons.workspace.services.terminals import Keeping, Terminals
from daemons.workspace.services.workspaces import Making, Outside, Workspaces
from daemons.workspace.settings import WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    workspaces: Workspaces
    terminals: Terminals
    runs: Runs
    logs: RunLogReader
    previews: Previews
    idle: Idle

    async def recover(self, _app: web.Application) -> None:
        """Before the first request: what the last process left is known."""
        await self.workspaces.recover()
        await self.runs.recover()


def make_services(settings: WorkspaceSettings, parts: Parts) -> Services:
    """The services."""
    outside = Outside(parts.containers, parts.images, parts.homes, parts.records, parts.ports)
    workspaces = Workspaces(outside, _making(settings), parts.clock)
    runs = Runs(workspaces, parts.runs, _rules(settings), parts.clock)
    patience = Patience(settings.idle_freeze_minutes, settings.idle_stop_minutes)
    return Services(
        workspaces,
        Terminals(workspaces, parts.programs, workspaces, Keeping()),
        runs,
        RunLogReader(parts.runs.logs, runs),
        Previews(
            workspaces, runs, parts.runs.listeners, parts.ways, settings.container_port, settings.preview_hold_seconds
        ),
        Idle(workspaces, runs, parts.meters, patience, parts.clock),
    )


def _rules(settings: WorkspaceSettings) -> Rules:
    around = Surroundings(
        container_port=settings.container_port,
        npm_registry=settings.npm_registry,
        pip_index=settings.pip_index,
        cache_megabytes=settings.npm_cache_megabytes,
    )
    return Rules(around, settings.starting_seconds, settings.logs_kept)


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
