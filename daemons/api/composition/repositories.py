"""Repositories of apps and what is pushed to them, over the API's parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api.adapters.git_orders import FolderHost
from daemons.api.adapters.sql.loans import SqlLoans
from daemons.api.adapters.sql.pushes import SqlPushes
from daemons.api.adapters.sql.repositories import SqlRepositories
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.loans import LoanEnded, LoanExists, TooManyLoans
from daemons.api.http.loans import LoanRoutes
from daemons.api.http.pushes import PushRoutes
from daemons.api.ports import AppStore
from daemons.api.ports.loans import LentKeys
from daemons.api.ports.repositories import RepositoryHost, RepositoryTrouble
from daemons.api.services.deployments import Deployments
from daemons.api.services.loans import Lenders, LoanRefused, Loans, NotLent, NotTakenBack
from daemons.api.services.ownership import Ownership
from daemons.api.services.pushes import Pushes
from daemons.api.services.repositories import Repositories
from daemons.kit.problems import Problems
from daemons.kit.sql import Database, DatabaseUnavailable
from daemons.kit.tasks import background, every
from protocol.errors import ErrorReason
from protocol.pushes import PushSignatureRefused

REPOSITORY_PROBLEMS: Final[Problems] = {
    PushSignatureRefused: (401, ErrorReason.UNAUTHORIZED),
    LoanRefused: (403, ErrorReason.FORBIDDEN),
    LoanExists: (409, ErrorReason.ALREADY_EXISTS),
    LoanEnded: (409, ErrorReason.CHANGED),
    TooManyLoans: (429, ErrorReason.RATE_LIMITED),
    NotLent: (503, ErrorReason.UNAVAILABLE),
    NotTakenBack: (503, ErrorReason.UNAVAILABLE),
}
_TIDY_SECONDS: Final = 3600.0
_SWEEP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class RepositoryParts:
    """Who hosts repositories, what new ones begin with, what pushes to them are signed with, and who lets in keys that
    are lent; without `keys` none are."""

    host: RepositoryHost = field(default_factory=lambda: FolderHost(None, None))
    files: Mapping[str, str] = field(default_factory=dict)
    push_secrets: Sequence[str] = field(default=(), repr=False)
    keys: LentKeys | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What else of the API pushes have to do with."""

    apps: AppStore
    ownership: Ownership
    deployments: Deployments


class RepositoriesOfApi:
    """Who sets repositories up, and what is pushed to them."""

    def __init__(self, database: Database, parts: RepositoryParts, hosting: Hosting) -> None:
        self.service = Repositories(SqlRepositories(database), parts.host, hosting, parts.files)
        self.host = parts.host
        self._database = database
        self._hosting = hosting
        self._secrets = parts.push_secrets
        self._keys = parts.keys

    def add_to(self, app: web.Application, around: Around) -> None:
        """The routes, and who sets repositories up and deploys what is pushed."""
        store = SqlPushes(self._database)
        pushes = Pushes(store, around.apps, around.ownership, around.deployments, self._hosting)
        app.add_routes(PushRoutes(pushes, self._secrets).table())

        async def tidy() -> None:
            await every(_TIDY_SECONDS, pushes.tidy, expected=(DatabaseUnavailable,))

        app.cleanup_ctx.append(background(self.service.run, pushes.run, tidy))
        self._add_loans(app, around.ownership)

    def _add_loans(self, app: web.Application, ownership: Ownership) -> None:
        lenders = Lenders(self._keys, ownership, SqlWorkspaces(self._database), self._hosting)
        loans = Loans(SqlLoans(self._database), lenders)
        app.add_routes(LoanRoutes(loans).table())

        async def sweep() -> None:
            await every(_SWEEP_SECONDS, loans.sweep, expected=(RepositoryTrouble, DatabaseUnavailable))

        app.cleanup_ctx.append(background(loans.run, sweep))
