"""The reducer and the views of the model: pure functions over frozen values."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.live.catalog import VIEWS
from console.live.cells import Column, disk_bar, fit, size, span
from console.live.cursor import Cursor, place, settle, step
from console.live.filter import parse
from console.live.headline import link_cell
from console.live.keyed import Keyed
from console.live.model import Link, LinkState, Live, Model, Scene, World
from console.live.reduce import MOST_JOBS, apply, leases_near, load
from console.live.table import Table
from console.live.views.jobs import JOBS, counts
from console.live.views.nodes import NODES
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec
from protocol.events import AppEvent, BeatEvent, JobEvent, PlacementEvent, ResetEvent, RunnerEvent
from protocol.jobs import JobStatus
from protocol.nodes import Explanation, PlacementView, RunnerHealth, RunnerView
from tests.console.samples import NOW, ago, job, snapshot

LOCAL = 1000.0


@pytest.fixture
def model() -> Model:
    return load(snapshot(), LOCAL)


def changed(seq: int, job_id: str, status: JobStatus = JobStatus.PENDING, **more: object) -> JobEvent:
    return JobEvent(seq=seq, at=NOW, change="changed", actor="test", job=job(job_id, status=status, **more))  # type: ignore[arg-type]


def filled(model: Model, view: ViewSpec[Any], now: datetime = NOW) -> Table[Any]:
    table = Table(view)
    table.follow(World({"": Live(model)}), LOCAL + (now - NOW).total_seconds())
    return table


def text(model: Model, view: ViewSpec[Any], key: str, now: datetime = NOW) -> str:
    table = filled(model, view, now)
    row = table.row_of(key)
    assert row is not None
    return " ".join(cell.text for cell in table.row(row).cells)


def detail(view: ViewSpec[Any], model: Model, key: str, now: datetime) -> tuple[str, ...]:
    return view.sheet(view.objects(model)[key], Scene(model, now))


def test_an_event_changes_one_job_and_the_number(model: Model) -> None:
    after = apply(model, (changed(101, "91b0d4c2-77aa", JobStatus.CANCELLED),), LOCAL)
    assert after.jobs["91b0d4c2-77aa"].status is JobStatus.CANCELLED
    assert after.seq == 101
    assert {key: value for key, value in after.jobs.items() if key != "91b0d4c2-77aa"} == {
        key: value for key, value in model.jobs.items() if key != "91b0d4c2-77aa"
    }
    assert model.jobs["91b0d4c2-77aa"].status is JobStatus.PENDING


def test_nodes_and_placements_say_why() -> None:
    shown = snapshot()
    node = shown.nodes[0].model_copy(
        update={"reasons": (), "inodes_free_pct": 75.0, "inodes_total": 4000, "inodes_free": 3000, "labels": ("ssd",)}
        | {"explanations": (Explanation(reason="in_service", message="heard of in time"),)}
    )
    because = Explanation(reason="reassigned", message="admin moved it to n1")
    placement = shown.placements[0].model_copy(update={"reasons": (because,)})
    model = load(shown.model_copy(update={"nodes": (node,), "placements": (placement,)}), LOCAL)
    words = " | ".join(detail(NODES, model, str(node.node_id), NOW))
    assert "labels ssd" in words and "inodes 75 % free (1,000 of 4,000 used)" in words and "heard of in time" in words
    assert detail(PLACEMENTS, model, placement.app_id, NOW)[-1].endswith("admin moved it to n1")


def test_an_event_the_snapshot_contains_changes_nothing(model: Model) -> None:
    assert apply(model, (changed(100, "91b0d4c2-77aa", JobStatus.CANCELLED),), LOCAL) is model


def test_a_job_never_goes_back_in_time(model: Model) -> None:
    old = changed(101, "91b0d4c2-77aa", JobStatus.CANCELLED, created=ago(5_000))
    after = apply(model, (old,), LOCAL)
    assert after.jobs["91b0d4c2-77aa"].status is JobStatus.PENDING
    assert after.seq == 101


def test_figures_without_a_number_are_taken_over(model: Model) -> None:
    seen = RunnerView(runner_id="build-a", last_seen_at_ms=0, health=RunnerHealth.STALE)
    after = apply(model, (RunnerEvent(at=NOW, runner=seen),), LOCAL)
    assert after.runners["build-a"].health is RunnerHealth.STALE
    assert after.seq == model.seq


def test_a_placement_moves_and_goes(model: Model) -> None:
    moved = PlacementView(app_id="20001", node_id=3, last_active_at=0)
    after = apply(model, (PlacementEvent(seq=101, at=NOW, actor="a", app_id="20001", placement=moved),), LOCAL)
    assert after.placements["20001"].node_id == 3
    gone = apply(after, (PlacementEvent(seq=102, at=NOW, actor="a", app_id="20001"),), LOCAL)
    assert "20001" not in gone.placements


def test_a_purged_app_takes_its_jobs_along(model: Model) -> None:
    app_id = next(iter(model.jobs.values())).app_id
    others = {key for key, job in model.jobs.items() if job.app_id != app_id}
    after = apply(model, (AppEvent(seq=101, at=NOW, change="purged", actor="a", app_id=app_id),), LOCAL)
    assert set(after.jobs) == others
    assert app_id not in after.apps


def test_a_beat_sets_the_servers_clock(model: Model) -> None:
    after = apply(model, (BeatEvent(at=NOW + timedelta(seconds=50)),), LOCAL + 5)
    assert after.server_time(LOCAL + 6) == NOW + timedelta(seconds=51)


def test_a_reset_leaves_the_model_to_the_next_snapshot(model: Model) -> None:
    assert apply(model, (ResetEvent(seq=9),), LOCAL) is model


def test_ended_jobs_are_forgotten_when_there_are_too_many(model: Model) -> None:
    many = {f"job-{number}": job(f"job-{number}", status=JobStatus.FAILED) for number in range(MOST_JOBS)}
    full = apply(Model(1, NOW, LOCAL, LOCAL, jobs=Keyed(many)), (changed(2, "new"),), LOCAL)
    assert len(full.jobs) < MOST_JOBS
    assert "new" in full.jobs


@pytest.mark.parametrize(
    ("jobs", "age", "wanted"),
    [
        ((), 100, False),
        ((job("a", status=JobStatus.FAILED),), 100, False),
        ((job("a"),), 1, False),
        ((job("a"),), 11, False),
        ((job("a", status=JobStatus.RUNNING, lease_expire_at=NOW + timedelta(seconds=120)),), 11, False),
        ((job("a", status=JobStatus.RUNNING, lease_expire_at=NOW + timedelta(seconds=15)),), 11, True),
        ((job("a", status=JobStatus.RUNNING, lease_expire_at=NOW + timedelta(seconds=15)),), 9, False),
    ],
)
def test_leases_are_read_again_while_they_move_without_events(
    jobs: tuple[object, ...], age: float, wanted: bool
) -> None:
    model = load(snapshot().model_copy(update={"jobs": jobs}), LOCAL)
    assert bool(leases_near(model, LOCAL + age)) is wanted


def test_jobs_say_why(model: Model) -> None:
    assert "job 7c1e09aa of the app has been running for 48 s" in text(model, JOBS, "91b0d4c2-77aa")
    assert "build_failed: npm ci ended with exit code 1" in text(model, JOBS, "e8f7a630-2222")
    assert "BUILD" in text(model, JOBS, "7c1e09aa-11d0")
    assert filled(model, JOBS).key(0) == "91b0d4c2-77aa"


def test_runners_count_their_leases_down_by_the_servers_clock(model: Model) -> None:
    assert "1/2" in text(model, RUNNERS, "build-a")
    assert "7c1e09aa lease 21s" in text(model, RUNNERS, "build-a")
    assert "lease over 4s ago" in text(model, RUNNERS, "build-a", NOW + timedelta(seconds=25))
    assert "idle" in text(model, RUNNERS, "build-b")


def test_nodes_show_their_disk_against_both_marks(model: Model) -> None:
    assert "███│██│███████········  62%" in text(model, NODES, "1")
    assert "██·│··│···············  12% !!" in text(model, NODES, "2")
    assert "███│█·│···············  21% !" in text(model, NODES, "3")
    assert "no figures yet" in text(model, NODES, "4")
    assert disk_bar(100).startswith("███│██│███████████████ 100%")
    assert disk_bar(0).startswith("···│··│···············   0% !!")


def test_every_row_fits_its_columns(model: Model) -> None:
    for view in VIEWS:
        table = filled(model, view)
        assert len(table) == table.total
        for key in table.shown():
            assert len(table.row(table.row_of(key) or 0).cells) == len(view.fields)
            assert detail(view, model, key, NOW)
    assert sorted(model.apps) == ["20003", "20007"]


def test_text_of_others_cannot_leave_its_cell(model: Model) -> None:
    evil = changed(101, "evil", JobStatus.FAILED, reason="x\x1b]0;title\x07", error_message="a\nb\x1b[2J\u202ec")
    after = apply(model, (evil,), LOCAL)
    shown = text(after, JOBS, "evil") + "".join(detail(JOBS, after, "evil", NOW))
    assert shown.isprintable()
    assert "x: a bc" in shown


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("FAILED npm", ["e8f7a630-2222"]),
        ("5d52ab10-0001", ["5d52ab10-0001"]),
        ("nothing of this", []),
        ("status:failed", ["e8f7a630-2222"]),
        ("status=fail", []),
        ('why:"npm ci ended"', ["e8f7a630-2222"]),
        ("/npm ci .* code \\d/", ["e8f7a630-2222"]),
        ("!status:pending !status:running !status:succeeded !/cancelled/", ["e8f7a630-2222"]),
    ],
)
def test_a_filter_finds(model: Model, typed: str, found: list[str]) -> None:
    table = filled(model, JOBS)
    table.arrange(replace(table.arrangement, filter=parse(typed, (field.name for field in JOBS.fields))))
    assert list(table.shown()) == found


def test_an_expression_that_is_not_complete_hides_nothing(model: Model) -> None:
    half = parse("/npm (")
    assert half.problem and not half.conditions


def test_counts(model: Model) -> None:
    assert counts(model.jobs)[JobStatus.PENDING] == 2


@pytest.mark.parametrize(
    ("link", "local", "words"),
    [
        (Link(), 0.0, "… connecting"),
        (Link(LinkState.LIVE, 10.0), 12.0, "● live 2s"),
        (Link(LinkState.LIVE, 10.0), 47.0, "! STALE, data 37s old"),
        (Link(LinkState.RECONNECTING, 10.0, 16.0), 14.0, "↻ reconnecting, data 4s old, next try in 2s"),
        (Link(LinkState.RECONNECTING, 10.0, 14.0), 14.0, "↻ reconnecting, data 4s old, trying now"),
        (Link(LinkState.RECONNECTING, 10.0, 72.0), 70.0, "! STALE, data 1m00s old, next try in 2s"),
    ],
)
def test_the_headline_says_how_old_the_data_is(link: Link, local: float, words: str) -> None:
    assert link_cell(link, local).text == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "0s"), (59.9, "59s"), (61, "1m01s"), (3_599, "59m"), (7_260, "2h01m"), (200_000, "2d07h")],
)
def test_spans(seconds: float | None, words: str) -> None:
    assert span(seconds) == words


@given(st.floats(0, 1e12))
def test_spans_and_sizes_stay_short(amount: float) -> None:
    assert len(span(amount / 1000)) <= 8
    assert len(size(int(amount))) <= 7


@given(st.integers(0, 300))
def test_columns_are_dropped_before_the_reason_is_squeezed(width: int) -> None:
    for view in VIEWS:
        columns = tuple(field.column for field in view.fields)
        shown = fit(columns, width)
        flexible = [room for index, room in shown if columns[index].flex]
        assert len(flexible) == 1
        if any(columns[index].drop for index, _ in shown):
            assert flexible[0] >= 24
            assert sum(room for _, room in shown) + 2 * (len(shown) - 1) == width
    assert fit((Column("A", 3), Column("B", 0, flex=True)), 10) == ((0, 3), (1, 5))


class Listed:
    """Rows as a plain list."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def key(self, row: int) -> str:
        return self.names[row]

    def row_of(self, key: str) -> int | None:
        return self.names.index(key) if key in self.names else None


