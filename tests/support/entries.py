"""The platform's entry before two runtime nodes and two workspace nodes: real gateways, a real control plane."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from aiohttp import web
from yarl import URL

from daemons.kit import haproxy_entry, nginx_entry
from daemons.kit.haproxy_entry import HaproxyEntry, Services
from daemons.kit.nginx_entry import Limits, NginxEntry
from protocol.jobs import ClaimedJob, JobStatus, ReportJob
from tests.http.deploy.plane import TOKENS, Plane, serving
from tests.support import real
from tests.support.gateways import Backends, Running, nginx_argv, nginx_configured

API_TOKEN: Final = "gateway-token-of-tests-2"
#: Of operators, and what they are made of.
PAGES: Final = (
    *("/admin/nodes.html", "/admin/nodes-admin.html?mode=deploy", "/admin/nodes-assets/main.js", "/nodes.html"),
    *("/nodes-admin.html", "/deploy-nodes.html", "/workspace-nodes.html", "/workspace-nodes-admin.html"),
)
_LIST: Final = "/api/fun-ai/internal/gateway/domains"
_LOOKUP: Final = "/api/fun-ai/workspace/internal/gateway/node"


@dataclass
class Api:
    """What gateways ask the API, and what reaches it of visitors: `nodes` by `appId=...` or `userId=...`."""

    backends: Backends
    nodes: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    #: Hosts of apps' own.
    listed: str = "# 0 domains\n"
    port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """On the port that it had, if it had one."""
        app = web.Application(client_max_size=2**30)
        app.router.add_get(_LOOKUP, self._node)
        app.router.add_get(_LIST, self._domains)
        app.router.add_route("*", "/{rest:.*}", self.backends.handler("api"))
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Not there any more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _domains(self, request: web.Request) -> web.Response:
        proven = request.headers.getall("X-WS-Token", []) == [API_TOKEN]
        return web.Response(text=self.listed) if proven else web.Response(status=401)

    async def _node(self, request: web.Request) -> web.Response:
        self.asked.append({key.lower(): value for key, value in request.headers.items()})
        if request.headers.getall("X-WS-Token", []) != [API_TOKEN]:
            return web.Response(status=401)
        node = self.nodes.get(request.query_string)
        if node is None:
            return web.Response(status=404 if request.query_string else 400)
        return web.Response(status=204, headers={"X-WS-Node": node, "X-WS-NodeId": "1"})


@dataclass
class World:
    """An entry and what is behind it: apps on the runtime nodes `n1` and `n2`, an agent service, workspace nodes."""

    plane: Plane
    api: Api
    backends: Backends
    nodes: dict[str, Running]
    services: dict[str, int]
    ids: dict[str, int] = field(default_factory=dict)
    url: str = ""
    visitor: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    async def deployed(self, app_id: str, on: str) -> None:
        """The app comes up on that node, and goes from the one where it was."""
        job = await self._job(app_id, on)
        where = self.nodes[on]
        await where.driver.route(app_id, await self.backends.serve(f"{app_id} on {on}"))
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await self.plane.runners.report(job.id, done)
        for name, other in self.nodes.items():
            if name != on:
                await other.driver.remove(app_id)

    async def _job(self, app_id: str, on: str) -> ClaimedJob:
        body = {"appId": app_id, "targetNodeId": self.ids[on]}
        placed = await self.plane.call("POST", "/admin/runtime-nodes/reassign", role="admin", json=body)
        placed.raise_for_status()
        await self.plane.create(app_id)
        job = await self.plane.claim()
        assert job is not None
        return job

    async def beat(self) -> None:
        """Both nodes are there."""
        for name, node in self.nodes.items():
            self.ids[name] = (await self.plane.beat(name, gatewayBaseUrl=node.url)).id.value

    async def seen(self, path: str, **headers: str) -> dict[str, Any]:
        """What the server behind an address says of the request."""
        answer = await self.visitor.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found | {"answered": dict(answer.headers)}


@asynccontextmanager
async def world(serve: "Serve", folder: Path, **changes: Any) -> AsyncIterator[World]:
    """Everything, with an entry that `serve` starts."""
    async with AsyncExitStack() as stack:
        backends = Backends()
        stack.push_async_callback(backends.close)
        plane = await stack.enter_async_context(serving())
        api = Api(backends)
        await api.start()
        stack.push_async_callback(api.stop)
        nodes = {name: await stack.enter_async_context(_node(folder / name)) for name in ("n1", "n2")}
        services = {name: await backends.serve(name) for name in ("agent", "w1", "w2")}
        made = World(plane, api, backends, nodes, services)
        await made.beat()
        made.url = await stack.enter_async_context(serve(made, folder / "entry", **changes))
        made.visitor = await stack.enter_async_context(httpx.AsyncClient(base_url=made.url, timeout=60))
        yield made


@asynccontextmanager
async def _node(folder: Path) -> AsyncIterator[Running]:
    """The gateway of a runtime node, which believes the entry alone: visitors come from elsewhere."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    running = await asyncio.to_thread(Running, folder, ("127.0.0.1",))
    with real.process(running.argv(), folder / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(running.port), "the node's gateway")
        yield running


