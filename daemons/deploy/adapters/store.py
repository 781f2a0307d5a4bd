"""The store over SQL: SQLite or MariaDB/MySQL, one code path.

`sqlite:///:memory:` is also the tests' in-memory twin. What each table means stands in `sql/schema.mysql.sql`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from daemons.deploy.adapters.history import History, enter, promote
from daemons.deploy.adapters.store_catalogue import CatalogueStatements
from daemons.deploy.adapters.store_claims import ClaimStatements
from daemons.deploy.adapters.store_drains import DrainStatements, ResidentStatements
from daemons.deploy.adapters.store_events import EventStatements
from daemons.deploy.adapters.store_idempotency import IdempotencyStatements
from daemons.deploy.adapters.store_jobs import JobStatements
from daemons.deploy.adapters.store_listing import JobListStatements
from daemons.deploy.adapters.store_logs import LogStatements
from daemons.deploy.adapters.store_nodes import (
    AppRunStatements,
    NodeStatements,
    Recent,
    RunnerStatements,
)
from daemons.deploy.adapters.store_operations import OperationStatements
from daemons.deploy.adapters.store_placements import PlacementStatements
from daemons.deploy.adapters.store_releases import ReleaseStatements, ReviewStatements
from daemons.deploy.adapters.store_replicas import SingletonStatements
from daemons.deploy.adapters.store_tombstones import TombstoneStatements
from daemons.deploy.adapters.store_waiting import WaitingStatements
from daemons.deploy.adapters.store_webhooks import WebhookStatements
from daemons.deploy.domain.nodes import Runner, RuntimeNode
from daemons.deploy.ports import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.kit.batches import Done, Failed, Later
from daemons.kit.lockstep import Lockstep, Rules
from daemons.kit.sql import (
    POOL_SIZE,
    TRANSACTION_SECONDS,
    CommitUnknown,
    Database,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Session,
    StatementFailed,
    load_queries,
    migrate,
    open_database,
)

T = TypeVar("T")
COMPONENT: Final = "deploy"
_FOLDER: Final = Path(__file__).parent / "sql"
_QUERIES: Final = load_queries(_FOLDER / "queries")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What all transactions of one process share besides the database; `delivers` has ended jobs write down what the
    webhook is to be told."""

    history: History = field(default_factory=History)
    nodes: Recent[RuntimeNode] = field(default_factory=lambda: Recent(lambda node: node.id))
    runners: Recent[Runner] = field(default_factory=lambda: Recent(lambda runner: runner.id))
    delivers: bool = False


class SqlTransaction(
    JobStatements,
    ClaimStatements,
    IdempotencyStatements,
    NodeStatements,
    PlacementStatements,
    AppRunStatements,
    RunnerStatements,
    EventStatements,
    LogStatements,
    ReleaseStatements,
    ReviewStatements,
    SingletonStatements,
    OperationStatements,
    CatalogueStatements,
    TombstoneStatements,
    WaitingStatements,
    WebhookStatements,
    JobListStatements,
    DrainStatements,
    ResidentStatements,
):
    """One open transaction: every port's statements."""

    def __init__(self, session: Session, shared: Remembered) -> None:
        super().__init__(session)
        self.recent_nodes, self.recent_runners, self.delivers = shared.nodes, shared.runners, shared.delivers

    async def now(self) -> int:
        """The database's clock in epoch milliseconds."""
        return await self._session.now()


