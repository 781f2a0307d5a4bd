"""The daemons as real servers on ports of their own, and callers that everything is open to."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from daemons.agent.composition.databases import DatabaseParts
from daemons.agent.settings import AgentSettings
from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.rates import Rate
from daemons.kit.settings import load
from protocol import headers
from protocol.accounts import Role
from protocol.client.api import bearer
from tests.http.api import conftest as api
from tests.http.deploy import plane as deploy
from tests.support.agent_served import listening, twin_parts
from tests.support.agent_twins import TwinEngine
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.workspace_calls import SECRET as NODE_SECRET
from tests.support.workspace_node import GATEWAY_TOKEN, SECRET, Node, new_user, node

_USERS: Final = "/api/fun-ai/admin/users"
_PASSED_ON: Final = f"^{PREFIX}/(?!internal/)"
_NOWHERE: Final = "http://127.0.0.1:1"
#: What no schema tells how to make.
EVERYWHERE: Final[Mapping[str, Sequence[object]]] = {
    "nodeId": [1],
    **{name: [_NOWHERE] for name in ("nginxBaseUrl", "apiBaseUrl", "agentBaseUrl", "gatewayBaseUrl")},
    "repoSshUrl": ["ssh://git@git.example.org:2222/funai/u1-app20001.git"],
    "gitRef": ["main"],
    "healthCheckPath": ["/"],
    "dockerfilePath": ["Dockerfile"],
    "buildContext": ["."],
    "basePath": [None],
    "newPassword": ["another correct horse battery"],
    "publicKey": [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0pVw6vJj5LzXkG1Yy8v5o2m0fGk3yq3bq0m0Y4o7lN contracts",
    ],
    "collection": ["things"],
    "doc": ['{"a": 1}'],
    "filter": ["{}"],
    "update": ['{"$set": {"n": 2}}'],
}
_IMAGE: Final = "funai/u7-app5:aaaaaaaaaaaa-1"
_TOKEN: Final = "runtime-token-of-contracts"


@dataclass(frozen=True)
class Served:
    """`proofs` are headers that open every route. `known` are values that fields of those names may have, in paths and
    bodies also by `path.` or `body.` before the name, or of one route by its path and a space. `unreachable` are the
    answers of routes whose peers are not there, the secrets sign, and `options` are Schemathesis's."""

    daemon: str
    url: str
    proofs: Mapping[str, str]
    known: Mapping[str, Sequence[object]] = field(default_factory=dict)
    unreachable: Sequence[int] = ()
    secret: str = ""
    delivery_secret: str = ""
    options: Sequence[str] = ()


@asynccontextmanager
async def deploy_served() -> AsyncIterator[Served]:
    """The control plane with a running and a waiting job, over an agent that does what it is told."""
    async with deploy.serving() as served:
        job = await served.claimed("20001")
        waiting = await served.create("20002")
        await served.beat(agentBaseUrl=deploy.NOWHERE)
        proofs = {deploy.HEADERS[role]: deploy.TOKENS[role] for role in ("admin", "api", "runner", "node", "gateway")}
        known: dict[str, Sequence[object]] = {
            "job_id": [job.id, waiting.id],
            **{name: ["20001", "20002"] for name in ("app_id", "appId")},
            **{name: ["n1"] for name in ("name", "node", "nodeName")},
            **{name: ["1"] for name in ("number", "drain_id")},
            # What forgets something forgets what is nobody's.
            **{f"/deploy/apps/{order} appId": ["20009"] for order in ("purge", "cleanup")},
            "/admin/runtime-nodes/{name} name": ["n9"],
            "userId": ["1"],
            "runnerId": ["r1"],
            "leaseToken": [job.lease_token],
            "X-Lease-Token": [job.lease_token],
        }
        # What is asked of the apps' databases finds no agent at n1.
        yield Served("deploy", served.url, proofs, known, unreachable=(502, 503))


@asynccontextmanager
async def agent_served() -> AsyncIterator[Served]:
    """An agent over twins, with a database server."""
    engine, databases = TwinEngine(local={_IMAGE: "sha256:1"}), TwinDatabases()
    parts = twin_parts(engine, database=DatabaseParts(databases, databases, TwinAccounts()))
    settings: dict[str, object] = {
        "RUNTIME_AGENT_TOKEN": _TOKEN,
        "DEPLOY_BASE_URL": "http://127.0.0.1:1",
        "DEPLOY_NODE_TOKEN": "node-token-of-contracts",
        "RUNTIME_START_SECONDS": "0.2",
        "RUNTIME_MONGO_HOST": "mongo.test",
    }
    async with listening(load(AgentSettings, **settings), parts) as (_, url):
        known = {"userId": ["7"], "appId": ["5"], "image": [_IMAGE]}
        yield Served("agent", url, {headers.AGENT_TOKEN: _TOKEN}, known)


