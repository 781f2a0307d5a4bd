"""The slots: independent of each other, patient with the control plane, and done when told."""

import asyncio
import logging

import pytest

from daemons.runner.ports import BuildOrder
from daemons.runner.services.worker import Worker
from protocol.jobs import ClaimedJob, JobStatus
from tests.unit.runner.twins import Bench, claimed, turns_until

FIRST, SECOND = "11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000"


def worker(bench: Bench, slots: int = 2) -> Worker:
    return Worker(bench.control, bench.executor, bench.pacer, bench.meter, slots=slots, poll_seconds=3)


async def until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await condition.wait()


async def test_two_slots_carry_out_two_jobs_and_a_cancel_of_one_leaves_the_other_alone() -> None:
    bench = Bench(claimed(FIRST, app_id="1"), claimed(SECOND, app_id="2"))
    both, go = asyncio.Barrier(2), asyncio.Event()

    async def meet(order: BuildOrder) -> None:
        await both.wait()
        if "app1:" in order.names.immutable:
            await bench.control.end(FIRST)
            await asyncio.Event().wait()
        await until(go)

    bench.builder.during = meet
    working = worker(bench)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        await turns_until(lambda: bench.meter.results == ["abandoned"])
        go.set()
        await turns_until(lambda: len(bench.meter.results) == 2)
        working.drain()
        await task
    assert bench.meter.most_busy == 2
    assert [(job_id, outcome.status) for job_id, outcome in bench.control.reports] == [(SECOND, JobStatus.SUCCEEDED)]
    assert len(bench.builder.stopped) == 1


async def test_draining_lets_the_running_job_finish_and_claims_no_more() -> None:
    bench = Bench(claimed(FIRST), claimed(SECOND, app_id="2"))
    building, go = asyncio.Event(), asyncio.Event()

    async def build(_order: BuildOrder) -> None:
        building.set()
        await until(go)

    bench.builder.during = build
    working = worker(bench, slots=1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        await until(building)
        working.drain()
        go.set()
        await task
    assert [job_id for job_id, _ in bench.control.reports] == [FIRST]
    assert bench.control.queue.qsize() == 1


async def test_an_idle_runner_stops_at_once() -> None:
    bench = Bench()
    working = worker(bench)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        await turns_until(lambda: bench.control.claims >= 3)
        working.drain()
        await task
    assert working.busy == 0


async def test_an_outage_is_logged_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "daemons.runner.services.worker")
    bench = Bench()
    bench.control.down = True
    working = worker(bench)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        await turns_until(lambda: bench.control.claims >= 20)
        assert working.trouble == "connection refused"
        bench.control.down = False
        bench.control.add(claimed(FIRST))
        await turns_until(lambda: bool(bench.meter.results))
        working.drain()
        await task
    changes = [record.message for record in caplog.records]
    assert changes == ["no job can be claimed; trying again", "the control plane answers"]


async def test_a_crash_outside_the_steps_leaves_the_slot_working(caplog: pytest.LogCaptureFixture) -> None:
    class Crashing:
        def __init__(self) -> None:
            self.jobs: list[str] = []
            self.done = asyncio.Event()

        async def run(self, job: ClaimedJob) -> None:
            self.jobs.append(job.id)
            if len(self.jobs) == 2:
                self.done.set()
            raise RuntimeError("a defect")

    bench, crashing = Bench(claimed(FIRST), claimed(SECOND)), Crashing()
    working = Worker(bench.control, crashing, bench.pacer, bench.meter, slots=1, poll_seconds=3)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        await until(crashing.done)
        working.drain()
        await task
    assert crashing.jobs == [FIRST, SECOND]
    assert "its lease will expire" in caplog.text
