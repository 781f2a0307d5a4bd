"""The agent's HTTP application over twins, on a free port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from daemons.agent.app import build_app
from daemons.agent.composition.databases import DatabaseParts
from daemons.agent.composition.outside import Parts
from daemons.agent.ports import Terminals
from daemons.agent.settings import AgentSettings
from daemons.kit.settings import load
from protocol.apps import DeployApp
from protocol.client.agent import AgentClient
from protocol.client.transport import Transport
from tests.support.agent_twins import (
    TwinControlPlane,
    TwinDisk,
    TwinEngine,
    TwinGateway,
    TwinManifests,
    TwinPorts,
    TwinProbe,
    TwinStates,
    TwinStore,
)
from tests.support.eventually import eventually
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.openapi.watching import contracted
from tests.support.output_twins import TwinOutputs, TwinUsages
from tests.support.terminal_twins import TwinTerminals


@dataclass
class AgentServed:
    """A running agent and what is around it."""

    url: str
    token: str
    engine: TwinEngine
    outputs: TwinOutputs
    usages: TwinUsages
    runner: web.AppRunner

    async def deploy(self, app_id: str, user_id: str, fence: int) -> str:
        """A new container of the app; its name."""
        image = f"funai/u{user_id}-app{app_id}:aaaaaaaaaaaa-{fence}"
        self.engine.local[image] = f"sha256:{app_id}{fence}"
        async with Transport(self.url, {"X-Runtime-Token": self.token}) as transport:
            order = DeployApp(user_id=user_id, app_id=app_id, image=image, fence=fence)
            return (await AgentClient(transport).deploy(order)).container_name


@asynccontextmanager
async def agent_served(
    token: str, terminals: Terminals | None = None, databases: TwinDatabases | None = None, /, **settings: object
) -> AsyncIterator[AgentServed]:
    """An agent that has recovered; with `databases` it has a database server."""
    known: dict[str, object] = {
        "RUNTIME_AGENT_TOKEN": token,
        "DEPLOY_BASE_URL": "http://127.0.0.1:1",
        "DEPLOY_NODE_TOKEN": "node-token-of-tests-1",
        "RUNTIME_START_SECONDS": "0.2",
        **({"RUNTIME_MONGO_HOST": "mongo.test"} if databases else {}),
        **settings,
    }
    engine, outputs, usages = TwinEngine(), TwinOutputs(), TwinUsages()
    database = DatabaseParts(databases, databases, TwinAccounts()) if databases else None
    around: dict[str, Any] = {"outputs": outputs, "usages": usages, "database": database}
    parts = twin_parts(engine, terminals=terminals or TwinTerminals(), **around)
    async with listening(load(AgentSettings, **known), parts) as (runner, url):
        yield AgentServed(url, token, engine, outputs, usages, runner)


def twin_parts(engine: TwinEngine, **others: Any) -> Parts:
    """Everything outside an agent, as twins; `others` in place of some."""
    twins: dict[str, Any] = {
        "engine": engine,
        "gateway": TwinGateway(),
        "states": TwinStates(),
        "control_plane": TwinControlPlane(),
        "probe": TwinProbe(engine),
        "ports": TwinPorts(),
        "disk": TwinDisk(),
        "manifests": TwinManifests(),
        "store": TwinStore(engine),
        "checks": {},
        "versions": {},
        "outputs": TwinOutputs(),
        "usages": TwinUsages(),
        "terminals": TwinTerminals(),
    }
    return Parts(**(twins | others))


@asynccontextmanager
async def listening(settings: AgentSettings, parts: Parts) -> AsyncIterator[tuple[web.AppRunner, str]]:
    """The application, once it has recovered, and its URL."""
    app = build_app(settings, parts)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    with contracted(app, "agent"):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession(url) as session:

                async def ready() -> bool:
                    async with session.get("/internal/ready") as response:
                        return response.status == 200

                await eventually(ready)
            yield runner, url
        finally:
            await runner.cleanup()
