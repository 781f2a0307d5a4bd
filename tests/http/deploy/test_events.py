"""The event stream: order, resuming, gaps, figures, reset."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Event
from daemons.deploy.ports import Store, Transaction
from protocol.apps import AppCommand
from protocol.client.transport import Refused
from protocol.events import AnyEvent, AppEvent, JobEvent, NodeEvent, PlacementEvent, ResetEvent, RunnerEvent
from protocol.jobs import JobStatus, RenewLease, ReportJob
from tests.http.deploy.plane import Plane, serving

T = TypeVar("T")


class Curtain:
    """A store that does not show some events yet, as if their transactions had drawn a number and not committed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hidden: set[int] = set()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await self._store.transact(lambda tx: work(cast("Transaction", _Behind(tx, self.hidden))))

    async def check(self) -> None:
        await self._store.check()


class _Behind:
    def __init__(self, tx: Transaction, hidden: set[int]) -> None:
        self._tx = tx
        self._hidden = hidden

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)

    async def events_after(self, seq: int, limit: int) -> Sequence[Event]:
        return [event for event in await self._tx.events_after(seq, limit) if event.seq not in self._hidden]


@asynccontextmanager
async def following(plane: Plane, after: int) -> AsyncIterator[AsyncIterator[AnyEvent]]:
    stream = plane.admin.follow(after)
    async with asyncio.timeout(60):
        try:
            yield stream
        finally:
            await stream.aclose()  # type: ignore[attr-defined]


async def numbered(stream: AsyncIterator[AnyEvent], count: int) -> list[int]:
    found: list[int] = []
    async for event in stream:
        seq = getattr(event, "seq", None)
        if seq is not None:
            found.append(seq)
        if len(found) == count:
            break
    return found


async def test_a_deployment_is_told_in_order() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        beat = RenewLease.model_validate({"runnerId": "r1", "leaseToken": job.lease_token, "phase": "BUILD"})
        await plane.runners.renew(job.id, beat)
        await plane.runners.renew(job.id, beat)
        await plane.runners.report(
            job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )
        told: list[str] = []
        async with following(plane, 0) as stream:
            async for event in stream:
                if isinstance(event, JobEvent):
                    told.append(f"{event.change} {event.job.status.value} by {event.actor}")
                elif isinstance(event, PlacementEvent):
                    told.append(f"placed {event.app_id} by {event.actor}")
                elif isinstance(event, NodeEvent) and event.seq is not None:
                    told.append(f"{event.change} {event.node.name} by {event.actor}")
                if told and told[-1].startswith("succeeded"):
                    break
        assert told == [
            "registered n1 by node:n1",
            "created PENDING by api",
            "placed 20001 by control-plane",
            "claimed RUNNING by runner:r1",
            "phase RUNNING by runner:r1",
            "succeeded SUCCEEDED by runner:r1",
        ]


async def test_a_stopped_and_a_purged_app_are_told() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, done)
        command = AppCommand(user_id=job.user_id, app_id=job.app_id)
        await plane.api.stop_app(command)
        await plane.api.purge_app(command)
        told: list[AppEvent] = []
        async with following(plane, 0) as stream:
            async for event in stream:
                if isinstance(event, AppEvent):
                    told.append(event)
                if told and told[-1].change == "purged":
                    break
        assert [(event.change, event.app_id, event.actor) for event in told] == [
            ("stopping", job.app_id, "api"),
            ("stopped", job.app_id, "api"),
            ("purged", job.app_id, "api"),
        ]
        assert told[1].app is not None and told[1].app.last_job_status == "STOPPED"
        assert told[2].app is None


async def test_a_watcher_resumes_where_it_was_without_loss_or_duplicates() -> None:
    async with serving() as plane:
        for number in range(5):
            await plane.create(f"a{number}")
        async with following(plane, 0) as stream:
            first = await numbered(stream, 3)
        async with following(plane, first[-1]) as stream, asyncio.TaskGroup() as group:
            rest = group.create_task(numbered(stream, 7))
            for number in range(5):
                await plane.create(f"b{number}")
        assert first + rest.result() == list(range(1, 11))