@asynccontextmanager
async def api_served(folder: Path) -> AsyncIterator[Served]:
    """The API with an admin, who has an app with a job and comes with a key: no order of theirs ends it. No workspace
    node is there, and accounts that are changed are another's."""
    accounts = replace(api.ACCOUNTS, dear=Rate(100_000, 100_000))
    async with api.serving(folder, accounts=accounts, moving=True) as served:
        person = await api.with_account(served, "contracts", Role.ADMIN, user_id=1)
        await api.with_account(served, "another", Role.USER, user_id=2)
        order = {"title": "contracts", "role": Role.ADMIN.value}
        made = await served.raw.post("/api/fun-ai/user/api-keys", json=order, headers=bearer(person.access_token))
        node = {"nodeName": "ws-1", "nginxBaseUrl": _NOWHERE, "apiBaseUrl": _NOWHERE}
        beat = "/api/fun-ai/admin/workspace-nodes/heartbeat"
        await served.raw.post(beat, json=node, headers={headers.WORKSPACE_NODE_TOKEN: api.NODE_TOKEN})
        apps = [str((await served.owner.create_app()).id) for _ in range(3)]
        jobs = [(await served.owner.deploy(app)).id for app in apps]
        served.databases.deployed.update({int(app): 1 for app in apps})
        proofs = {
            **bearer(made.json()["data"]["key"]),
            headers.ADMIN_TOKEN: api.ADMIN,
            headers.WORKSPACE_NODE_TOKEN: api.NODE_TOKEN,
            headers.WORKSPACE_GATEWAY_TOKEN: api.GATEWAY,
        }
        known = {
            "userId": ["1"],
            **{f"{_USERS}/{order} userId": ["2"] for order in ("set-enabled", "set-role", "set-password")},
            "appId": apps[:2],
            # A deletion waits for the node, which is not there.
            **{f"/api/fun-ai/{order} appId": ["29999"] for order in ("app/delete", "admin/apps/delete")},
            "jobId": jobs,
            "nodeName": ["ws-1"],
        }
        yield Served(
            "api",
            served.url,
            proofs,
            known,
            unreachable=(502, 503),
            delivery_secret=api.WEBHOOK_NEW,
            options=("--exclude-path-regex", _PASSED_ON),
        )


@asynccontextmanager
async def forwarding_served(docker_url: str, folder: Path) -> AsyncIterator[Served]:
    """The API before a workspace node over a real engine, for what it passes on, with a user who has an app."""
    user_id, accounts = new_user(), replace(api.ACCOUNTS, dear=Rate(100_000, 100_000))
    async with (
        _workspace_node(docker_url, folder, WORKSPACE_NODE_INTERNAL_SHARED_SECRET=NODE_SECRET) as behind,
        api.serving(folder, accounts=accounts, users={int(user_id): [api.OWNER]}) as served,
    ):
        beat = {"nodeName": "ws-1", "nginxBaseUrl": behind.url, "apiBaseUrl": behind.url}
        proof = {headers.WORKSPACE_NODE_TOKEN: api.NODE_TOKEN}
        await served.raw.post("/api/fun-ai/admin/workspace-nodes/heartbeat", json=beat, headers=proof)
        app_id, proofs = str((await served.owner.create_app()).id), bearer(api.OWNER)
        made = await served.raw.post(f"{PREFIX}/files/ensure-dir?appId={app_id}", headers=proofs)
        assert made.status_code == 200, made.text
        known = {"appId": [app_id]}
        which = ("--include-path-regex", _PASSED_ON)
        yield Served("api", served.url, proofs, known, unreachable=(502, 503, 504), options=which)


@asynccontextmanager
async def session_served(folder: Path) -> AsyncIterator[Served]:
    """The API with somebody who logged in, for what is open to nobody else. A logout would end that."""
    async with api.serving(folder, moving=True) as served:
        person = await api.with_account(served, "contracts", Role.ADMIN, user_id=1)
        which = ("--include-path-regex", "/user/|/auth/", "--exclude-path", "/api/fun-ai/auth/logout")
        yield Served("api", served.url, bearer(person.access_token), unreachable=(503,), options=which)


def _workspace_node(docker_url: str, folder: Path, **more: Any) -> AbstractAsyncContextManager[Node]:
    """Its git server is away."""
    git: dict[str, Any] = {
        "FUNAI_WORKSPACE_GIT_ENABLED": True,
        "FUNAI_WORKSPACE_GIT_LOANS_DIR": folder / "loans",
        "FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH": folder / "known_hosts",
    }
    return node(docker_url, folder, **git, **more)


@asynccontextmanager
async def workspace_served(docker_url: str, folder: Path) -> AsyncIterator[Served]:
    """A workspace node over a real engine, with a user who has an app."""
    async with _workspace_node(docker_url, folder) as served:
        user_id = new_user()
        async with served.client(user_id) as client:
            await client.ensure()
        (served.home(user_id) / "apps" / "5").mkdir()
        proofs = {headers.WORKSPACE_GATEWAY_TOKEN: GATEWAY_TOKEN}
        yield Served(
            "workspace", served.url, proofs, {"userId": [user_id], "appId": ["5"]}, unreachable=(503,), secret=SECRET
        )
