"""The node's services over its parts."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from aiohttp import web

from daemons.workspace.composition.databases import development
from daemons.workspace.composition.outside import Parts
from daemons.workspace.composition.packages import sources
from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.containers import WORKDIR, Limits
from daemons.workspace.domain.idle import Patience
from daemons.workspace.domain.launch import Surroundings
from daemons.workspace.ports.databases import NoEnvironment
from daemons.workspace.services.admission import Admission
from daemons.workspace.services.databases import Development
from daemons.workspace.services.execs import Execs
from daemons.workspace.services.figures import Figures
from daemons.workspace.services.heartbeat import Heartbeat, Self
from daemons.workspace.services.idle import Idle
from daemons.workspace.services.previews import Previews, Sockets
from daemons.workspace.services.runlogs import RunLogReader
from daemons.workspace.services.runs import Rules, Runs
from daemons.workspace.services.terminals import Keeping, Terminals
from daemons.workspace.services.workspaces import Making, Outside, Workspaces
from daemons.workspace.settings import WorkspaceSettings

#: How old a figure of a user's disk may be: a file system of its own tells at once, plain folders have to be walked.
_DISK_SECONDS: Final = 60.0
_WALK_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    workspaces: Workspaces
    terminals: Terminals
    runs: Runs
    logs: RunLogReader
    admission: Admission
    previews: Previews
    idle: Idle
    figures: Figures
    execs: Execs
    heartbeat: Heartbeat | None
    databases: Development | None

    async def recover(self, _app: web.Application) -> None:
        """Before the first request: what the last process left is known."""
        await self.workspaces.recover()
        await self.admission.recover()
        await self.runs.recover()


def seen_at(settings: WorkspaceSettings) -> Addresses:
    """Where visitors see previews."""
    return Addresses(f"{settings.preview_base_url}{settings.preview_path_prefix}", settings.preview_host_url or "")


def make_services(settings: WorkspaceSettings, parts: Parts) -> Services:
    """The services."""
    outside = Outside(parts.containers, parts.images, parts.homes, parts.records, parts.ports)
    workspaces = Workspaces(outside, _making(settings), parts.clock)
    databases = development(settings, parts.database, parts.clock)
    environment = databases or NoEnvironment()
    runs = Runs(workspaces, parts.runs, _rules(settings), parts.clock, environment)
    admission = Admission(parts.rules, parts.pass_key, parts.clock)
    sockets = Sockets(parts.runs.listeners, parts.ways, settings.container_port)
    patience = Patience(settings.idle_freeze_minutes, settings.idle_stop_minutes)
    terminals = Terminals(workspaces, parts.programs, workspaces, Keeping(), environment)
    idle = Idle(workspaces, runs, parts.meters, patience, parts.clock)
    disk_seconds = _DISK_SECONDS if parts.machine.quota == "image" else _WALK_SECONDS
    return Services(
        workspaces,
        terminals,
        runs,
        RunLogReader(parts.runs.logs, runs),
        admission,
        Previews(workspaces, runs, admission, sockets, settings.preview_hold_seconds),
        idle,
        Figures(workspaces, runs, terminals, idle, parts.homes, parts.clock, disk_seconds),
        Execs(workspaces, parts.programs),
        Heartbeat(parts.registry, workspaces, parts.machine, _self(settings)) if parts.registry else None,
        databases,
    )


def _self(settings: WorkspaceSettings) -> Self:
    addresses = settings.nginx_base_url, settings.node_api_base_url
    return Self(settings.node_name, *addresses, version("funai-platform"), settings.beat_seconds)


def _rules(settings: WorkspaceSettings) -> Rules:
    around = Surroundings(
        container_port=settings.container_port,
        sources=sources(settings),
        seen_at=seen_at(settings),
    )
    return Rules(around, settings.starting_seconds, settings.logs_kept)


def _timezone(settings: WorkspaceSettings) -> dict[str, str]:
    return {"TZ": settings.timezone} if settings.timezone else {}


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
        environment={
            "HOME": f"{WORKDIR}/.home",
            "LANG": "C.UTF-8",
            **_timezone(settings),
            **sources(settings).variables,
        },
    )