async def test_the_position_may_stand_in_the_query_too() -> None:
    async with serving() as plane:
        await plane.create("a1")
        await plane.create("a2")
        async with plane.http.stream(
            "GET", "/admin/events?after=1", headers={"X-Admin-Token": "admin-token-of-the-tests"}
        ) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                if line.startswith("id:"):
                    assert line == "id: 2"
                    break


async def test_an_event_that_commits_late_is_neither_lost_nor_overtaken() -> None:
    async with open_store("sqlite:///:memory:") as store:
        curtain = Curtain(store)
        async with serving(curtain) as plane:
            curtain.hidden = {2}
            for name in ("a1", "a2", "a3"):
                await plane.create(name)
            async with following(plane, 0) as stream:
                assert await numbered(stream, 1) == [1]
                curtain.hidden = set()
                assert await numbered(stream, 2) == [2, 3]


async def test_a_position_that_is_gone_is_answered_with_reset() -> None:
    async with serving() as plane:
        await plane.create("a1")
        await plane.create("a2")
        async with following(plane, 0) as stream:
            assert await numbered(stream, 2) == [1, 2]

        async def forget(tx: Transaction) -> int:
            return await tx.delete_events(await tx.now() + 1, 1)

        await plane.store.transact(forget)
        for after in (0, 10**9):
            async with following(plane, after) as stream:
                events = [event async for event in stream]
            assert [type(event) for event in events] == [ResetEvent]
        snapshot = await plane.admin.snapshot()
        async with following(plane, snapshot.seq) as stream, asyncio.TaskGroup() as group:
            found = group.create_task(numbered(stream, 3 - snapshot.seq))
            await plane.create("a3")
        assert found.result()[-1] == 3


async def test_figures_of_nodes_and_runners_arrive_without_a_number() -> None:
    async with serving() as plane:
        await plane.beat(diskFreePct=60.0)
        await plane.claim("r1")
        async with following(plane, (await plane.admin.snapshot()).seq) as stream:
            await plane.beat(diskFreePct=20.0)
            node, runner = False, False
            async for event in stream:
                if isinstance(event, NodeEvent) and event.node.health.value == "DRAINING":
                    node = True
                    assert event.seq is None and event.node.disk_free_pct == 20.0
                runner = runner or isinstance(event, RunnerEvent)
                if node and runner:
                    break


async def test_a_quiet_stream_beats() -> None:
    async with serving() as plane, following(plane, 0) as stream:
        beats = 0
        async for event in stream:
            beats += event.kind == "beat"
            if beats == 2:
                break


async def test_a_stream_ends_with_the_daemon() -> None:
    async with serving() as plane, following(plane, 0) as stream:
        async for _ in stream:
            await plane.runner.cleanup()
            break
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_only_operators_watch() -> None:
    async with serving() as plane:
        with pytest.raises(Refused) as caught:
            async with plane.api.transport.stream("/admin/events"):
                pass
        assert caught.value.status == 401


async def waits(stream: AsyncIterator[AnyEvent], reason: str) -> JobEvent:
    async for event in stream:
        if isinstance(event, JobEvent) and event.job.waiting_for and event.job.waiting_for.reason == reason:
            return event
    raise AssertionError("the stream ended")


async def test_a_pending_jobs_event_says_why_and_is_followed_by_every_new_reason() -> None:
    async with serving() as plane:
        await plane.create("a1")
        async with following(plane, 0) as stream:
            created = await waits(stream, "no_node")
            assert (created.seq, created.change) == (1, "created")
            await plane.beat()
            news = await waits(stream, "no_runner")
            assert (news.seq, news.change, news.actor) == (None, "waiting", "control-plane")
            await plane.admin.set_enabled("n1", enabled=False)
            await plane.claim("r1")
            assert (await waits(stream, "no_node")).seq is None
            async with following(plane, 0) as newcomer:
                assert (await waits(newcomer, "no_node")).seq == 1
            await plane.admin.set_enabled("n1", enabled=True)
            assert (await waits(stream, "queued")).job.status is JobStatus.PENDING


async def test_an_event_of_a_job_that_moved_on_names_no_reason() -> None:
    async with serving() as plane:
        await plane.claimed()
        async with following(plane, 0) as stream:
            async for event in stream:
                if isinstance(event, JobEvent) and event.change == "created":
                    assert event.job.waiting_for is None
                    break
