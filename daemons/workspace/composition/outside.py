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
from daemons.workspace.adapters.commands import DockerCommands
from daemons.workspace.adapters.docker import Account, DockerContainers, networks
from daemons.workspace.adapters.forwarding import ContainerWays
from daemons.workspace.adapters.homes import LocalHomes
from daemons.workspace.adapters.meters import LocalMeters
from daemons.workspace.adapters.passages import ContainerPassages
from daemons.workspace.adapters.ports import LocalPorts
from daemons.workspace.adapters.programs import DockerPrograms
from daemons.workspace.adapters.quotas import ImageQuota, Quota, SoftQuota, images_work
from daemons.workspace.adapters.records import node_key, rule_records, run_records, workspace_records
from daemons.workspace.adapters.registry import Api, LocalMachine, open_api
from daemons.workspace.adapters.repository_keys import FolderKeys
from daemons.workspace.adapters.run_files import LocalRunFiles
from daemons.workspace.adapters.sockets import ContainerSockets
from daemons.workspace.composition.databases import DatabaseParts, database_server, open_databases
from daemons.workspace.composition.git import Keys, git_server
from daemons.workspace.composition.packages import sources
from daemons.workspace.ports import Containers, FreePorts, Homes, Images, Meters, Records
from daemons.workspace.ports.git import Commands, Passages
from daemons.workspace.ports.programs import Programs
from daemons.workspace.ports.registry import Machine, Registry
from daemons.workspace.ports.runs import RuleRecords, Ways
from daemons.workspace.services.runs import Outside as RunParts
from daemons.workspace.settings import WorkspaceSettings
from protocol import headers
from protocol.names import image_registry

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
    commands: Commands
    passages: Passages
    runs: RunParts
    ways: Ways
    meters: Meters
    machine: Machine
    rules: RuleRecords
    pass_key: bytes = field(repr=False)
    registry: Registry | None = None
    database: DatabaseParts | None = None
    clock: Clock = field(default_factory=SystemClock)
    checks: dict[str, Check] = field(default_factory=dict)
    keys: Keys | None = None


async def open_parts(settings: WorkspaceSettings, stack: AsyncExitStack) -> Parts:
    """The real ones; what has to be closed goes onto the stack. Raises Misconfigured."""
    if not settings.image:
        raise Misconfigured("FUNAI_WORKSPACE_IMAGE is not set; name the image that workspaces are made of")
    docker = await stack.enter_async_context(Docker(url=settings.docker_host))
    fenced: FencedNetworks = networks(docker, settings.node_name, settings.subnets, _firewall(settings))
    containers = DockerContainers(docker, settings.node_name, fenced, _account(settings))
    quota = await asyncio.to_thread(_quota, settings)
    state = settings.state_root
    homes = LocalHomes(settings.host_root, state / "gates", quota, settings.uid)
    programs, files = DockerPrograms(docker, state / "gates"), LocalRunFiles(homes)
    ways, api = ContainerWays(containers), await _api(settings, stack)
    stack.push_async_callback(ways.close)
    return Parts(
        containers,
        containers,
        homes,
        workspace_records(state / "users"),
        LocalPorts(),
        programs,
        DockerCommands(programs),
        ContainerPassages(containers, settings.git_host, settings.git_port),
        RunParts(programs, run_records(state / "runs"), files, files, ContainerSockets(containers)),
        ways,
        LocalMeters(containers),
        LocalMachine(settings.state_root if homes.quota == "image" else settings.host_root, homes.quota),
        rule_records(state / "previews"),
        await asyncio.to_thread(node_key, state / "preview.key"),
        api.registry if api is not None and settings.registry_enabled else None,
        await open_databases(settings, stack),
        checks={"engine": containers.ping},
        keys=_keys(settings, api),
    )


async def _api(settings: WorkspaceSettings, stack: AsyncExitStack) -> Api | None:
    """The API, where somebody of this node asks it for something."""
    registers = settings.api_base_url is not None and settings.registry_enabled
    if not registers:
        logger.warning("this node registers itself nowhere; see FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL")
    borrows = settings.git_enabled and settings.git_keys == "api"
    if settings.api_base_url is None or not (registers or borrows):
        return None
    tokens = (settings.api_token,) if settings.api_token.get_secret_value() else ()
    settings.require(FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN=tokens)
    token = {headers.WORKSPACE_NODE_TOKEN: settings.api_token.get_secret_value()}
    return await open_api(settings.api_base_url, token, stack)


def _keys(settings: WorkspaceSettings, api: Api | None) -> Keys | None:
    """Who lends keys for git, where that is switched on."""
    server, known_hosts = git_server(settings), settings.git_known_hosts
    if not settings.git_enabled:
        return None
    if settings.git_keys == "api" and api is not None:
        return api.keys(server, known_hosts)
    return FolderKeys(server, settings.git_loans_dir, known_hosts, SystemClock())


def _account(settings: WorkspaceSettings) -> Account | None:
    password = settings.registry_password.get_secret_value()
    if not (settings.registry_username and password):
        return None
    own = settings.registry_url.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if own and image_registry(settings.image) != own:
        logger.warning("the image of workspaces is pulled without an account: it is not from REGISTRY_URL")
        return None
    return Account(settings.registry_username, password)


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
    return SoftQuota(settings.host_root, settings.disk_bytes)


def _firewall(settings: WorkspaceSettings) -> Firewall:
    if not settings.firewall:
        logger.warning("FUNAI_WORKSPACE_FIREWALL is false: workspaces can reach this machine and its networks")
        return NoFirewall()
    servers = list(sources(settings).servers)
    if settings.mongo_enabled:
        database = database_server(settings)
        servers.append((database.host, database.port))
    return Iptables(servers=servers, advice=_ADVICE)
