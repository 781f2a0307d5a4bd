"""Apps as wholes, for whoever lists them: one page costs a handful of statements, whatever the tables hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.deploy.domain.apps import AppFacts, AppNotFound
from daemons.deploy.domain.operations import Operation
from daemons.deploy.ports import AppFilter, Store, Transaction


@dataclass(frozen=True, slots=True)
class AppList:
    """A page of apps by id, as of `now`; `more` when others follow."""

    now: int
    items: Sequence[AppFacts]
    more: bool = False


class Catalogue:
    """Reads apps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, wanted: AppFilter, after: str, limit: int) -> AppList:
        """Apps with an id above `after`, in order."""

        async def work(tx: Transaction) -> AppList:
            found = await tx.app_ids(wanted, after, limit + 1)
            return AppList(await tx.now(), await facts_of(tx, found[:limit]), len(found) > limit)

        return await self._store.transact(work)

    async def one(self, app_id: str) -> AppList:
        """A page with this app alone. Raises AppNotFound."""

        async def work(tx: Transaction) -> AppList:
            facts = await facts_of(tx, [app_id])
            if not facts[0].known:
                raise AppNotFound(app_id)
            return AppList(await tx.now(), facts)

        return await self._store.transact(work)


async def facts_of(tx: Transaction, app_ids: Sequence[str]) -> Sequence[AppFacts]:
    """All that is known of these apps, in the order of their ids."""
    placements, runs = await tx.placements_of(app_ids), await tx.app_runs_of(app_ids)
    running, pending = await tx.running_of(app_ids), await tx.pending_of(app_ids)
    owners, newest = await tx.owners_of(app_ids), await tx.newest_releases(app_ids)
    nodes = {node.id: node for node in await tx.nodes_lately()} if placements else {}
    operations: dict[str, list[Operation]] = {}
    for operation in await tx.pending_operations_of(app_ids):
        operations.setdefault(operation.app_id, []).append(operation)
    found = []
    for app_id in app_ids:
        placement = placements.get(app_id)
        facts = AppFacts(
            app_id=app_id,
            user_id=owners.get(app_id),
            placement=placement,
            node=nodes.get(placement.node_id) if placement else None,
            run=runs.get(app_id),
            active=[jobs[app_id] for jobs in (running, pending) if app_id in jobs],
            operations=operations.get(app_id, []),
            newest=newest.get(app_id),
        )
        found.append(facts)
    return found
