"""Random batches, sorts, filters and keys on a table of thousands of rows, against a plain list of what is there.

.venv/bin/python -m tests.unit.console.machine               # 10,000 rows, 50,000 batches: some minutes
.venv/bin/python -m tests.unit.console.machine 1000 2000     # as many rows, as many batches
"""

import sys
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from console.live.cursor import Cursor, Marks, found, place, settle, step
from console.live.filter import parse
from console.live.keyed import Keyed
from console.live.model import Live, Model, World
from console.live.table import Table
from console.live.views.jobs import JOBS, counts
from protocol.jobs import JobStatus, JobView
from tests.console.samples import NOW, job

STEPS = 100
ORDERS = tuple(field.name for field in JOBS.fields)
FILTERS = ("", "app:2000", "status:failed", "!status:pending", "7", "/app-[12]/", "zzz", "status=running 3", "status:")
NUMBERS = st.integers(0, 2**31)


def made(number: int, version: int) -> JobView:
    """A job whose every column depends on both numbers."""
    mixed = number * 2_654_435_761 + version * 40_503
    status = list(JobStatus)[mixed % 5]
    return job(
        f"{number:06}-{number % 97:x}",
        app=f"{20_000 + mixed % 40}",
        status=status,
        created=NOW - timedelta(seconds=number),
        attempt=mixed % 4,
        runner_id=f"app-{mixed % 3}" if status is JobStatus.RUNNING else None,
        error_message=f"because {mixed % 1000}",
    )


