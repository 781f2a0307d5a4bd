"""The widget itself: its cursor, its ghost, its lines; and several control planes in one table."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import ConsoleApp
from console.columns import ChosenColumns
from console.live.table import key_of
from console.widgets.live_table import LiveTable
from console.widgets.text_lines import Details, Headline, Status
from protocol.jobs import JobStatus
from tests.console.conftest import Open
from tests.console.samples import NOW, ago, job, snapshot
from tests.console.twin import Plane, SetClock

PENDING, RUNNING = "91b0d4c2-77aa", "7c1e09aa-11d0"
SIZE = (120, 30)


def lines(table: LiveTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


def line_of(table: LiveTable, sign: str) -> int | None:
    return next((y for y, line in enumerate(lines(table)) if line.startswith(sign)), None)


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to pass")


def up_to(app: ConsoleApp, wanted: int) -> bool:
    return app.main.live.model is not None and app.main.live.model.seq == wanted


def crowd(count: int) -> Plane:
    jobs = tuple(job(f"{number:06}-x", app=str(20_000 + number % 9), created=ago(number)) for number in range(count))
    return Plane(snapshot().model_copy(update={"jobs": jobs}))


async def test_what_is_gone_leaves_a_ghost_and_disarms(console: Open, plane: Plane) -> None:
    async with console(SIZE) as (app, pilot):
        table = app.main.table
        await pilot.press("down")
        target = table.cursor.target
        assert target is not None
        before = line_of(table, "▸")
        plane.gone(target)
        await until(pilot, lambda: table.cursor.gone)
        assert table.targets == ()
        assert line_of(table, "◌") == before
        assert target[:8] in lines(table)[before or 0]
        assert "is gone" in str(app.main.query_one(Details).content)
        assert app.main.check_action("do", ("job.cancel",)) is None
        await pilot.press("down")
        assert line_of(table, "◌") is None and line_of(table, "▸") == before


async def test_a_ghost_keeps_its_place_among_those_that_come(console: Open, plane: Plane) -> None:
    async with console(SIZE) as (app, pilot):
        table = app.main.table
        await pilot.press("down", "down")
        target = table.cursor.key or ""
        above = table.table.key(table.cursor.row - 1)
        plane.gone(target)
        await until(pilot, lambda: table.cursor.gone)
        for number in range(5):
            plane.publish(job(f"{number:08}-new"))
        await until(pilot, lambda: table.table.row_of("00000004-new") is not None)
        shown = lines(table)
        ghost = line_of(table, "◌")
        assert ghost is not None and above[:8] in shown[ghost - 1]


async def test_a_click_on_a_title_sorts_by_it(console: Open) -> None:
    async with console(SIZE) as (app, pilot):
        table = app.main.table
        x = lines(table)[0].index("APP")
        await pilot.click(LiveTable, offset=(x, 0))
        assert table.table.arrangement.order == "app" and not table.table.arrangement.reverse
        await pilot.pause(0.6)
        await pilot.click(LiveTable, offset=(x, 0))
        assert table.table.arrangement.reverse
        assert "APP▾" in lines(table)[0]


@pytest.fixture
def chosen(plane: Plane, clock: SetClock) -> ConsoleApp:
    usual = ChosenColumns(None, "", {"jobs": ("app", "status", "age")})
    return ConsoleApp(plane, "here", clock, columns=usual)


async def test_columns_are_hidden_moved_and_kept(plane: Plane, chosen: ConsoleApp) -> None:
    app = chosen
    async with app.run_test(size=SIZE) as pilot:
        await plane.watched.wait()
        await pilot.pause()
        table = app.main.table
        assert lines(table)[0].split() == ["APP", "STATUS", "AGE▴", "WHY"]
        await pilot.press("less_than_sign")
        assert lines(table)[0].split() == ["APP", "AGE▴", "STATUS", "WHY"]
        await pilot.press("minus")
        assert lines(table)[0].split() == ["APP", "STATUS", "WHY"]
        await pilot.press("plus")
        assert "RUNNER" in lines(table)[0] and "PHASE" in lines(table)[0]


async def test_marks_that_the_filter_hides_are_named(console: Open) -> None:
    async with console(SIZE) as (app, pilot):
        table = app.main.table
        await pilot.press("space", "space")
        assert len(table.targets) == 2
        await pilot.press("slash", *"status:failed", "enter")
        await pilot.press("down", "space")
        said = str(app.main.query_one(Status).content)
        assert "hidden by the filter" in said


@pytest.fixture
def crowded(clock: SetClock) -> tuple[Plane, ConsoleApp]:
    plane = crowd(300)
    return plane, ConsoleApp(plane, "here", clock)


async def test_random_batches_never_move_the_cursor_to_another_object(crowded: tuple[Plane, ConsoleApp]) -> None:
    plane, app = crowded
    dice = random.Random(3)
    async with app.run_test(size=SIZE) as pilot:
        await plane.watched.wait()
        await until(pilot, lambda: len(app.main.table.table) == 300)
        table = app.main.table
        for turn in range(60):
            await pilot.press(dice.choice(["down", "up", "pagedown", "j", "k", "space", "s", "r", "home"]))
            chosen = table.cursor.key
            top, line = table.scroll_offset.y, line_of(table, "◌" if table.cursor.gone else "▸")
            for step in range(dice.randrange(1, 12)):
                kind = dice.randrange(4)
                known = [each.id for each in plane.state.jobs]
                if kind == 0:
                    plane.publish(job(f"{turn:03}{step:03}-new", created=ago(dice.randrange(400)), updated_at=NOW))
                elif kind == 1 and chosen is not None:
                    plane.gone(chosen if dice.random() < 0.1 and chosen in known else dice.choice(known))
                else:
                    old = dice.choice(known)
                    status, made = dice.choice(list(JobStatus)), ago(dice.randrange(400))
                    plane.publish(job(old, status=status, created=made, updated_at=NOW))
            wanted = plane.state.seq
            await until(pilot, partial(up_to, app, wanted))
            await pilot.pause()
            assert table.cursor.key == chosen
            there = {each.id for each in plane.state.jobs}
            assert set(table.targets) <= there
            assert table.cursor.target == (chosen if chosen in there else None)
            shown = lines(table)
            now = line_of(table, "◌" if table.cursor.gone else "▸")
            assert now is not None and chosen is not None and chosen[:8] in shown[now]
            inside = 0 < table.scroll_offset.y < table.max_scroll_y - 40
            if top > 0 and inside:
                assert now == line


@pytest.fixture
def several(clock: SetClock) -> tuple[Plane, Plane, ConsoleApp]:
    near, far = Plane(), Plane(snapshot().model_copy(update={"jobs": (job("ffff0000-far", created=ago(1)),)}))
    return near, far, ConsoleApp({"near": near, "far": far}, "near far", clock)


async def test_several_control_planes_in_one_table(several: tuple[Plane, Plane, ConsoleApp]) -> None:
    near, far, app = several
    async with app.run_test(size=SIZE) as pilot:
        await near.watched.wait()
        await far.watched.wait()
        table = app.main.table
        await until(pilot, lambda: len(table.table) == 7)
        await pilot.pause()
        assert "PLANE" in lines(table)[0]
        assert "all 2 live" in str(app.main.query_one(Headline).content)
        await pilot.press("home")
        assert table.cursor.target == key_of("far", "ffff0000-far")
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: far.calls == [("cancel", "ffff0000-far")])
        assert near.calls == []
        far.lose()
        await until(pilot, lambda: "1 of 2 live; far" in str(app.main.query_one(Headline).content))
        assert app.main.check_action("do", ("job.cancel",)) is None
        await pilot.press("down")
        assert table.table.plane_of(table.cursor.target or "") == "near"
        assert app.main.check_action("do", ("job.cancel",)) is True
        await pilot.press("slash", *"plane:far", "enter")
        assert len(table.table) == 1


@pytest.mark.parametrize("typed", ["2000", "status:run", "/7c1e.*/"])
async def test_a_filter_typed_on_finds_what_one_typed_at_once_does(console: Open, typed: str) -> None:
    async with console(SIZE) as (app, pilot):
        await pilot.press("slash", *typed)
        table = app.main.table.table
        found = set(table.shown())
        table.arrange(replace(table.arrangement, filter=replace(table.arrangement.filter, conditions=())))
        app.main.query_one("#filter", Input).value = ""
        app.main.query_one("#filter", Input).value = typed
        await pilot.pause()
        assert set(table.shown()) == found
