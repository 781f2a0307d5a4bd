"""The store for many small transactions at once: those that wait while one commits are made one transaction.

Each is carried out as if alone, by the rules of `daemons.kit.lockstep`; what cannot share a transaction gets one of its
own. A commit whose outcome is unknown is unknown for all that were in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from daemons.deploy.adapters.store import SqlStore
from daemons.deploy.ports import Store, Transaction
from daemons.kit.batches import Batches, Done, Failed, Later
from daemons.kit.lockstep import Change, Lookup, NotTogether, Rules

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]
_MOST: Final = 64

RULES: Final[Rules] = {
    "job_locked": Lookup("jobs_locked", "id", locks="job"),
    "job": Lookup("jobs_named", "id"),
    "newest_created": Lookup("newest_created_of", "app_id"),
    "active_jobs": Lookup("active_jobs_of", "app_id"),
    "node": Lookup("nodes_together", "id"),
    "ended_jobs": Lookup("ended_jobs_of", "app_id"),
    "placement": Lookup("placements_together", "app_id"),
    "app_run": Lookup("app_runs_together", "app_id"),
    "newest_release": Lookup("newest_releases_together", "app_id"),
    "lock_app": Change(exact=False, key="app_id", locks="app"),
    "insert_job": Change(key="id"),
    "save_job": Change("save_jobs", key="id"),
    "append_event": Change(),
    "insert_delivery": Change(key="app_id"),
    "put_app_run": Change(exact=False, key="app_id"),
    "insert_release": Change(key="app_id"),
}


class GroupedStore:
    """The port `Store` over a store of our own. Made by `grouped`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._batches = Batches[Work[Any], Any](self._carry_out, most=_MOST)

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction, which it may share. Raises what `SqlStore.transact` raises."""
        result: T = await self._batches.do(work)
        return result

    async def check(self) -> None:
        """Raises StoreUnavailable unless the database answers now."""
        await self._store.check()

    async def _carry_out(self, works: Sequence[Work[Any]]) -> Sequence[Done[Any] | Failed | Later]:
        if len(works) == 1:
            return [await self._alone(works[0])]
        try:
            return await self._store.together(works, RULES)
        except NotTogether:
            return [await self._alone(work) for work in works]

    async def _alone(self, work: Work[Any]) -> Done[Any] | Failed:
        try:
            return Done(await self._store.transact(work))
        except Exception as error:  # noqa: BLE001 - it is the outcome of this work alone
            return Failed(error)


def grouped(store: Store) -> Store:
    """The store with group commit; one that is not ours is answered as it is."""
    return GroupedStore(store) if isinstance(store, SqlStore) else store
