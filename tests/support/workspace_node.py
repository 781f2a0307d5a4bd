"""A workspace node for tests: its application in this process, over the real engine, with folders of its own."""

import asyncio
import hashlib
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from daemons.kit.settings import load
from daemons.workspace.app import SERVICES, build
from daemons.workspace.composition.moves import MOVES
from daemons.workspace.composition.packages import CACHES
from daemons.workspace.composition.services import Services
from daemons.workspace.ports import Meters
from daemons.workspace.services.caches import Caches
from daemons.workspace.services.moves import Moves
from daemons.workspace.settings import WorkspaceSettings
from protocol.client.signed import Signed, signed_headers
from protocol.client.transport import Transport
from protocol.client.workspace import WorkspaceClient
from protocol.signing import EMPTY_DIGEST
from tests.support import real
from tests.support.openapi.watching import contracted

SECRET = "workspace-secret-of-tests"
GATEWAY_TOKEN = "gateway-token-of-tests-1"
_PORTS = 50


@dataclass
class Node:
    """A running node."""

    url: str
    docker_url: str
    folder: Path
    settings: WorkspaceSettings
    services: Services
    caches: Caches
    moves: Moves

    @property
    def meters(self) -> Meters:
        """What its containers used."""
        return self.services.idle.meters

    def home(self, user_id: str) -> Path:
        """The user's files on this machine."""
        return self.settings.host_root / user_id

    @asynccontextmanager
    async def client(self, user_id: str, secret: str = SECRET) -> AsyncIterator[WorkspaceClient]:
        """Calls for the user."""
        async with Transport(self.url, {}, auth=Signed(secret)) as transport:
            yield WorkspaceClient(transport, user_id)

    @asynccontextmanager
    async def socket(self, path: str, origin: str | None = None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A signed WebSocket, as from a page of that origin; the path with its query."""
        raw, _, query = path.partition("?")
        headers = signed_headers(SECRET, "GET", raw, query, EMPTY_DIGEST)
        address = self.url + path
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, headers=headers, origin=origin) as socket,
        ):
            yield socket


def new_user() -> str:
    """An id that no other test's container has: they share an engine."""
    return str(secrets.randbelow(10**15) + 10**9)


async def user_with_app(node: Node, app_id: str) -> str:
    """A user whose container runs, and who has an app's empty folder."""
    user_id = new_user()
    async with node.client(user_id) as client:
        await client.ensure()
    (node.home(user_id) / "apps" / app_id).mkdir()
    return user_id


@asynccontextmanager
async def node(
    docker_url: str, folder: Path, *, last: bool = True, port: int = 0, **overrides: object
) -> AsyncIterator[Node]:
    """A node that has recovered. What it made is removed after the last one of its folder."""
    known: dict[str, object] = {
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET": SECRET,
        "FUNAI_WORKSPACE_NGINXAUTHTOKEN": GATEWAY_TOKEN,
        "FUNAI_WORKSPACE_HOSTROOT": folder / "root",
        "FUNAI_WORKSPACE_STATEROOT": folder / "state",
        "FUNAI_WORKSPACE_IMAGE": "busybox:1.36",
        "FUNAI_WORKSPACE_IMAGEPULLPOLICY": "NEVER",
        "FUNAI_WORKSPACE_DISKQUOTA": "64m",
        "FUNAI_WORKSPACE_HOSTPORTBASE": _free_range(),
        "FUNAI_WORKSPACE_HOSTPORTSCANSIZE": _PORTS,
        "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_NAME": _name(folder),
        "DOCKER_HOST": docker_url,
    }
    settings = load(WorkspaceSettings, **{**known, **overrides})
    app = await build(settings)
    runner = web.AppRunner(app, access_log=None)
    with contracted(app, "workspace"):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        port = runner.addresses[0][1]
        try:
            yield Node(f"http://127.0.0.1:{port}", docker_url, folder, settings, app[SERVICES], app[CACHES], app[MOVES])
        finally:
            await runner.cleanup()
            if last:
                await asyncio.to_thread(swept, docker_url, settings.node_name, folder)


def swept(docker_url: str, node_name: str, folder: Path) -> None:
    """Containers and networks of the node, and file systems mounted in its folder, are gone."""
    docker = ["docker", "-H", docker_url]
    label = ["--filter", f"label=funai.node={node_name}"]
    for what, remove in (("container", ["rm", "-f"]), ("network", ["rm"])):
        every = ["--all"] if what == "container" else []
        listed = subprocess.run([*docker, what, "ls", "-q", *every, *label], capture_output=True, text=True, check=True)
        if names := listed.stdout.split():
            subprocess.run([*docker, what, *remove, *names], check=False, capture_output=True)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in mounts:
        if mount.startswith(f"{folder}/"):
            subprocess.run([real.program("umount", "mount"), mount], check=False)


def _name(folder: Path) -> str:
    """The same after a restart, and no other's: what has a node's name is removed with it, and engines are shared."""
    return f"ws-{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _free_range() -> int:
    return 20000 + secrets.randbelow(200) * _PORTS
