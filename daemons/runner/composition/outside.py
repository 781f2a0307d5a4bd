"""What the runner works with besides a builder: the control plane, sources, registries, nodes and its own disks."""

import socket
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from daemons.kit.clock import SystemClock
from daemons.kit.settings import revealed
from daemons.runner.adapters.app_host import HttpAppHost
from daemons.runner.adapters.control_plane import ControlPlaneLine, HttpControlPlane
from daemons.runner.adapters.disks import MachineDisks, engine_root
from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.adapters.registry import OciImages
from daemons.runner.adapters.spools import DiskSpools
from daemons.runner.domain.builders import BuilderKind
from daemons.runner.domain.tree import TreeLimits
from daemons.runner.ports import Pacer
from daemons.runner.settings import RunnerSettings

_MIRRORS: Final = ".mirrors"
_LOGS: Final = ".logs"
_MOST_FILES: Final = 200_000


def line(settings: RunnerSettings) -> ControlPlaneLine:
    """A connection of its own to the control plane; the caller closes it."""
    return ControlPlaneLine(settings.deploy_url, revealed(settings.runner_token)[0])


def control_plane(settings: RunnerSettings, over: ControlPlaneLine, instance: str) -> HttpControlPlane:
    """The control plane, as this process with the id `instance` speaks to it."""
    return HttpControlPlane(
        over.client,
        runner_id=settings.runner_id,
        lease_seconds=settings.lease_seconds,
        slots=settings.slots,
        labels=settings.labels,
        version=_version(),
        host=socket.gethostname(),
        instance=instance,
    )


def repository(settings: RunnerSettings) -> GitRepository:
    """Where sources come from."""
    own = settings.git_own_keys.absolute() if settings.git_own_keys else None
    keys = GitKeys(settings.git_key.absolute(), settings.git_known_hosts.absolute(), own)
    policy = GitPolicy(
        hosts=settings.git_hosts,
        seconds=settings.git_seconds,
        limits=TreeLimits(settings.git_most_mb * 1024**2, _MOST_FILES),
        mirror_bytes=settings.git_cache_mb * 1024**2,
    )
    return GitRepository(keys, settings.workdir.absolute() / _MIRRORS, policy)


def images(settings: RunnerSettings) -> OciImages:
    """What registries have."""
    login = (settings.username, settings.password) if settings.username else None
    return OciImages(settings.registry, login, settings.plain_http)


def app_host(settings: RunnerSettings, pacer: Pacer) -> HttpAppHost:
    """The agents of runtime nodes."""
    return HttpAppHost(revealed(settings.agent_token)[0], pacer)


def spools(settings: RunnerSettings) -> DiskSpools:
    """Where logs wait until the control plane has them."""
    return DiskSpools(settings.workdir.absolute() / _LOGS, settings.runner_id, SystemClock())


async def disks(settings: RunnerSettings, kind: str) -> MachineDisks:
    """The file systems that builds of this kind of builder fill."""
    root = await engine_root(settings.docker_host) if kind == BuilderKind.ENGINE.value else None
    folders = {"RUNNER_WORKDIR": settings.workdir.absolute()} | ({"the engine's data folder": root} if root else {})
    return MachineDisks(folders)


def _version() -> str:
    try:
        return version("funai-platform")
    except PackageNotFoundError:
        return "unknown"
