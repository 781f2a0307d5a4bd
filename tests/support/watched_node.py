"""A runtime node without containers: the real agent, its fences and its rollout, over an engine in memory.

It hears of a real control plane, pulls only what a real registry has, and keeps what it was asked and what it switched
traffic to, in the moments of this process's clock.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemons.agent.adapters.control_plane import NodeIdentity, open_plane
from daemons.agent.app import build_app
from daemons.agent.settings import AgentSettings
from daemons.kit.engine.errors import EngineError
from daemons.kit.settings import load
from tests.support import real
from tests.support.agent_served import twin_parts
from tests.support.agent_twins import TwinDisk, TwinEngine, TwinGateway
from tests.support.runtime_node import NODE_TOKEN, TOKEN

NODE: Final = "watched-node"
_MANIFESTS: Final = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
_TERABYTE: Final = 10**12


@dataclass(frozen=True, slots=True)
class Asked:
    """A deployment that a runner asked for, and the answer's status."""

    job_id: str
    app_id: str
    fence: int
    image: str
    status: int


@dataclass(frozen=True, slots=True)
class Switched:
    """An app's traffic went to the container of that attempt, at a moment of the monotonic clock."""

    at: float
    app_id: str
    fence: int


class PullingEngine(TwinEngine):
    """Containers in memory; an image can be pulled when a real registry has it under its digest."""

    async def pull(self, reference: str) -> str:
        self._called("pull", reference)
        try:
            digest = await digest_of(reference)
        except httpx.HTTPError as error:
            raise EngineError(f"the engine could not pull {reference}: {error}") from error
        if digest is None:
            raise EngineError(f"the engine could not pull {reference}: not found")
        self.local[reference] = digest
        return digest


@dataclass
class WatchedGateway(TwinGateway):
    """Keeps every switch."""

    engine: TwinEngine = field(default_factory=TwinEngine)
    switches: list[Switched] = field(default_factory=list)

    async def route(self, app_id: str, port: int) -> None:
        await super().route(app_id, port)
        container = self.engine.listening(port)
        name = container.spec.name if container else "nothing-r0"
        self.switches.append(Switched(time.monotonic(), app_id, int(name.rpartition("-r")[2])))


@dataclass
class WatchedNode:
    """A running node."""

    url: str
    engine: TwinEngine
    gateway: WatchedGateway
    asked: list[Asked] = field(default_factory=list)

    def fence_live(self, app_id: str) -> list[int]:
        """The fences of the app's running containers."""
        mine = (each.spec.name for each in self.engine.containers.values() if each.running)
        return [int(name.rpartition("-r")[2]) for name in mine if name.startswith(f"rt-u-7-{app_id}-r")]


async def digest_of(reference: str) -> str | None:
    """The digest of a reference by digest, when its registry has it now. Raises httpx.HTTPError."""
    host, _, rest = reference.partition("/")
    name, _, digest = rest.partition("@")
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5) as client:
        answer = await client.head(f"http://{host}/v2/{name}/manifests/{digest}", headers={"Accept": _MANIFESTS})
    return digest if answer.status_code == httpx.codes.OK else None


@asynccontextmanager
async def watched_node(deploy_url: str) -> AsyncIterator[WatchedNode]:
    """The node, for the duration of the block."""
    port = real.free_port()
    url = f"http://127.0.0.1:{port}"
    engine = PullingEngine()
    node = WatchedNode(url, engine, WatchedGateway(engine=engine))
    identity = NodeIdentity(NODE, url, url, 1.0, "watched")
    known: dict[str, object] = {
        "RUNTIME_AGENT_TOKEN": TOKEN,
        "DEPLOY_BASE_URL": deploy_url,
        "DEPLOY_NODE_TOKEN": NODE_TOKEN,
        "DEPLOY_HEARTBEAT_SECONDS": "1",
        "RUNTIME_NODE_AGENT_BASE_URL": url,
        "RUNTIME_NODE_GATEWAY_BASE_URL": url,
        "RUNTIME_START_SECONDS": "2",
        "RUNTIME_DRAIN_SECONDS": "0.2",
        "RUNTIME_WATCH_SECONDS": "0",
    }
    async with open_plane(deploy_url, NODE_TOKEN, identity) as plane:
        disk = TwinDisk(total=_TERABYTE, other=_TERABYTE // 10)
        parts = twin_parts(engine, gateway=node.gateway, control_plane=plane, disk=disk)
        app = build_app(load(AgentSettings, **known), parts)
        app.middlewares.insert(0, _watching(node.asked))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield node
        finally:
            await runner.cleanup()


def _watching(asked: list[Asked]) -> Middleware:
    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/agent/apps/deploy":
            return await handler(request)
        order = await request.json()
        # What the runner that asked does not live to read has status 0.
        status = 0
        try:
            answer = await handler(request)
            status = answer.status
            return answer
        finally:
            asked.append(Asked(order["jobId"], order["appId"], order["fence"], order["image"], status))

    return watch