class SqlStore:
    """The port `Store`. Made by `open_store`.

    `urgent` is the same store over a few connections that are kept for what must not wait behind other work.
    """

    def __init__(self, database: Database, shared: Remembered | None = None) -> None:
        self._database = database
        self._shared = shared or Remembered()
        alone = database.urgent is database
        self.urgent: Store = self if alone else SqlStore(database.urgent, self._shared)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction. Raises StoreUnavailable and OutcomeUnknown."""

        made: list[SqlTransaction] = []

        async def inside(session: Session) -> T:
            made[:] = [SqlTransaction(session, self._shared)]
            return await work(made[0])

        with _translated(), _refused_later(), self._looked_after(made):
            return await self._database.transact(inside)

    async def together(
        self, works: Sequence[Callable[[Transaction], Awaitable[T]]], rules: Rules
    ) -> list[Done[T] | Failed | Later]:
        """Run all in one transaction, one outcome for each. Raises NotTogether, StoreUnavailable and OutcomeUnknown:
        then nothing was changed, or, after the last, nobody knows."""

        made: list[SqlTransaction] = []

        async def inside(session: Session) -> list[Done[T] | Failed | Later]:
            made.clear()
            return await Lockstep(session, rules).run([partial(self._in_session, work, made) for work in works])

        with _translated(), _refused_later(), self._looked_after(made):
            return await self._database.transact(inside)

    async def check(self) -> None:
        """Raises StoreUnavailable unless the database answers now."""
        with _translated(), _refused_later():
            await self._database.check()

    async def _in_session(
        self, work: Callable[[Transaction], Awaitable[T]], made: list[SqlTransaction], session: Session
    ) -> T:
        made.append(SqlTransaction(session, self._shared))
        return await work(made[-1])

    @contextmanager
    def _looked_after(self, made: Sequence[SqlTransaction]) -> Iterator[None]:
        """What the process remembers of a transaction that ends here: its newest event if it was committed, and that
        what is known of nodes and runners is out of date if it wrote one, committed or in doubt."""
        done = False
        try:
            yield
            done = True
        finally:
            beaten = [node for each in made for node in each.beaten]
            if any(each.nodes_changed for each in made) or (beaten and not done):
                self._shared.nodes.forget()
            elif beaten:
                self._shared.nodes.refresh(beaten)
            if any(each.runners_changed for each in made):
                self._shared.runners.forget()
        self._shared.history.committed(max((each.appended for each in made), default=0))


@asynccontextmanager
async def open_store(
    url: str,
    *,
    pool_size: int = POOL_SIZE,
    transaction_seconds: float = TRANSACTION_SECONDS,
    delivers: bool = False,
) -> AsyncIterator[SqlStore]:
    """The store at a database URL for the duration of the block, its schema brought up to date; with `delivers` ended
    jobs write down what the webhook is to be told.

    Raises StoreUnavailable when nobody answers, and DatabaseMisconfigured when something has to be mended first: the
    URL, the grants, a server that does not make commits durable, or a schema that is newer than this program.
    """
    async with AsyncExitStack() as stack:
        with _translated():
            history = History()
            opening = open_database(
                url, _QUERIES, pool_size=pool_size, transaction_seconds=transaction_seconds, guard=history.admit
            )
            database = await stack.enter_async_context(opening)
            with _foreign_tables_refused():
                await migrate(database, COMPONENT, _FOLDER / "migrations")
                await database.transact(_look_at_tables)
            if database.driver.dialect == "mysql":
                async with database.driver.connection(asyncio.get_running_loop().time() + transaction_seconds) as one:
                    await enter(database.driver, one)
                    await one.commit()
                    await history.admit(one)
                    await one.abandon()
        yield SqlStore(database, Remembered(history, delivers=delivers))


async def promote_store(url: str) -> tuple[int, int]:
    """Go on with the history of the database at this URL, whatever server it is; the new epoch, and the newest event it
    has. Raises StoreUnavailable and DatabaseMisconfigured."""
    async with AsyncExitStack() as stack:
        with _translated():
            database = await stack.enter_async_context(open_database(url, _QUERIES))
            if database.driver.dialect != "mysql":
                raise DatabaseMisconfigured("there is nothing to promote: the database is a file")
            found = await promote(database.driver)
    return found.epoch, found.newest


async def _look_at_tables(session: Session) -> None:
    await session.rows("known_tables")


@contextmanager
def _foreign_tables_refused() -> Iterator[None]:
    """A migration or the look at its tables fails for good only on tables that somebody else made."""
    try:
        yield
    except StatementFailed as error:
        raise DatabaseMisconfigured(
            f"the database has fun_ai_deploy_ tables that are not ours ({error}); give us a database of our own"
        ) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except CommitUnknown as error:
        raise OutcomeUnknown(str(error)) from error
    except DatabaseUnavailable as error:
        raise StoreUnavailable(str(error)) from error


@contextmanager
def _refused_later() -> Iterator[None]:
    """Once the store was open, a server that refuses us (a changed password, say) is as good as away."""
    try:
        yield
    except DatabaseMisconfigured as error:
        raise StoreUnavailable(str(error)) from error