@asynccontextmanager
async def nginx(world: World, folder: Path, **changes: Any) -> AsyncIterator[str]:
    """The entry by nginx; its address."""
    deploy = URL(world.plane.url)
    entry = NginxEntry(
        "127.0.0.1",
        real.free_port(),
        ("127.0.0.1", world.api.port),
        ("127.0.0.1", deploy.port or 0),
        folder / "cache",
        API_TOKEN,
        TOKENS["gateway"],
        agent=("127.0.0.1", world.services["agent"]),
    )
    async with _nginx(replace(entry, **changes), folder) as url:
        yield url


@asynccontextmanager
async def before(
    ready: Mapping[str, str], credentials: Mapping[str, str], folder: Path, agent_service: int
) -> AsyncIterator[str]:
    """The entry before a platform that bin/up started, by nginx; its address."""
    api, deploy = (("127.0.0.1", URL(ready[name]).port or 0) for name in ("api", "deploy"))
    tokens = credentials["FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"], credentials["DEPLOY_GATEWAY_TOKEN"]
    agent = "127.0.0.1", agent_service
    # Tests ask again and again, from one address.
    limits = Limits(rate=1000, burst=10_000)
    entry = NginxEntry(
        "127.0.0.1", real.free_port(), api, deploy, folder / "cache", *tokens, agent=agent, limits=limits
    )
    async with _nginx(entry, folder) as url:
        yield url


@asynccontextmanager
async def _nginx(entry: NginxEntry, folder: Path) -> AsyncIterator[str]:
    await asyncio.to_thread(_configure, folder, entry)
    with real.process(nginx_argv(folder), folder / "nginx.log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(entry.port), "the entry's start")
        yield f"http{'s' if entry.tls else ''}://127.0.0.1:{entry.port}"


@asynccontextmanager
async def haproxy(world: World, folder: Path, **changes: Any) -> AsyncIterator[str]:
    """The entry by HAProxy; its address."""
    agent, origins = ("127.0.0.1", world.services["agent"]), changes.pop("agent_origins", ())
    services = Services(("127.0.0.1", world.api.port), agent, agent_origins=origins)
    deploy = ("127.0.0.1", URL(world.plane.url).port or 0)
    entry = replace(HaproxyEntry("127.0.0.1", real.free_port(), services, deploy, folder), **changes)
    await asyncio.to_thread(haproxy_entry.install, entry, folder / "haproxy.cfg")
    argv = haproxy_entry.command(real.program("haproxy", "haproxy"), folder / "haproxy.cfg")
    tokens = {"FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN": API_TOKEN, "DEPLOY_GATEWAY_TOKEN": TOKENS["gateway"]}
    with real.process(argv, folder / "haproxy.log", env=os.environ | tokens):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(entry.port), "the entry's start")
        yield f"http{'s' if entry.certificate else ''}://127.0.0.1:{entry.port}"


@asynccontextmanager
async def alone(backends: Backends, folder: Path) -> AsyncIterator[Running]:
    """The gateway of the one node there is, which is the entry as well, before an API named `api`."""
    services = Services(("127.0.0.1", await backends.serve("api")), body_megabytes=1)
    running = await asyncio.to_thread(Running, folder, (), services)
    with real.process(running.argv(), folder / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(running.port), "the gateway's start")
        yield running


def _configure(folder: Path, entry: NginxEntry) -> None:
    nginx_configured(folder, nginx_entry.render(entry))


class Serve(Protocol):
    """One of the entries."""

    def __call__(self, world: World, folder: Path, **changes: Any) -> AbstractAsyncContextManager[str]: ...


ENTRIES: Final[dict[str, Serve]] = {"nginx": nginx, "haproxy": haproxy}


async def forgotten() -> None:
    """No entry leads by what it was told before: that is good for a second, which nginx counts in whole ones."""
    await asyncio.sleep(2.1)
