"""The daemons as their contracts see them: titles, who proves what how, and what every guarded route may refuse."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from daemons.agent import app as agent
from daemons.agent.http.problems import PROBLEMS as AGENT_PROBLEMS
from daemons.agent.settings import AgentSettings
from daemons.api import app as api
from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.node_moves import HttpMovingNodes
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.composition.workspaces import WorkspaceParts
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.forwarding import FILLED, PASSED
from daemons.api.domain.rules import Named, Row, Rule, row_of
from daemons.deploy import app as deploy
from daemons.deploy.adapters.store import open_store
from daemons.kit.auth import ACCESS, Gate
from daemons.kit.clock import SystemClock
from daemons.kit.settings import load
from daemons.kit.sql import migrate, open_database
from daemons.workspace import app as workspace
from daemons.workspace.composition.outside import open_parts
from daemons.workspace.http.fence import fenced
from daemons.workspace.http.problems import PROBLEMS as WORKSPACE_PROBLEMS
from daemons.workspace.settings import WorkspaceSettings
from protocol import headers, signing
from protocol.pushes import PUSHES_PATH
from tests.http.deploy import plane as deploy_tests
from tests.support.agent_served import twin_parts
from tests.support.agent_twins import TwinEngine
from tests.support.app_databases import MemoryAppDatabases
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.openapi.documents import Behind, Plane
from tests.support.openapi.schemas import Schema

_SECRET: Final = "secret-of-the-contracts-0123456789"


def _key(header: str, about: str) -> Schema:
    return {"type": "apiKey", "in": "header", "name": header, "description": about}


def _by_gate(
    app: web.Application, schemes: Callable[[Gate], Sequence[str]] = lambda gate: (gate.name,)
) -> Callable[[str, str], Sequence[Sequence[str]]]:
    return lambda method, path: [schemes(gate) for gate in app[ACCESS].gates(method, path)]


_PROOFS: Final[Mapping[Rule, Sequence[Sequence[str]]]] = {
    Rule.ANYONE: (),
    Rule.SIGNED: (("signature", "timestamp"),),
    Rule.USER: (("bearer",),),
    Rule.SESSION: (("bearer",),),
    Rule.OPERATOR: (("bearer",), ("admin",)),
    Rule.ADMIN: (("bearer",), ("admin",)),
    Rule.NODE: (("node",),),
    Rule.GATEWAY: (("gateway",),),
}


_MARKS: Final = {
    headers.WORKSPACE_PROXIED: "1 when a node answered; only to callers who prove themselves admins as well",
    headers.WORKSPACE_UPSTREAM: "which node answered; only to callers who prove themselves admins as well",
}


@asynccontextmanager
async def _deploy(_folder: Path) -> AsyncIterator[Plane]:
    async with open_store(deploy_tests.MEMORY) as store:
        app = deploy.build_app(deploy_tests.settings(), store=store, agent=deploy_tests.AgentTwin())
        yield Plane(
            title="Fun AI Studio: deploy control plane",
            about="Jobs, releases, runners, runtime nodes and their drains.",
            app=app,
            problems=deploy.PROBLEMS,
            schemes={
                "admin": _key(headers.ADMIN_TOKEN, "an operator"),
                "api": _key(headers.DEPLOY_SECRET, "the API entry"),
                "runner": _key(headers.RUNNER_TOKEN, "a runner"),
                "node": _key(headers.NODE_TOKEN, "a runtime agent"),
                "gateway": _key(headers.WORKSPACE_GATEWAY_TOKEN, "a gateway"),
            },
            guards=_by_gate(app),
            always=(503,),
        )


@asynccontextmanager
async def _agent(_folder: Path) -> AsyncIterator[Plane]:
    settings = load(
        AgentSettings,
        RUNTIME_AGENT_TOKEN=_SECRET,
        DEPLOY_BASE_URL="http://127.0.0.1:1",
        DEPLOY_NODE_TOKEN=_SECRET[::-1],
    )
    app = agent.build_app(settings, twin_parts(TwinEngine()))
    yield Plane(
        title="Fun AI Studio: runtime agent",
        about="The apps of one runtime node. Answers are bare JSON, refusals `{detail, reason}`.",
        app=app,
        problems=AGENT_PROBLEMS,
        schemes={"runtime": _key(headers.AGENT_TOKEN, "a runner, or the control plane")},
        guards=_by_gate(app),
        envelope=False,
    )


@asynccontextmanager
async def _api(folder: Path) -> AsyncIterator[Plane]:
    calls = HttpNodeCalls(_SECRET)
    async with open_database("sqlite:///:memory:", QUERIES) as database, _workspace(folder) as node:
        await migrate(database, COMPONENT, MIGRATIONS)
        parts = api.Parts(
            database=database,
            plane=MemoryDeployPlane(SystemClock()),
            databases=MemoryAppDatabases(),
            access=DiskGitAccess(folder / "access.json", folder / "bot.pub"),
            hosting=Hosting("git.example.org", 2222),
            workspaces=WorkspaceParts(calls, calls, moving=HttpMovingNodes(calls)),
            user_tokens={},
            admin_tokens=[_SECRET],
        )
        yield Plane(
            title="Fun AI Studio: API",
            about="What people do, with their apps, deployments, keys and workspaces; and what operators do.",
            app=await api.build_app(parts),
            # What other daemons refuse is passed on in their words.
            problems={**deploy.PROBLEMS, **WORKSPACE_PROBLEMS, **api.PROBLEMS},
            schemes={
                "bearer": {"type": "http", "scheme": "bearer", "description": "a person's token, or key (`fuk_`)"},
                "admin": _key(headers.ADMIN_TOKEN, "an admin without a person"),
                "node": _key(headers.WORKSPACE_NODE_TOKEN, "a workspace node"),
                "gateway": _key(headers.WORKSPACE_GATEWAY_TOKEN, "a gateway"),
                "signature": _key(headers.DELIVERY_SIGNATURE, "of the body, by the control plane"),
                "timestamp": _key(headers.DELIVERY_TIMESTAMP, "the second that the body was signed in"),
                "push": _key(headers.GITEA_SIGNATURE, "of the body, by the git server"),
            },
            guards=lambda method, path: (("push",),) if path == PUSHES_PATH else _PROOFS[_row(method, path).rule],
            always=(503,),
            more=_of_people,
            behind=Behind(node, FILLED, PASSED, _MARKS),
        )
    await calls.close()


def _row(method: str, path: str) -> Row:
    row = row_of(method, path)
    assert row is not None
    return row


def _of_people(method: str, path: str) -> Sequence[int]:
    """Users that are named wrongly, and what is expensive."""
    row = _row(method, path)
    named = (400,) if row.rule in (Rule.USER, Rule.SESSION) else ()
    return (*named, 429) if row.expensive or row.named is Named.FORWARDED else named


@asynccontextmanager
async def _workspace(folder: Path) -> AsyncIterator[Plane]:
    signature = ("signature", "timestamp", "nonce")
    settings = load(
        WorkspaceSettings,
        WORKSPACE_NODE_INTERNAL_SHARED_SECRET=_SECRET,
        FUNAI_WORKSPACE_NGINXAUTHTOKEN=_SECRET[::-1],
        FUNAI_WORKSPACE_HOSTROOT=folder / "root",
        FUNAI_WORKSPACE_STATEROOT=folder / "state",
        FUNAI_WORKSPACE_IMAGE="busybox:1.36",
        FUNAI_WORKSPACE_QUOTA="soft",
        FUNAI_WORKSPACE_FIREWALL=False,
        FUNAI_WORKSPACE_GIT_ENABLED=True,
        FUNAI_WORKSPACE_GIT_LOANS_DIR=folder / "loans",
        FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH=folder / "known_hosts",
        DOCKER_HOST=f"unix://{folder}/none.sock",
    )
    async with AsyncExitStack() as stack:
        app = workspace.build_app(settings, await open_parts(settings, stack))
        yield Plane(
            title="Fun AI Studio: workspace node",
            about="Workspaces: containers, files, git, runs, terminals, previews and databases for development.",
            app=app,
            problems=WORKSPACE_PROBLEMS,
            schemes={
                "signature": _key(signing.SIGNATURE, "of the whole request, by the API entry (`protocol/signing.py`)"),
                "timestamp": _key(signing.TIMESTAMP, "seconds since 1970 when it was signed"),
                "nonce": _key(signing.NONCE, "16 to 64 characters that no other request has"),
                "gateway": _key(headers.WORKSPACE_GATEWAY_TOKEN, "the gateway of the node"),
            },
            guards=_by_gate(app, lambda gate: (gate.name,) if gate.name == "gateway" else signature),
            always=(413,),
            # A workspace that is another node's, or on its way.
            more=lambda _method, path: (409, 503) if fenced(path) else (),
        )


#: Each daemon with all of its routes, nothing of it started; files of its own are in a folder.
PLANES: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[Plane]]]] = {
    "agent": _agent,
    "api": _api,
    "deploy": _deploy,
    "workspace": _workspace,
}