class Machine(RuleBasedStateMachine):
    """`truth` is what there is; table, cursor and marks are what is tested."""

    rows = 200

    def __init__(self) -> None:
        super().__init__()
        self.truth = {each.id: each for each in (made(number, 0) for number in range(self.rows))}
        self.jobs: Keyed[JobView] = Keyed(dict(self.truth))
        self.table: Table[JobView] = Table(JOBS)
        self.cursor = Cursor()
        self.marks = Marks()
        self.chosen: str | None = None
        self.next = self.rows
        self._settle()

    def _settle(self) -> None:
        model = Model(1, NOW, 0, 0, jobs=self.jobs)
        self.table.follow(World({"": Live(model)}), 0)
        self.cursor = settle(self.cursor, self.table)
        self.marks = self.marks.without([key for key in self.marks.keys if self.table.value(key) is None])
        if self.chosen is None:
            self.chosen = self.cursor.key

    def _apply(self, put: dict[str, JobView], gone: list[str]) -> None:
        self.truth = {key: each for key, each in (self.truth | put).items() if key not in gone}
        self.jobs = self.jobs.changed(put, gone)
        self._settle()

    def _some(self, seed: int, count: int) -> list[str]:
        keys = list(self.truth)
        return [keys[(seed + 7919 * step) % len(keys)] for step in range(count)] if keys else []

    @rule(seed=NUMBERS, count=st.integers(1, 40))
    def change(self, seed: int, count: int) -> None:
        some = self._some(seed, count)
        self._apply({key: made(int(key[:6]), seed + turn) for turn, key in enumerate(some)}, [])

    @rule(count=st.integers(1, 20), version=NUMBERS)
    def come(self, count: int, version: int) -> None:
        new = [made(self.next + turn, version) for turn in range(count)]
        self.next += count
        self._apply({each.id: each for each in new}, [])

    @rule(seed=NUMBERS, count=st.integers(1, 20))
    def go(self, seed: int, count: int) -> None:
        self._apply({}, self._some(seed, count))

    @precondition(lambda self: self.cursor.target is not None)
    @rule()
    def the_chosen_goes(self) -> None:
        self._apply({}, [self.cursor.key or ""])

    @rule(seed=NUMBERS, count=st.integers(1, 10))
    def come_and_go(self, seed: int, count: int) -> None:
        new, old = made(self.next, seed), self._some(seed, count)
        self.next += 1
        self._apply({new.id: new}, [*old, new.id] if seed % 5 == 0 else old)

    @rule(seed=NUMBERS)
    def read_anew(self, seed: int) -> None:
        lost = self._some(seed, 3)
        self.truth = {key: each for key, each in self.truth.items() if key not in lost}
        self.jobs = self.jobs.replaced(self.truth)
        self._settle()

    @rule(order=st.sampled_from(ORDERS), reverse=st.booleans())
    def sort(self, order: str, reverse: bool) -> None:
        self.table.arrange(replace(self.table.arrangement, order=order, reverse=reverse))
        self.cursor = settle(self.cursor, self.table)

    @rule(typed=st.sampled_from(FILTERS))
    def narrow(self, typed: str) -> None:
        self.table.arrange(replace(self.table.arrangement, filter=parse(typed, ORDERS)))
        self.cursor = settle(self.cursor, self.table)

    @rule(typed=st.sampled_from(FILTERS))
    def filter_and_enter(self, typed: str) -> None:
        """Whoever is done with a filter is on its first row, unless the chosen object is shown."""
        self.narrow(typed)
        before, shown = self.cursor, self.table.row_of(self.cursor.key or "")
        self.cursor = found(self.cursor, self.table)
        assert self.cursor == (before if shown is not None or not len(self.table) else Cursor(self.table.key(0), 0))
        self.chosen = self.cursor.key

    @rule(rows=st.integers(-60, 60))
    def move(self, rows: int) -> None:
        self.cursor = step(self.cursor, self.table, rows)
        self.chosen = self.cursor.key

    @rule(seed=NUMBERS)
    def click(self, seed: int) -> None:
        if len(self.table):
            self.cursor = place(self.table, seed % len(self.table))
            self.chosen = self.cursor.key

    @precondition(lambda self: self.cursor.target is not None)
    @rule(ranged=st.booleans())
    def mark(self, ranged: bool) -> None:
        key = self.cursor.target or ""
        self.marks = self.marks.ranged(self.table, key) if ranged and len(self.table) < 500 else self.marks.toggled(key)

    @invariant()
    def the_cursor_is_on_the_object_that_was_chosen(self) -> None:
        assert self.cursor.key == self.chosen
        target = self.cursor.target
        if target is not None:
            assert target in self.truth
            assert self.table.key(self.cursor.row) == target
            assert self.table.value(target) is self.truth[target]

    @invariant()
    def an_action_is_meant_for_what_is_shown(self) -> None:
        """Of the marked, all are there; those that cannot be seen are named."""
        assert all(key in self.truth for key in self.marks.keys)
        hidden = self.marks.hidden(self.table)
        assert all((self.table.row_of(key) is None) == (key in hidden) for key in self.marks.keys)

    @invariant()
    def the_rows_in_view_are_in_order_and_up_to_date(self) -> None:
        first = max(0, self.cursor.row - 20)
        keys = self.table.keys(first, 40)
        assert keys == [self.table.key(row) for row in range(first, min(len(self.table), first + 40))]
        scene = self.table.scene(keys[0]) if keys else None
        field = self.table.field(self.table.arrangement.order)
        if scene is None or field is None:
            return
        ranks = [field.rank(self.truth[key], scene) for key in keys]
        known = [rank for rank in ranks if not rank[0]]
        assert known == sorted(known, reverse=self.table.arrangement.reverse)
        assert ranks == known + [rank for rank in ranks if rank[0]]

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert self.table.total == len(self.truth) == len(self.jobs)
        if len(self.truth) <= 400:
            self._compare_all()

    def teardown(self) -> None:
        self._compare_all()

    def _compare_all(self) -> None:
        shown = list(self.table.shown())
        assert len(set(shown)) == len(shown) == len(self.table)
        conditions = self.table.arrangement.filter.conditions
        wanted = set(self.truth) if not conditions else {key for key in self.truth if self._holds(key)}
        assert set(shown) == wanted
        counted = counts(self.jobs)
        assert {status: counted[status] for status in JobStatus} == {
            status: sum(each.status is status for each in self.truth.values()) for status in JobStatus
        }

    def _holds(self, key: str) -> bool:
        scene = self.table.scene(key)
        assert scene is not None
        return all(
            each.holds(
                JOBS.words(self.truth[key], scene).casefold() + " "
                if each.field is None
                else next(field for field in JOBS.fields if field.name == each.field)
                .text(self.truth[key], scene)
                .casefold()
            )
            for each in self.table.arrangement.filter.conditions
        )


def run(rows: int, batches: int) -> None:
    """So many batches, 100 in a row on one table. Raises what does not hold."""
    machine = type("Sized", (Machine,), {"rows": rows})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, batches // STEPS),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,) if rows > 1000 else (Phase.generate, Phase.shrink),
        ),
    )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    run(*(given or [10_000, 50_000]))
