"""An inventory that might not be the whole truth deletes nothing."""

from dataclasses import replace

import pytest

from daemons.deploy.domain import inventory
from daemons.deploy.domain.apps import AppFacts
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.inventory import Inventory, InventoryRefused, TooManyOrphans
from daemons.deploy.domain.nodes import AppRun, Placement
from daemons.deploy.domain.operations import Request, Sequel, asked
from protocol.operations import OperationKind

NOW = 1_700_000_000_000
OLD = NOW - inventory.GRACE_MS - 1
GOOD = Inventory(NOW - 5_000, True, 2, ("a", "b"))
FACTS = AppFacts("c", "1", Placement("c", 1, OLD, OLD), None, AppRun("c", 1, None, "STOPPED", None, OLD, OLD), (), ())


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (replace(GOOD, complete=False), "complete"),
        (replace(GOOD, count=0, app_ids=()), "empty"),
        (replace(GOOD, count=3), "count is 3, but it lists 2 apps, 2 of them different"),
        (replace(GOOD, app_ids=("a", "a")), "1 of them different"),
        (replace(GOOD, taken_at=NOW - inventory.MOST_AGE_MS - 1), "taken 600 s ago"),
        (replace(GOOD, taken_at=NOW + inventory.MOST_SKEW_MS + 1), "into the future"),
    ],
)
def test_a_partial_old_or_impossible_inventory_is_refused(bad: Inventory, says: str) -> None:
    with pytest.raises(InventoryRefused, match=says):
        inventory.check(bad, NOW)


def test_a_whole_and_recent_one_is_not() -> None:
    inventory.check(GOOD, NOW)
    inventory.check(replace(GOOD, taken_at=NOW - inventory.MOST_AGE_MS), NOW)
    inventory.check(replace(GOOD, taken_at=NOW + inventory.MOST_SKEW_MS), NOW)


def test_an_app_goes_only_when_nothing_happened_to_it_lately() -> None:
    assert inventory.judge(FACTS, NOW).reason is None
    assert FACTS.placement is not None and FACTS.run is not None
    for facts in (
        replace(FACTS, placement=replace(FACTS.placement, last_active_at=NOW)),
        replace(FACTS, placement=replace(FACTS.placement, created_at=NOW)),
        replace(FACTS, run=replace(FACTS.run, last_deployed_at=NOW)),
        replace(FACTS, run=replace(FACTS.run, last_active_at=NOW + 1)),
    ):
        assert inventory.judge(facts, NOW).reason == "too_new"
    assert inventory.judge(replace(FACTS, user_id=None), NOW).reason == "unknown_owner"
    order = Request(OperationKind.DELETE, "c", "1", 1, "inventory", Actor("api"), Sequel.REMOVE_IMAGES)
    assert inventory.judge(replace(FACTS, operations=[asked(order, 1, None, OLD)]), NOW).reason == "being_deleted"
    stop = replace(order, kind=OperationKind.STOP, sequel=Sequel.NOTHING)
    assert inventory.judge(replace(FACTS, operations=[asked(stop, 1, None, OLD)]), NOW).reason is None


@pytest.mark.parametrize(
    ("orphans", "known", "confirm", "allowed"),
    [
        (0, 0, None, True),
        (2, 10, None, True),
        (3, 10, None, False),
        (3, 10, 2, False),
        (3, 10, 3, True),
        (1, 1, 1, True),
    ],
)
def test_more_than_a_fifth_has_to_be_confirmed_by_the_exact_number(
    orphans: int, known: int, confirm: int | None, allowed: bool
) -> None:
    if allowed:
        inventory.limit(orphans, known, confirm)
        return
    with pytest.raises(TooManyOrphans, match=f"confirm = {orphans}") as caught:
        inventory.limit(orphans, known, confirm)
    assert caught.value.data == {"orphans": orphans, "known": known}
