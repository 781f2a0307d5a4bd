"""A real API server on a port of its own, over an empty database and a control plane in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from aiohttp import web

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.node_moves import HttpMovingNodes
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.app import Parts, build_app
from daemons.api.composition.accounts import AccountParts
from daemons.api.composition.repositories import RepositoryParts
from daemons.api.composition.workspaces import NodeTokens, WorkspaceParts
from daemons.api.domain.deployments import Hosting
from daemons.api.ports.loans import LentKeys
from daemons.kit.auth import Network
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, migrate, open_database
from protocol.accounts import LoggedIn, Role
from protocol.api import GitAccessFile
from protocol.client.api import ApiAdminClient, ApiClient, bearer
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN
from tests.support.app_databases import MemoryAppDatabases
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.domain_proofs import ProofsTwin
from tests.support.openapi.watching import contracted
from tests.support.workspace_calls import SECRET as NODE_SECRET

OWNER, OTHER, ADMIN = "owner-token-0123456789", "other-token-0123456789", "admin-token-0123456789"
NODE_TOKEN, OWN_NODE_TOKEN, GATEWAY = "node-token-0123456789", "own-node-token-0123456789", "gateway-token-012345"
USERS: Mapping[int, Sequence[str]] = {1: [OWNER], 2: [OTHER]}

#: No answer to a deletion waits so long, unless a test has it wait: what is slow here is slow.
LONG_MS = 60_000
PASSWORD = "correct horse battery staple"
ACCOUNTS = AccountParts(["jwt-secret-of-the-tests-0123456789"])

WEBHOOK_OLD, WEBHOOK_NEW = "webhook-secret-of-last-year", "webhook-secret-of-this-year"
PUSH_OLD, PUSH_NEW = "push-secret-of-last-year", "push-secret-of-this-year"


@dataclass
class Api:
    """A running server, its parts, and callers of each kind."""

    url: str
    app: web.Application
    plane: MemoryDeployPlane
    database: Database
    folder: Path
    owner: ApiClient
    other: ApiClient
    admin: ApiAdminClient
    raw: httpx.AsyncClient
    calls: HttpNodeCalls
    proofs: ProofsTwin
    databases: MemoryAppDatabases

    def access(self) -> GitAccessFile:
        return GitAccessFile.model_validate_json((self.folder / "access.json").read_bytes())


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    accounts: AccountParts = ACCOUNTS,
    networks: Sequence[Network] = (),
    proxies: Sequence[Network] = (),
    moving: bool = False,
    database_url: str = "sqlite:///:memory:",
    deletion_wait_ms: int = LONG_MS,
    users: Mapping[int, Sequence[str]] = USERS,
    keys: LentKeys | None = None,
) -> AsyncIterator[Api]:
    """A server; `networks` are where operators and nodes may call from, `proxies` are trusted, `users` have tokens of
    the settings, `keys` lets lent ones in."""
    plane, databases = MemoryDeployPlane(SystemClock()), MemoryAppDatabases()
    calls, proofs = HttpNodeCalls(NODE_SECRET), ProofsTwin()
    nodes = NodeTokens([NODE_TOKEN], {"ws-own": OWN_NODE_TOKEN}, networks)
    workspaces = WorkspaceParts(calls, calls, nodes, [GATEWAY], moving=HttpMovingNodes(calls) if moving else None)
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        app = await build_app(
            Parts(
                database=database,
                plane=plane,
                databases=databases,
                access=DiskGitAccess(folder / "access.json", folder / "bot.pub"),
                hosting=Hosting("git.example.org", 2222, registry="registry.example.org:5000", namespace="funaistudio"),
                workspaces=workspaces,
                user_tokens=users,
                admin_tokens=[ADMIN],
                webhook_secrets=[WEBHOOK_NEW, WEBHOOK_OLD],
                repositories=RepositoryParts(push_secrets=[PUSH_NEW, PUSH_OLD], keys=keys),
                admin_networks=networks,
                trusted_proxies=proxies,
                proofs=proofs,
                accounts=accounts,
                deletion_wait_ms=deletion_wait_ms,
            )
        )
        runner = web.AppRunner(app)
        with contracted(app, "api"):
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                async with (
                    Transport(url, bearer(OWNER)) as owner,
                    Transport(url, bearer(OTHER)) as other,
                    Transport(url, {ADMIN_TOKEN: ADMIN}) as admin,
                    httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as raw,
                ):
                    clients = ApiClient(owner), ApiClient(other), ApiAdminClient(admin)
                    yield Api(url, app, plane, database, folder, *clients, raw, calls, proofs, databases)
            finally:
                await runner.cleanup()
                await calls.close()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as served:
        yield served


async def with_account(api: Api, name: str, role: Role, user_id: int | None = None) -> LoggedIn:
    """Somebody new with that role, or a user who is there, logged in."""
    order = {"userName": name, "password": PASSWORD, "role": role.value, "userId": user_id}
    made = await api.raw.post("/api/fun-ai/admin/users/create", json=order, headers={ADMIN_TOKEN: ADMIN})
    assert made.status_code == 200, made.text
    return await logged_in(api, name)


async def logged_in(api: Api, name: str, password: str = PASSWORD) -> LoggedIn:
    answer = await api.raw.post("/api/fun-ai/auth/login", json={"userName": name, "password": password})
    assert answer.status_code == 200, answer.text
    return LoggedIn.model_validate_json(orjson.dumps(answer.json()["data"]))
