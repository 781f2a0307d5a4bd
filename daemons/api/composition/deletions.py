"""The deletion of apps, over the API's parts."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from daemons.api.adapters.node_upkeep import NodeUpkeep
from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.deployments import Hosting
from daemons.api.http.deletions import DeletionRoutes
from daemons.api.ports import DeployPlane
from daemons.api.ports.repositories import RepositoryHost
from daemons.api.ports.workspaces import NodeCalls
from daemons.api.services.deletions import ANSWER_MS, Deletions, Holders
from daemons.api.services.keys import KeyRing
from daemons.kit.sql import Database, DatabaseUnavailable
from daemons.kit.tasks import background, every

_TIDY_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PartHolders:
    """Who holds parts of apps."""

    keys: KeyRing
    plane: DeployPlane
    calls: NodeCalls
    hosting: Hosting
    repositories: RepositoryHost
    #: How long an answer waits at most, in milliseconds.
    wait_ms: int = ANSWER_MS


def add_deletions(app: web.Application, database: Database, parts: PartHolders) -> None:
    """The routes of deletions, and who carries them out."""
    workspaces = NodeUpkeep(SqlWorkspaces(database), parts.calls)
    holders = Holders(parts.keys, workspaces, parts.plane, parts.repositories, parts.hosting)
    deletions = Deletions(SqlDeletions(database), holders, wait_ms=parts.wait_ms)
    routes = DeletionRoutes(deletions)
    app.add_routes([*routes.table(), *routes.admin_table()])

    async def tidy() -> None:
        await every(_TIDY_SECONDS, deletions.tidy, expected=(DatabaseUnavailable,))

    app.cleanup_ctx.append(background(deletions.run, tidy))
