"""The database: transactions over all rows.

`Store.transact` runs a function inside one transaction and may run it again after a deadlock, so the function does
nothing but read, decide and write through the transaction it is given. Row protocols are narrow; `Transaction` is their
sum.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from daemons.deploy.ports.catalogue import CatalogueRows
from daemons.deploy.ports.claims import ClaimRows
from daemons.deploy.ports.drains import DrainRows, ResidentRows
from daemons.deploy.ports.fleet import AppRunRows, NodeRows, PlacementRows, RunnerRows
from daemons.deploy.ports.history import EventRows, LogRows, ReleaseRows, ReviewRows
from daemons.deploy.ports.listing import JobListRows
from daemons.deploy.ports.operations import OperationRows
from daemons.deploy.ports.replicas import SingletonRows
from daemons.deploy.ports.tombstones import TombstoneRows
from daemons.deploy.ports.waiting import WaitingRows
from daemons.deploy.ports.webhooks import WebhookRows
from daemons.deploy.ports.work import IdempotencyRows, JobRows

T = TypeVar("T")


class Transaction(
    JobRows,
    ClaimRows,
    IdempotencyRows,
    NodeRows,
    PlacementRows,
    AppRunRows,
    RunnerRows,
    EventRows,
    LogRows,
    ReleaseRows,
    ReviewRows,
    SingletonRows,
    OperationRows,
    CatalogueRows,
    TombstoneRows,
    WaitingRows,
    WebhookRows,
    JobListRows,
    DrainRows,
    ResidentRows,
    Protocol,
):
    """One open transaction."""

    async def now(self) -> int:
        """The database's clock in epoch milliseconds."""
        ...


class Store(Protocol):
    """The database."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit; run it again after a deadlock or a lock timeout.

        Raises StoreUnavailable when the database does not answer in time, and OutcomeUnknown when the commit itself
        failed.
        """
        ...

    async def check(self) -> None:
        """Raises StoreUnavailable unless the database answers now."""
        ...


class StoreUnavailable(Exception):
    """The database does not answer; nothing was changed."""


class OutcomeUnknown(StoreUnavailable):
    """The commit failed on the way: the change may or may not have happened."""
