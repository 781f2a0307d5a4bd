"""The daemons as real servers on ports of their own, and callers that everything is open to."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from daemons.agent.composition.databases import DatabaseParts
from daemons.agent.settings import AgentSettings
from daemons.kit.settings import load
from protocol import headers
from tests.http.deploy import plane as deploy
from tests.support.agent_served import listening, twin_parts
from tests.support.agent_twins import TwinEngine
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.workspace_node import GATEWAY_TOKEN, SECRET, new_user, node

_IMAGE: Final = "funai/u7-app5:aaaaaaaaaaaa-1"
_TOKEN: Final = "runtime-token-of-contracts"


@dataclass(frozen=True)
class Served:
    """`proofs` are headers that open every route, `known` are values that parameters of those names may have,
    `unreachable` are the answers of routes whose peers are not there, and `secret` signs."""

    daemon: str
    url: str
    proofs: Mapping[str, str]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unreachable: Sequence[int] = ()
    secret: str = ""


@asynccontextmanager
async def deploy_served() -> AsyncIterator[Served]:
    """The control plane with a running and a waiting job, over an agent that does what it is told."""
    async with deploy.serving() as served:
        job = await served.claimed("20001")
        waiting = await served.create("20002")
        proofs = {deploy.HEADERS[role]: deploy.TOKENS[role] for role in ("admin", "api", "runner", "node", "gateway")}
        known = {"job_id": [job.id, waiting.id], "app_id": ["20001", "20002"], "name": ["n1"], "number": ["1"]}
        yield Served("deploy", served.url, proofs, known, unreachable=(502,))


@asynccontextmanager
async def agent_served() -> AsyncIterator[Served]:
    """An agent over twins, with a database server."""
    engine, databases = TwinEngine(local={_IMAGE: "sha256:1"}), TwinDatabases()
    parts = twin_parts(engine, database=DatabaseParts(databases, databases, TwinAccounts()))
    known: dict[str, object] = {
        "RUNTIME_AGENT_TOKEN": _TOKEN,
        "DEPLOY_BASE_URL": "http://127.0.0.1:1",
        "DEPLOY_NODE_TOKEN": "node-token-of-contracts",
        "RUNTIME_START_SECONDS": "0.2",
        "RUNTIME_MONGO_HOST": "mongo.test",
    }
    async with listening(load(AgentSettings, **known), parts) as (_, url):
        yield Served("agent", url, {headers.AGENT_TOKEN: _TOKEN})


@asynccontextmanager
async def workspace_served(docker_url: str, folder: Path) -> AsyncIterator[Served]:
    """A workspace node over a real engine, with a user who has an app."""
    async with node(docker_url, folder) as served:
        user_id = new_user()
        async with served.client(user_id) as client:
            await client.ensure()
        (served.home(user_id) / "apps" / "5").mkdir()
        proofs = {headers.WORKSPACE_GATEWAY_TOKEN: GATEWAY_TOKEN}
        yield Served(
            "workspace", served.url, proofs, {"userId": [user_id], "appId": ["5"]}, unreachable=(503,), secret=SECRET
        )
