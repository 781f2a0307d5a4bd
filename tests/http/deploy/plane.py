"""A real control plane on port 0 over a database in memory, and callers of every role."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

import httpx
from aiohttp import web

from daemons.deploy.adapters.store import open_store
from daemons.deploy.app import build_app
from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import AgentFailed, ImageRegistry, Receiver, Store
from daemons.deploy.settings import DeploySettings
from daemons.kit.settings import load
from protocol import headers
from protocol.client.deploy import AdminClient, JobsClient
from protocol.client.node import NodeClient
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.jobs import ClaimedJob, ClaimJob, CreateJob, JobPayload, JobType, JobView
from protocol.nodes import NodeCollected, NodeHeartbeat, RawNode
from tests.support.openapi.watching import contracted

TOKENS = {
    "admin": "admin-token-of-the-tests",
    "api": "proxy-secret-of-the-tests",
    "runner": "runner-token-of-the-tests",
    "node": "node-token-of-the-tests",
    "agent": "agent-token-of-the-tests",
    "gateway": "gateway-token-of-the-tests",
}
MEMORY = "sqlite:///:memory:"
HEADERS = {
    "admin": headers.ADMIN_TOKEN,
    "api": headers.DEPLOY_SECRET,
    "runner": headers.RUNNER_TOKEN,
    "node": headers.NODE_TOKEN,
    "agent": headers.AGENT_TOKEN,
    "gateway": headers.WORKSPACE_GATEWAY_TOKEN,
}
#: The address of an agent that nobody listens at. Who is asked for the name of a node may take long to know none.
NOWHERE = "http://127.0.0.1:1"
ENVIRONMENT: Mapping[str, object] = {
    "DEPLOY_ADMIN_TOKEN": TOKENS["admin"],
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": TOKENS["api"],
    "DEPLOY_RUNNER_TOKEN": TOKENS["runner"],
    "DEPLOY_NODE_TOKEN": TOKENS["node"],
    "RUNTIME_AGENT_TOKEN": TOKENS["agent"],
    "DEPLOY_GATEWAY_TOKEN": TOKENS["gateway"],
    # Who gets a job must not depend on how fast a test is.
    "DEPLOY_WARM_RUNNER_SECONDS": 0,
    # Nor need a heartbeat wait for others.
    "DEPLOY_NODE_HEARTBEAT_GROUP_SECONDS": 0,
}


def settings(**changes: object) -> DeploySettings:
    """Settings of a control plane in a test; the environment of the machine plays no part."""
    return load(DeploySettings, **{**ENVIRONMENT, **changes})


@dataclass
class AgentTwin:
    """An agent that does what it is told, or fails with the words it is given."""

    calls: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    problem: str | None = None
    local: list[str] = field(default_factory=list)
    made: dict[str, list[Container]] = field(default_factory=dict)

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        """References the node has; asked for is noted with fence 0."""
        self._done("images", "", base_url, user_id, app_id, 0)
        return self.local

    async def collect(self, base_url: str) -> NodeCollected:
        self._done("collect", "", base_url, "", "", 0)
        return NodeCollected(freed_bytes=3 * 10**9, images=2)

    async def containers(self, base_url: str) -> Sequence[Container]:
        """What the node with this agent has."""
        self._done("containers", "", base_url, "", "", 0)
        return self.made.get(base_url, [])

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        return self._done("stop", "STOPPED", base_url, user_id, app_id, fence)

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        return self._done("delete", "DELETED", base_url, user_id, app_id, fence)

    def _done(
        self, verb: str, status: str, base_url: str, user_id: str, app_id: str, fence: int
    ) -> Mapping[str, object]:
        self.calls.append((verb, base_url, user_id, app_id, fence))
        if self.problem is not None:
            raise AgentFailed(self.problem)
        return {"appId": app_id, "status": status}


class Plane:
    """One running control plane and its callers, each made when it is first used."""

    def __init__(self, url: str, app: web.Application, store: Store, agent: AgentTwin, runner: web.AppRunner) -> None:
        self.url = url
        self.app = app
        self.store = store
        self.agent = agent
        self.runner = runner
        self.http = httpx.AsyncClient(base_url=url, timeout=120, trust_env=False, verify=False)
        self._transports: list[Transport] = []

    @cached_property
    def admin(self) -> AdminClient:
        """An operator."""
        return AdminClient(self._transport("admin"))

    @cached_property
    def api(self) -> JobsClient:
        """The API."""
        return JobsClient(self._transport("api"))

    @cached_property
    def runners(self) -> RunnerClient:
        """A runner."""
        return RunnerClient(self._transport("runner"))

    @cached_property
    def nodes(self) -> NodeClient:
        """A runtime agent."""
        return NodeClient(self._transport("node"))

    def _transport(self, role: str) -> Transport:
        self._transports.append(Transport(self.url, {HEADERS[role]: TOKENS[role]}))
        return self._transports[-1]

    async def heard_of(self, runners: int) -> None:
        """Return when so many runners have called."""
        async with asyncio.timeout(60):
            while len(await self.admin.runners()) < runners:
                continue

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()
        for transport in self._transports:
            await transport.close()

    async def call(
        self, method: str, path: str, *, role: str | None = None, json: object = None, **options: object
    ) -> httpx.Response:
        """A raw request as one role."""
        proof = {HEADERS[role]: TOKENS[role]} if role else {}
        given = options.pop("headers", {})
        assert isinstance(given, dict)
        extra = {"json": json} if json is not None else {}
        return await self.http.request(method, path, headers={**proof, **given}, **extra, **options)  # type: ignore[arg-type]

    async def beat(self, name: str = "n1", **figures: object) -> RawNode:
        """A node's heartbeat; with room unless told otherwise."""
        body: dict[str, object] = {
            "nodeName": name,
            "agentBaseUrl": f"http://{name}:7005",
            "gatewayBaseUrl": f"http://{name}:8088",
            "diskFreePct": 60.0,
            **figures,
        }
        return await self.nodes.heartbeat(NodeHeartbeat.model_validate(body))

    async def create(self, app_id: str = "20001", **payload: object) -> JobView:
        """A job of an app."""
        body = JobPayload.model_validate({"userId": "1", "appId": app_id, **payload})
        return await self.api.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=body))

    async def claim(self, runner_id: str = "r1", wait_seconds: float = 0, lease_seconds: int = 30) -> ClaimedJob | None:
        """A claim."""
        order = ClaimJob(runner_id=runner_id, wait_seconds=wait_seconds, lease_seconds=lease_seconds)
        return await self.runners.claim(order)

    async def claimed(self, app_id: str = "20001", runner_id: str = "r1", lease_seconds: int = 30) -> ClaimedJob:
        """A job of the app, created and claimed on a node that is there."""
        await self.beat()
        await self.create(app_id)
        job = await self.claim(runner_id, lease_seconds=lease_seconds)
        assert job is not None
        return job


@asynccontextmanager
async def serving(
    store: Store | None = None,
    *,
    registry: ImageRegistry | None = None,
    receiver: Receiver | None = None,
    **changes: object,
) -> AsyncIterator[Plane]:
    """A running control plane; settings are given by their variables' names."""
    async with AsyncExitStack() as stack:
        kept = store
        if kept is None:
            kept = await stack.enter_async_context(open_store(MEMORY, delivers=receiver is not None))
        agent = AgentTwin()
        app = build_app(settings(**changes), store=kept, agent=agent, registry=registry, receiver=receiver)
        stack.enter_context(contracted(app, "deploy"))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        plane = Plane(f"http://127.0.0.1:{runner.addresses[0][1]}", app, kept, agent, runner)
        stack.push_async_callback(plane.close)
        yield plane
