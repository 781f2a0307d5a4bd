"""Which apps nobody knows any more. An inventory that might not be the whole truth of now deletes nothing.

The existing system took an empty list for the truth and dropped every database. Times are epoch milliseconds.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.apps import AppFacts
from protocol.operations import OperationKind

MOST_AGE_MS: Final = 10 * 60_000
MOST_SKEW_MS: Final = 60_000
#: An app that something happened to shortly before may not have been counted yet.
GRACE_MS: Final = 10 * 60_000
MOST_SHARE: Final = 0.2


class InventoryRefused(Exception):
    """The inventory may not be the whole truth."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the inventory deletes nothing: {why}")


class TooManyOrphans(Exception):
    """It would delete suspiciously much."""

    def __init__(self, orphans: int, known: int) -> None:
        super().__init__(
            f"the inventory would delete {orphans} of {known} known apps, more than {MOST_SHARE:.0%}; look at the "
            f"answer of a dry run, and if it is right send it again with confirm = {orphans}"
        )
        self.data = {"orphans": orphans, "known": known}


@dataclass(frozen=True, slots=True)
class Inventory:
    """All apps that exist, as of `taken_at`."""

    taken_at: int
    complete: bool
    count: int
    app_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an app that is not listed; `reason` None means that it goes."""

    facts: AppFacts
    reason: str | None = None
    message: str | None = None


def check(inventory: Inventory, now: int) -> None:
    """Raises InventoryRefused."""
    if not inventory.complete:
        raise InventoryRefused("it does not say that it is complete")
    if not inventory.app_ids:
        raise InventoryRefused("it is empty")
    distinct = len(set(inventory.app_ids))
    if inventory.count != len(inventory.app_ids) or distinct != inventory.count:
        raise InventoryRefused(
            f"count is {inventory.count}, but it lists {len(inventory.app_ids)} apps, {distinct} of them different"
        )
    if now - inventory.taken_at > MOST_AGE_MS:
        raise InventoryRefused(
            f"it was taken {(now - inventory.taken_at) // 1000} s ago, more than {MOST_AGE_MS // 1000} s"
        )
    if inventory.taken_at - now > MOST_SKEW_MS:
        raise InventoryRefused(f"it is dated {(inventory.taken_at - now) // 1000} s into the future; set the clocks")


def judge(facts: AppFacts, taken_at: int) -> Verdict:
    """What becomes of an app that is not listed."""
    if facts.active:
        return Verdict(facts, "active_job", f"job {facts.active[0].id} of it is {facts.active[0].status.value}")
    if any(each.kind is OperationKind.DELETE and each.sequel.forgets for each in facts.operations):
        return Verdict(facts, "being_deleted", "its delete was asked for before")
    newest = max(_moments(facts), default=0)
    if newest > taken_at - GRACE_MS:
        return Verdict(facts, "too_new", "something happened to it shortly before the inventory was taken, or after")
    if facts.user_id is None:
        return Verdict(facts, "unknown_owner", "whose app it is cannot be told; use POST /deploy/apps/cleanup")
    return Verdict(facts)


def limit(orphans: int, known: int, confirm: int | None) -> None:
    """Raises TooManyOrphans unless the share is small or the number was confirmed."""
    if orphans and confirm != orphans and orphans > known * MOST_SHARE:
        raise TooManyOrphans(orphans, known)


def unlisted(app_ids: Sequence[str], listed: Collection[str]) -> list[str]:
    """Those that are not listed."""
    return [app_id for app_id in app_ids if app_id not in listed]


def _moments(facts: AppFacts) -> list[int]:
    moments: list[int | None] = []
    if facts.placement is not None:
        moments += [facts.placement.created_at, facts.placement.last_active_at]
    if facts.run is not None:
        moments += [facts.run.last_active_at, facts.run.last_deployed_at]
    return [moment for moment in moments if moment is not None]
