"""A runner whose loop stands still keeps its leases, and ends at once what it may not do any more.

The control plane is the real one, in a thread of its own; what the job starts is a real process.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

from daemons.kit.clock import SystemClock
from daemons.kit.logs import Redactor
from daemons.runner.adapters import process
from daemons.runner.adapters.aside import OwnThread
from daemons.runner.adapters.control_plane import HttpControlPlane
from daemons.runner.adapters.leash import Leashes
from daemons.runner.adapters.spools import DiskSpools
from daemons.runner.adapters.workplace import DiskWorkplace
from daemons.runner.domain.plan import RegistryPolicy
from daemons.runner.ports import BuildOrder
from daemons.runner.services.execute import Executor, Holding
from daemons.runner.services.pace import MachinePacer
from daemons.runner.services.presence import Roster
from daemons.runner.services.steps import Tools
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.headers import RUNNER_TOKEN
from protocol.jobs import JobStatus, JobView
from tests.http.deploy.plane import TOKENS, Plane, serving
from tests.support.real import wait_until
from tests.unit.runner.twins import MemoryAppHost, MemoryBuilder, MemoryImages, MemoryMeter, MemoryRepository

pytestmark = pytest.mark.real

#: Long enough for a machine that does much else; the loop stands still for twice as long.
LEASE_SECONDS = 8


@pytest.fixture(autouse=True)
def a_loop_that_may_stand_still(loop_guard: BlockBuster) -> Iterator[None]:
    """What is a defect everywhere else is what these tests are about."""
    loop_guard.deactivate()
    yield
    loop_guard.activate()


class There:
    """A control plane in a thread of its own."""

    def __init__(self) -> None:
        self._begun: Future[tuple[asyncio.AbstractEventLoop, Plane]] = Future()
        self._end = asyncio.Event()

    async def live(self) -> None:
        """Serve until `end`; for that thread."""
        async with serving() as plane:
            self._begun.set_result((asyncio.get_running_loop(), plane))
            await self._end.wait()

    def end(self) -> None:
        """Serve no more."""
        self._begun.result(30)[0].call_soon_threadsafe(self._end.set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._begun.result(30)[1].url

    def ask(self, question: Callable[[Plane], Coroutine[Any, Any, JobView]]) -> JobView:
        """Its answer, for whoever blocks another loop."""
        loop, plane = self._begun.result(30)
        return asyncio.run_coroutine_threadsafe(question(plane), loop).result(30)


class World:
    """A runner on this loop."""

    def __init__(self, there: There, control: HttpControlPlane, executor: Executor, builder: MemoryBuilder) -> None:
        self.there, self.builder = there, builder
        self._control, self._executor = control, executor

    async def run_one(self) -> str:
        """Order a job and carry it out; its id."""
        job = self.there.ask(_ordered)
        claimed = await self._control.claim(0)
        assert claimed is not None and claimed.id == job.id
        await self._executor.run(claimed)
        return job.id


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    there = There()
    async with OwnThread("control plane") as thread, OwnThread("leases") as aside, asyncio.TaskGroup() as group:
        group.create_task(thread.run(there.live))
        url = await asyncio.to_thread(lambda: there.url)
        main, renewals = (Transport(url, {RUNNER_TOKEN: TOKENS["runner"]}) for _ in range(2))
        control, builder = _control(main), MemoryBuilder()
        executor = Executor(
            control,
            Tools(MemoryRepository(), builder, MemoryAppHost(), MemoryImages(), MachinePacer(), MemoryMeter()),
            DiskWorkplace(folder),
            RegistryPolicy("", "funaistudio"),
            spools=DiskSpools(folder.with_name(f"{folder.name}-logs"), "r1", SystemClock()),
            lease_seconds=LEASE_SECONDS,
            redactor=Redactor,
            holding=Holding(_control(renewals), aside, Leashes(), Roster()),
        )
        try:
            yield World(there, control, executor, builder)
        finally:
            await main.close()
            await aside.run(renewals.close)
            there.end()


def _control(transport: Transport) -> HttpControlPlane:
    return HttpControlPlane(
        RunnerClient(transport),
        runner_id="r1",
        lease_seconds=LEASE_SECONDS,
        slots=1,
        version="test",
        host="test",
        instance="first-process",
    )


async def test_a_loop_that_stands_still_for_longer_than_a_lease_loses_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        seen: list[JobView] = []

        async def stand_still(_order: BuildOrder) -> None:
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 2 * LEASE_SECONDS, "twice the lease")
            seen.append(here.there.ask(_newest))

        here.builder.during = stand_still
        job_id = await here.run_one()
        assert [(job.id, job.status, job.attempt, job.returns) for job in seen] == [(job_id, JobStatus.RUNNING, 1, 0)]
        after = here.there.ask(lambda plane: plane.api.get(job_id))
        assert (after.status, after.attempt) == (JobStatus.SUCCEEDED, 1)


async def test_what_a_cancelled_job_started_ends_while_the_loop_stands_still(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        states: list[str] = []

        async def stand_still(order: BuildOrder) -> None:
            near, far = order.folder / "near", order.folder / "far"
            script = (
                f"trap '' TERM; (setsid sh -c 'echo $$ >{far}; exec sleep 1000' &); echo $$ >{near}; exec sleep 1000"
            )
            started = process.run(["sh", "-c", script], cwd=order.folder, env={"PATH": os.environ["PATH"]}, log=None)
            async with asyncio.TaskGroup() as group:
                group.create_task(started)
                pids = [int(await _written(path)) for path in (near, far)]
                here.there.ask(_cancelled)
                wait_until(lambda: not any(map(_lives, pids)), "the end of all it started")
                states.append("ended")

        here.builder.during = stand_still
        job_id = await here.run_one()
        assert states == ["ended"]
        assert here.there.ask(lambda plane: plane.api.get(job_id)).status is JobStatus.CANCELLED
        assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nothing else is done meanwhile


async def _ordered(plane: Plane) -> JobView:
    await plane.beat()
    return await plane.create(repoSshUrl="ssh://git@git.example/funai/shop.git")


async def _newest(plane: Plane) -> JobView:
    return (await plane.api.newest(1))[0]


async def _cancelled(plane: Plane) -> JobView:
    return await plane.api.cancel((await _newest(plane)).id)


async def _written(path: Path) -> str:
    await asyncio.to_thread(wait_until, lambda: path.exists() and path.read_text().endswith("\n"), "a process's id")
    return await asyncio.to_thread(path.read_text)


def _lives(pid: int) -> bool:
    """Whether it runs; one that nobody waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
