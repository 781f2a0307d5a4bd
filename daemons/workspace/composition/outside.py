"""Everything outside the node, and the real parts of it."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from aiodocker import Docker

from daemons.kit.clock import Clock, SystemClock
from daemons.kit.engine.firewall import Iptables, NoFirewall
from daemons.kit.engine.networks import FencedNetworks, Firewall
from daemons.kit.health import Check
from daemons.kit.settings import Misconfigured
from daemons.workspace.adapters.docker import DockerContainers, networks
from daemons.workspace.adapters.forwarding import ContainerWays
from daemons.workspace.adapters.homes import ImageQuota, LocalHomes, Quota, SoftQuota, images_work
from daemons.workspace.adapters.meters import LocalMeters
from daemons.workspace.adapters.ports import LocalPorts
from daemons.workspace.adapters.programs import DockerPrograms
from daemons.workspace.adapters.records import run_records, workspace_records
from daemons.workspace.adapters.run_files import LocalRunFiles
from daemons.workspace.adapters.sockets import ContainerSockets
from daemons.workspace.ports import Containers, FreePorts, Homes, Images, Meters, Records
from daemons.workspace.ports.programs import Programs
from daemons.workspace.ports.runs import Ways
from daemons.workspace.services.runs import Outside as RunParts
from daemons.workspace.settings import WorkspaceSettings

logger = logging.getLogger(__name__)

_ADVICE: Final = (
    "workspaces are not started unfenced: let the node set packet filter rules (iptables installed, CAP_NET_ADMIN), or "
    "set FUNAI_WORKSPACE_FIREWALL=false to let workspaces reach this machine and its networks"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything outside the node."""

    containers: Containers
    images: Images
    homes: Homes
    records: Records
    ports: FreePorts
    programs: Programs
    runs: RunParts
    ways: Ways
    meters: Meters
    clock: Clock = field(default_factory=SystemClock)
    checks: dict[str, Check] = field(default_factory=dict)


async def open_parts(settings: WorkspaceSettings, stack: AsyncExitStack) -> Parts:
    """The real ones; what has to be closed goes onto the stack. Raises Misconfigured."""
    if not settings.image:
        raise Misconfigured("FUNAI_WORKSPACE_IMAGE is not set; name the image that workspaces are made of")
    docker = await stack.enter_async_context(Docker(url=settings.docker_host))
    fenced: FencedNetworks = networks(docker, settings.node_name, settings.subnets, _firewall(settings))
    containers = DockerContainers(docker, settings.node_name, fenced)
    quota = await asyncio.to_thread(_quota, settings)
    state = settings.state_root
    homes = LocalHomes(settings.host_root, state / "gates", quota, settings.uid)
    programs, files = DockerPrograms(docker, state / "gates"), LocalRunFiles(homes)
    ways = ContainerWays(containers, settings.container_port)
    stack.push_async_callback(ways.close)
    return Parts(
        containers,
        containers,
        homes,
        workspace_records(state / "users"),
        LocalPorts(),
        programs,
        RunParts(programs, run_records(state / "runs"), files, files, ContainerSockets(containers)),
        ways,
        LocalMeters(containers),
        checks={"engine": containers.ping},
    )


def _quota(settings: WorkspaceSettings) -> Quota:
    images = settings.state_root / "images"
    if settings.quota == "project":
        raise Misconfigured("FUNAI_WORKSPACE_QUOTA: this release knows image and soft; auto takes the first that works")
    problem = "" if settings.quota == "soft" else images_work(images)
    if settings.quota != "soft" and not problem:
        return ImageQuota(images, settings.disk_bytes)
    if settings.quota == "image":
        raise Misconfigured(f"FUNAI_WORKSPACE_QUOTA is image, but this machine cannot: {problem}")
    logger.warning("users' disks are bounded softly: programs can write past the quota", extra={"problem": problem})
    return SoftQuota(settings.disk_bytes)


def _firewall(settings: WorkspaceSettings) -> Firewall:
    if not settings.firewall:
        logger.warning("FUNAI_WORKSPACE_FIREWALL is false: workspaces can reach this machine and its networks")
        return NoFirewall()
    return Iptables(advice=_ADVICE)
