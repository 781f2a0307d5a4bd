"""Everything outside the agent, and the real parts of it."""

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from aiodocker import Docker

from daemons.agent.adapters.access_log import AccessLogs, NoAccessLog
from daemons.agent.adapters.cgroups import Cgroups
from daemons.agent.adapters.control_plane import NoControlPlane, NodeIdentity, open_plane
from daemons.agent.adapters.docker_logs import DockerOutputs
from daemons.agent.adapters.docker_store import DockerStore
from daemons.agent.adapters.docker_terminal import DockerTerminals
from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.adapters.manifests import RegistryManifests
from daemons.agent.adapters.nginx import NginxGateway
from daemons.agent.adapters.node import EngineDisk, HttpProbe, LocalPorts
from daemons.agent.adapters.state import JsonStates
from daemons.agent.adapters.traefik import TraefikGateway
from daemons.agent.composition.databases import DatabaseParts, open_databases
from daemons.agent.composition.engines import credentials, open_engine
from daemons.agent.ports import (
    AccessLog,
    ControlPlane,
    Disk,
    Engine,
    Gateway,
    HostPorts,
    Manifests,
    Outputs,
    Probe,
    StateFiles,
    Store,
    Terminals,
    Usages,
)
from daemons.agent.services.selfview import Ask
from daemons.agent.settings import AgentSettings
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.health import Check

logger = logging.getLogger(__name__)

VERSION: Final = "0.1.0"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything outside the agent."""

    engine: Engine
    gateway: Gateway
    states: StateFiles
    control_plane: ControlPlane
    probe: Probe
    ports: HostPorts
    disk: Disk
    manifests: Manifests
    store: Store
    checks: Mapping[str, Check]
    versions: Mapping[str, Ask]
    outputs: Outputs
    usages: Usages
    terminals: Terminals
    access_log: AccessLog = field(default_factory=NoAccessLog)
    clock: Clock = field(default_factory=SystemClock)
    database: DatabaseParts | None = None


async def open_parts(settings: AgentSettings, stack: AsyncExitStack) -> Parts:
    """A real engine, gateway and control plane, closed with the stack."""
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, force_close=True), cookie_jar=aiohttp.DummyCookieJar()
        )
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    docker = await stack.enter_async_context(Docker(url=settings.docker_host, timeout=timeout))
    engine, gateway = open_engine(settings, docker), _gateway(settings)
    return Parts(
        engine=engine,
        gateway=gateway,
        states=JsonStates(_absolute(settings.data_dir)),
        control_plane=await _control_plane(settings, stack),
        probe=HttpProbe(session),
        ports=LocalPorts(*settings.app_ports),
        disk=EngineDisk(engine.root_dir),
        manifests=RegistryManifests(session, engine.insecure, credentials(settings)),
        store=DockerStore(engine),
        checks={"engine": engine.ping, "gateway": gateway.ping},
        versions={"engine": engine.version, "gateway": gateway.version},
        access_log=_access_log(settings),
        database=await open_databases(settings, _absolute(settings.data_dir), stack),
        outputs=DockerOutputs(docker, engine.locate),
        usages=Cgroups(docker, engine.locate),
        terminals=DockerTerminals(docker, engine.locate),
    )


def _gateway(settings: AgentSettings) -> HaproxyGateway | NginxGateway | TraefikGateway:
    match settings.gateway_driver:
        case "traefik":
            return TraefikGateway(_absolute(settings.traefik_file), settings.traefik_settle_seconds)
        case "nginx":
            return NginxGateway(_absolute(settings.nginx_folder), settings.nginx_admin)
        case "haproxy":
            return HaproxyGateway(_absolute(settings.gateway_map), _absolute(settings.gateway_socket))


def _access_log(settings: AgentSettings) -> AccessLog:
    if settings.gateway_driver == "traefik":
        return NoAccessLog()
    nginx = settings.gateway_driver == "nginx"
    beside = settings.nginx_folder / "routes" if nginx else settings.gateway_socket
    socket_path = _absolute(beside).with_name("access.sock")
    # Half of the bound each: the file that is written, and the one before.
    file_bytes = settings.access_log_bytes // 2
    return AccessLogs(socket_path, _absolute(settings.data_dir), file_bytes, settings.access_log_days)


async def _control_plane(settings: AgentSettings, stack: AsyncExitStack) -> ControlPlane:
    if not settings.confirms:
        logger.warning("no deploy is configured: this node sends no heartbeats and asks nobody before a switch")
        return NoControlPlane()
    if not settings.reports:
        logger.warning(
            "no heartbeats are sent: set RUNTIME_NODE_AGENT_BASE_URL and RUNTIME_NODE_GATEWAY_BASE_URL to the "
            "addresses of this agent and of its gateway"
        )
    identity = NodeIdentity(
        settings.node_name,
        settings.agent_url,
        settings.gateway_url,
        settings.heartbeat_seconds,
        VERSION,
        settings.labels,
    )
    token = settings.node_token.get_secret_value()
    return await stack.enter_async_context(open_plane(settings.deploy_url, token, identity))


def _absolute(path: Path) -> Path:
    return Path.cwd() / path
