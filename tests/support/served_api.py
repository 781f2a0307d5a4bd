"""An API server on a port of its own, over an empty database, for calls of users that a test names."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from aiohttp import web

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.deploy_operations import NoDeployOperations
from daemons.api.adapters.node_moves import HttpMovingNodes
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.app import Parts, build_app
from daemons.api.composition.accounts import AccountParts
from daemons.api.composition.repositories import RepositoryParts
from daemons.api.composition.workspaces import NodeTokens, WorkspaceParts
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.workspaces import PlacementPolicy
from daemons.api.ports import DeployPlane
from daemons.api.ports.databases import AppDatabases
from daemons.api.ports.deploy_operations import DeployOperations
from daemons.api.services.moving import Pace
from daemons.kit.auth import Network
from daemons.kit.clock import SystemClock
from daemons.kit.sql import migrate, open_database
from protocol.headers import WORKSPACE_NODE_TOKEN
from tests.support.app_databases import MemoryAppDatabases
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.openapi.watching import contracted

ADMIN, NODE_TOKEN = "admin-token-0123456789", "node-token-0123456789"
POLICY = PlacementPolicy()
QUICK = Pace(at_once=2, keep_seconds=0, pause_seconds=0.05)


@asynccontextmanager
async def served_api(
    folder: Path,
    secret: str,
    tokens: Mapping[int, str],
    port: int = 0,
    networks: Sequence[Network] = (),
    pace: Pace = QUICK,
    policy: PlacementPolicy = POLICY,
    plane: DeployPlane | None = None,
    databases: AppDatabases | None = None,
    operations: DeployOperations | None = None,
    accounts: AccountParts | None = None,
    access_log: logging.Logger | None = None,
    repositories: RepositoryParts | None = None,
    own_tokens: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """Its address; `secret` is what it signs calls to nodes with, `tokens` are those of its users, `networks` where
    nodes and operators may call from, `plane` is the control plane, else one in memory, as are `databases` without one,
    and `operations` what operators have of one; `access_log` gets a line for each request, as aiohttp writes it.
    `repositories` are whose they are, and `own_tokens` those of nodes that have some."""
    calls = HttpNodeCalls(secret)
    async with open_database(f"sqlite:///{folder}/api.db", QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        app = await build_app(
            Parts(
                database=database,
                plane=plane or MemoryDeployPlane(SystemClock()),
                databases=databases or MemoryAppDatabases(),
                access=DiskGitAccess(folder / "access.json", folder / "bot.pub"),
                hosting=Hosting("git.example.org", 2222),
                workspaces=WorkspaceParts(
                    calls,
                    calls,
                    NodeTokens([NODE_TOKEN], own_tokens or {}, networks),
                    moving=HttpMovingNodes(calls),
                    pace=pace,
                    policy=policy,
                ),
                user_tokens={user: [token] for user, token in tokens.items()},
                admin_tokens=[ADMIN],
                admin_networks=networks,
                operations=operations or NoDeployOperations(),
                accounts=accounts or AccountParts(),
                repositories=repositories or RepositoryParts(),
            )
        )
        runner = web.AppRunner(app, access_log=access_log, shutdown_timeout=5.0)
        with contracted(app, "api"):
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()
                await calls.close()


async def hear(api: str, node: str, name: str = "ws-1", token: str = NODE_TOKEN) -> None:
    """The API hears of a node at that address."""
    body = {"nodeName": name, "nginxBaseUrl": node, "apiBaseUrl": node}
    async with httpx.AsyncClient(base_url=api, trust_env=False, verify=False) as client:
        path = "/api/fun-ai/admin/workspace-nodes/heartbeat"
        (await client.post(path, json=body, headers={WORKSPACE_NODE_TOKEN: token})).raise_for_status()
