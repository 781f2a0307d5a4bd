"""The daemons as their contracts see them: titles, who proves what how, what every guarded route may refuse, and each
as a real server with callers that everything is open to."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from daemons.agent.composition.databases import DatabaseParts
from daemons.agent.http.problems import PROBLEMS as AGENT_PROBLEMS
from daemons.agent.settings import AgentSettings
from daemons.deploy.app import PROBLEMS as DEPLOY_PROBLEMS
from daemons.kit.auth import ACCESS, Access, Gate
from daemons.kit.settings import load
from protocol import headers
from tests.http.deploy import plane as deploy
from tests.support.agent_served import listening, twin_parts
from tests.support.agent_twins import TwinEngine
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.openapi.documents import Plane, Schema


@dataclass(frozen=True)
class ServedPlane:
    """A daemon on a port of its own. `proofs` are headers that open every route, `known` are values that parameters of
    those names may have, `unreachable` are the answers of routes whose peers are not there, and `secret` signs."""

    plane: Plane
    url: str
    proofs: Mapping[str, str]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unreachable: Sequence[int] = ()
    secret: str = ""


_IMAGE: Final = "funai/u7-app5:aaaaaaaaaaaa-1"


def _key(header: str, about: str) -> Schema:
    return {"type": "apiKey", "in": "header", "name": header, "description": about}


def _by_gate(access: Access, name: Callable[[Gate], Sequence[str]]) -> Callable[[str, str], Sequence[Sequence[str]]]:
    def guards(method: str, path: str) -> Sequence[Sequence[str]]:
        return [name(gate) for gate in access.gates(method, path)]

    return guards


def deploy_plane(app: web.Application) -> Plane:
    """The control plane."""
    return Plane(
        name="deploy",
        title="Fun AI Studio: deploy control plane",
        about="Jobs, releases, runners, runtime nodes and their drains.",
        app=app,
        problems=DEPLOY_PROBLEMS,
        schemes={
            "admin": _key(headers.ADMIN_TOKEN, "an operator"),
            "api": _key(headers.DEPLOY_SECRET, "the API entry"),
            "runner": _key(headers.RUNNER_TOKEN, "a runner"),
            "node": _key(headers.NODE_TOKEN, "a runtime agent"),
            "gateway": _key(headers.WORKSPACE_GATEWAY_TOKEN, "a gateway"),
        },
        guards=_by_gate(app[ACCESS], lambda gate: [gate.name]),
        always=(503,),
    )


def agent_plane(app: web.Application) -> Plane:
    """The runtime agent."""
    return Plane(
        name="agent",
        title="Fun AI Studio: runtime agent",
        about="The apps of one runtime node. Answers are bare JSON, refusals `{detail, reason}`.",
        app=app,
        problems=AGENT_PROBLEMS,
        schemes={"runtime": _key(headers.AGENT_TOKEN, "a runner, or the control plane")},
        guards=_by_gate(app[ACCESS], lambda gate: [gate.name]),
        envelope=False,
    )


@asynccontextmanager
async def _deploy(_folder: Path) -> AsyncIterator[ServedPlane]:
    async with deploy.serving() as served:
        job = await served.claimed("20001")
        waiting = await served.create("20002")
        proofs = {deploy.HEADERS[role]: deploy.TOKENS[role] for role in ("admin", "api", "runner", "node", "gateway")}
        known = {"job_id": [job.id, waiting.id], "app_id": ["20001", "20002"], "name": ["n1"], "number": ["1"]}
        yield ServedPlane(deploy_plane(served.app), served.url, proofs, known, unreachable=(502,))


@asynccontextmanager
async def _agent(_folder: Path) -> AsyncIterator[ServedPlane]:
    engine, databases = TwinEngine(local={_IMAGE: "sha256:1"}), TwinDatabases()
    parts = twin_parts(engine, database=DatabaseParts(databases, databases, TwinAccounts()))
    token = "runtime-token-of-contracts"
    known: dict[str, object] = {
        "RUNTIME_AGENT_TOKEN": token,
        "DEPLOY_BASE_URL": "http://127.0.0.1:1",
        "DEPLOY_NODE_TOKEN": "node-token-of-contracts",
        "RUNTIME_START_SECONDS": "0.2",
        "RUNTIME_MONGO_HOST": "mongo.test",
    }
    async with listening(load(AgentSettings, **known), parts) as (runner, url):
        assert runner.app is not None
        yield ServedPlane(agent_plane(runner.app), url, {headers.AGENT_TOKEN: token})


#: How each daemon is served, with files of its own in a folder.
DAEMONS: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[ServedPlane]]]] = {
    "agent": _agent,
    "deploy": _deploy,
}
