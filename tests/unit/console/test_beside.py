"""What is known beside the snapshot: the line of jobs, trends, what was fetched and what the stream tells of it."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from console.live import topics
from console.live.backlog import Backlog
from console.live.beside import Beside, Fetched
from console.live.books import reader
from console.live.derived import Derived
from console.live.keyed import Keyed
from console.live.ledger import after
from console.live.library import Library, read_once
from console.live.model import Scene
from console.live.pages import into, page_of
from console.live.reduce import load
from console.live.trail import Place
from console.live.trends import Trends, spark
from protocol.accounts import Role
from protocol.apps import AppView
from protocol.base import Wire
from protocol.client.transport import Refused, Unreachable
from protocol.events import DrainEvent, JobEvent, OperationEvent
from protocol.jobs import JobStatus, JobView
from tests.console.samples import NOW, ago, job, node, snapshot
from tests.console.twin import Plane, SetClock
from tests.console.twin_books import entry
from tests.console.twin_changes import operation, plan


def ran(job_id: str, seconds: float, app: str = "a") -> JobView:
    times: dict[str, Any] = {"started_at": ago(100 + seconds), "finished_at": ago(100)}
    return job(job_id, app=app, status=JobStatus.SUCCEEDED, created=ago(200 + seconds), **times)


def test_the_backlog_is_what_a_pass_over_all_jobs_would_find() -> None:
    dice, backlog, jobs = random.Random(5), Backlog(), Keyed[JobView]()
    for step in range(300):
        put = {}
        for _ in range(dice.randrange(4)):
            number = dice.randrange(40)
            status = dice.choice(list(JobStatus))
            ended: dict[str, Any] = (
                {"started_at": ago(90), "finished_at": ago(dice.randrange(80))} if status.terminal else {}
            )
            put[f"j{number}"] = job(
                f"j{number}",
                app=str(number % 7),
                status=status,
                created=ago(dice.randrange(100, 900)),
                priority=dice.randrange(-2, 3),
                **ended,
            )
        jobs = jobs.changed(put, [f"j{dice.randrange(40)}"] if dice.random() < 0.2 else [])
        if step % 3 == 0:
            backlog.follow(jobs)
    backlog.follow(jobs)
    pending = [each for each in jobs.values() if each.status is JobStatus.PENDING]
    line = sorted(pending, key=lambda each: (each.created_at.timestamp() - 30 * each.priority, each.id))
    assert [backlog.position(each.id) for each in line] == list(range(1, len(line) + 1))
    assert backlog.waiting == len(line)
    found = backlog.ended(NOW, 60)
    newest = [each for each in jobs.values() if each.finished_at and each.finished_at >= ago(60)]
    assert found.succeeded == sum(each.status is JobStatus.SUCCEEDED for each in newest)
    assert found.failed == sum(each.status is JobStatus.FAILED for each in newest)
    assert backlog.users() == {"1": Counter(each.status for each in jobs.values())}
    oldest = backlog.waits_longest(NOW)
    assert oldest is not None and oldest[1] == max((NOW - each.created_at).total_seconds() for each in pending)


def test_how_long_an_app_takes_is_read_from_its_successes() -> None:
    backlog = Backlog()
    done = {each.id: each for each in (ran("1", 10), ran("2", 20), ran("3", 30), ran("4", 90, app="b"))}
    backlog.follow(Keyed[JobView]().changed(done))
    band = backlog.band("a")
    assert band is not None and (band.low, band.high, band.runs) == (10, 30, 3)
    assert backlog.band("b") is None, "one run tells nothing"


def test_when_a_disk_is_full_is_told_from_how_it_went() -> None:
    trends, disk = Trends(), node(1, "n1", disk_free_bytes=1_000_000)
    for step in range(60):
        disk = disk.model_copy(update={"disk_free_bytes": 1_000_000 - 1_000 * step})
        trends.note(NOW + timedelta(seconds=10 * step), (disk,), step)
    left = trends.seconds_to_full(disk)
    assert left == pytest.approx((1_000_000 - 59_000) / 100)
    assert trends.seconds_to_full(disk.model_copy(update={"node_id": 2})) is None
    assert len(trends.waiting()) == 60


def test_a_disk_that_does_not_fill_or_was_watched_shortly_is_never_full() -> None:
    trends = Trends()
    for step in range(20):
        trends.note(NOW + timedelta(seconds=10 * step), (node(1, "n1", disk_free_bytes=10**9 - step),), 0)
    assert trends.seconds_to_full(node(1, "n1", disk_free_bytes=10**9)) is None


def test_what_comes_later_is_not_known_where_time_went_back() -> None:
    trends = Trends()
    for step in (0, 1, 2, 3, 1):
        trends.note(NOW + timedelta(seconds=10 * step), (node(1, "n1", disk_free_bytes=step),), step)
    assert trends.waiting() == (0, 1)
    assert trends.room(1) == (0, 1)
    for step in range(20, 60):
        trends.note(NOW + timedelta(seconds=10 * step), (node(1, "n1", disk_free_bytes=10**9 + step),), 0)
    assert trends.seconds_to_full(node(1, "n1", disk_free_bytes=10**9)) is None


def test_a_spark_has_as_many_steps_as_there_is_room() -> None:
    assert spark([]) == ""
    assert spark([0, 0]) == "▁▁"
    assert spark([1, 8], 20) == "▁█"
    assert len(spark(list(range(1000)), 20)) == 20


class Numbered(Wire):
    number: int


def test_a_derived_collection_knows_what_changed() -> None:
    made = Derived(lambda model: (model.seq,), lambda model: {"a": Numbered(number=1), "b": Numbered(number=model.seq)})
    model = load(snapshot(), 0.0)
    first = made(model)
    assert made(model) is first
    second = made(load(snapshot(101), 0.0))
    assert second.since(first.version) == frozenset({"b"})


def test_the_stream_keeps_up_what_was_fetched_and_tells_what_happened() -> None:
    read = Fetched(read_at=1.0).merged({"8": operation(8, "20001")}, whole=True)
    beside = Beside().with_topic(topics.OPERATIONS, read)
    events = (
        OperationEvent(seq=5, at=NOW, change="asked", actor="admin", operation=operation(9, "20002")),
        DrainEvent(seq=6, at=NOW, change="RUNNING", actor="drains", drain=plan(7)),
        JobEvent(at=NOW, change="waiting", actor="x", job=job("a")),
    )
    found = after(beside, events)
    assert set(found.of(topics.OPERATIONS)) == {"8", "9"}
    assert not found.of(topics.DRAINS), "what nobody read is not kept"
    assert [each.kind for each in found.of(topics.EVENTS).values()] == ["operation", "drain"]


async def one_turn(library: Library) -> None:
    for topic in library._wanted:
        if library._due(topic):
            await library._read(topic, None)


async def test_a_gap_in_what_was_read_gives_up_what_was_known() -> None:
    plane, clock = Plane(), SetClock()
    plane.furnish()
    plane.page_size = 5
    library = Library(plane, clock, lambda: None)
    library.want((topics.EVENTS,))
    await one_turn(library)
    assert len(library.beside.of(topics.EVENTS)) == 5
    newest = plane.entries[0]
    plane.entries = tuple(newest.model_copy(update={"seq": 1000 - number}) for number in range(20))
    clock.seconds += 100
    await one_turn(library)
    assert sorted(map(int, library.beside.of(topics.EVENTS))) == [996, 997, 998, 999, 1000]
    assert library.beside.fetched[topics.EVENTS].older == "996"


async def test_apps_are_read_to_the_end() -> None:
    plane = Plane()
    plane.page_size = 1
    library = Library(plane, SetClock(), lambda: None)
    library.want((topics.APPS,))
    await one_turn(library)
    assert set(library.beside.of(topics.APPS)) == {each.app_id for each in plane.state.placements}


async def test_what_follows_changes_is_read_again_soon_and_else_when_it_is_its_time() -> None:
    plane, clock = Plane(), SetClock()
    plane.furnish()
    library = Library(plane, clock, lambda: None)
    library.want((topics.APPS, topics.DELETIONS))
    await one_turn(library)

    async def read_after(seconds: float) -> bool:
        before, asked = len(plane.asked), clock.seconds
        clock.seconds = asked + seconds
        await one_turn(library)
        return len(plane.asked) > before

    library.stir()
    assert not await read_after(1) and await read_after(1)
    assert not await read_after(14), "what was changed is known"
    assert await read_after(1)


async def test_of_an_app_that_never_ran_nothing_is_known_and_nothing_is_wrong() -> None:
    class Bare(Plane):
        async def app(self, app_id: str) -> AppView:
            raise Refused(404, f"nothing is known of app {app_id}", "not_found")

    library = Library(Bare(), SetClock(), lambda: None)
    library.want((topics.app("20011"),))
    await one_turn(library)
    known = library.beside.fetched[topics.app("20011")]
    assert known.problem is None and known.read_at is not None and not known.objects


async def test_lists_do_without_what_they_can_spare_and_tell_why() -> None:
    plane = Plane()
    plane.furnish()
    plane.entry.role = Role.OPERATOR
    read = await read_once(plane, (topics.OWNED_APPS, topics.ACCOUNTS), 100)
    assert len(read.of(topics.OWNED_APPS)) == 5 and not read.of(topics.ACCOUNTS)
    assert "this needs the role admin" in (read.fetched[topics.ACCOUNTS].problem or "")
    plane.down = True
    with pytest.raises(Unreachable):
        await read_once(plane, (topics.OWNED_APPS,), 100)


def test_every_topic_of_every_page_can_be_read() -> None:
    model = load(snapshot(), 0.0)
    for name in (
        "user",
        "users",
        "overview",
        "apps",
        "events",
        "drains",
        "operations",
        "webhooks",
        "job",
        "node",
        "app",
        "drain",
    ):
        for topic in page_of(name).topics("1", model):
            assert reader(topic).seconds > 0


def test_pages_of_objects_that_are_no_more_say_so() -> None:
    model = load(snapshot(), 1000.0)
    for name in ("job", "node", "runner"):
        panel = page_of(name).panel
        assert panel is not None
        assert " any more" in (said := panel(Scene(model, NOW), "77")[0][0].text) or " no more" in said


def test_an_object_leads_to_its_page() -> None:
    model = load(snapshot(), 1000.0)
    scene = Scene(model, NOW, "east")
    assert into(model.jobs["7c1e09aa-11d0"], scene) == Place("job", "7c1e09aa-11d0", "east")
    assert into(model.placements["20001"], scene) == Place("app", "20001", "east")
    assert into(entry(5, "drain", "DONE", "7"), scene) == Place("drain", "7", "east")
    assert into(entry(5, "runner"), scene) is None