KEYS = st.lists(st.sampled_from([f"k{number}" for number in range(12)]), unique=True, max_size=12)
MOVES = st.one_of(
    KEYS.map(lambda keys: ("rows", keys)),
    st.integers(-13, 13).map(lambda rows: ("step", rows)),
    st.integers(-2, 14).map(lambda row: ("place", row)),
)


@given(KEYS, st.lists(MOVES, max_size=40))
def test_the_cursor_never_changes_its_object_unless_it_is_moved(
    first: list[str], moves: list[tuple[str, object]]
) -> None:
    keys = Listed(first)
    cursor = settle(Cursor(), keys)
    for kind, value in moves:
        before = cursor
        if kind == "rows" and isinstance(value, list):
            keys = Listed(value)
            cursor = settle(cursor, keys)
            if before.key is not None:
                assert cursor.key == before.key
                assert cursor.target == (before.key if before.key in keys.names else None)
        elif kind == "step" and isinstance(value, int):
            cursor = step(cursor, keys, value)
        elif isinstance(value, int):
            cursor = place(keys, value) if len(keys) else cursor
        if cursor.target is not None:
            assert keys.key(cursor.row) == cursor.target


def test_from_a_vanished_object_one_step_lands_at_its_place() -> None:
    gone = settle(Cursor("b", 1), Listed(["a", "c", "d"]))
    assert gone == Cursor("b", 1, gone=True)
    assert step(gone, Listed(["a", "c", "d"]), 1).key == "c"
    assert step(gone, Listed(["a", "c", "d"]), -1).key == "a"
    assert step(gone, Listed(["a", "c", "d"]), 2).key == "d"
    assert settle(gone, Listed(["x", "a", "b"])) == Cursor("b", 2)


@pytest.mark.parametrize("view", [view for view in VIEWS if view.alone], ids=lambda view: view.name)
def test_cells_of_a_view_that_stands_alone_say_nothing_of_other_objects(view: ViewSpec[Any], model: Model) -> None:
    alone = Model(0, NOW, LOCAL, LOCAL)
    fixed = [field for field in view.fields if not field.ticks]
    for value in view.objects(model).values():
        here, elsewhere = Scene(model, NOW), Scene(alone, NOW + timedelta(days=3), fresh=False)
        assert [each.cell(value, here) for each in fixed] == [each.cell(value, elsewhere) for each in fixed]


def test_what_aged_is_what_would_be_drawn_anew(model: Model) -> None:
    jobs = filled(model, JOBS)
    before = [jobs.row(row) for row in range(len(jobs))]
    assert all(jobs.aged(row) is row for row in before)
    jobs.follow(World({"": Live(model, Link(LinkState.LIVE, LOCAL))}), LOCAL + 100)
    after = [jobs.aged(row) for row in before]
    assert after == [jobs.row(row) for row in range(len(jobs))] != before
