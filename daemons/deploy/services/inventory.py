"""Finds apps that nobody knows any more, and has them deleted through the outbox."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import inventory as rules
from daemons.deploy.domain.apps import AppFacts
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.inventory import Inventory, Verdict
from daemons.deploy.domain.operations import Sequel
from daemons.deploy.ports import AppFilter, Store, Transaction
from daemons.deploy.services.apps import Apps, Wish
from daemons.deploy.services.catalogue import facts_of
from daemons.deploy.services.operations import Operations
from protocol.operations import OperationKind

_PAGE: Final = 200

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Apps that are not listed: those that go and those that stay; `operations` is how many deletes were asked for."""

    known: int
    orphans: Sequence[Verdict]
    kept: Sequence[Verdict]
    operations: int = 0


class Inventories:
    """Compares inventories with what is known."""

    def __init__(self, store: Store, apps: Apps, operations: Operations) -> None:
        self._store = store
        self._apps = apps
        self._operations = operations

    async def take(self, inventory: Inventory, actor: Actor, *, dry_run: bool, confirm: int | None) -> Found:
        """What the inventory leads to; done unless it is a dry run. The same one again asks for nothing new.

        Raises InventoryRefused and TooManyOrphans.
        """
        rules.check(inventory, await self._store.transact(lambda tx: tx.now()))
        found = await self._compare(inventory)
        if dry_run:
            return found
        rules.limit(len(found.orphans), found.known, confirm)
        gone: list[Verdict] = []
        asked = 0
        kept = list(found.kept)
        for verdict in found.orphans:
            again, operations = await self._delete(verdict.facts.app_id, inventory.taken_at, actor)
            asked += operations
            (gone if again.reason is None else kept).append(again)
        self._operations.ring()
        logger.warning("an inventory had apps deleted", extra={"apps": len(gone), "known": found.known})
        return Found(found.known, gone, kept, asked)

    async def _compare(self, inventory: Inventory) -> Found:
        listed, after, known = frozenset(inventory.app_ids), "", 0
        verdicts: list[Verdict] = []
        while True:
            page, missing = await self._page(after, listed)
            known += len(page)
            verdicts += [rules.judge(facts, inventory.taken_at) for facts in missing]
            if len(page) < _PAGE:
                break
            after = page[-1]
        orphans = [verdict for verdict in verdicts if verdict.reason is None]
        return Found(known, orphans, [verdict for verdict in verdicts if verdict.reason is not None])

    async def _page(self, after: str, listed: frozenset[str]) -> tuple[Sequence[str], Sequence[AppFacts]]:
        """The ids of known apps above `after`, and what is known of those that are not listed."""

        async def work(tx: Transaction) -> tuple[Sequence[str], Sequence[AppFacts]]:
            page = await tx.app_ids(AppFilter(), after, _PAGE)
            missing = rules.unlisted(page, listed)
            return page, await facts_of(tx, missing) if missing else ()

        return await self._store.transact(work)

    async def _delete(self, app_id: str, taken_at: int, actor: Actor) -> tuple[Verdict, int]:
        """Judge the app once more, now that nobody else can change it, and ask for its delete."""

        async def work(tx: Transaction) -> tuple[Verdict, int]:
            await tx.lock_app(app_id)
            verdict = rules.judge((await facts_of(tx, [app_id]))[0], taken_at)
            if verdict.reason is not None or verdict.facts.user_id is None:
                return verdict, 0
            wish = Wish(OperationKind.DELETE, verdict.facts.user_id, app_id, "inventory", actor, Sequel.REMOVE_IMAGES)
            return verdict, len((await self._apps.ask_or_forget(tx, wish)).operations)

        return await self._store.transact(work)
