"""When a runner takes no more work, and how it tells."""

import asyncio

import pytest

from daemons.runner.domain.watermarks import Disk, Watermarks, too_full
from daemons.runner.ports import ControlPlaneDown
from daemons.runner.services.presence import Presence, Roster
from daemons.runner.services.stages import StageBook
from daemons.runner.services.worker import Worker
from protocol.jobs import JobPhase
from protocol.nodes import RunnerVitals
from tests.unit.runner.twins import Bench, FakePacer, claimed, turns_until

GIB = 1024**3
MARKS = Watermarks(stop_pct=10, resume_pct=15, enough_bytes=20 * GIB)


def disk(free_pct: float, total_gib: int = 100) -> Disk:
    return Disk("RUNNER_WORKDIR", int(total_gib * GIB * free_pct / 100), total_gib * GIB)


@pytest.mark.parametrize(
    ("free_pct", "total_gib", "before", "stops"),
    [
        (9.9, 100, False, True),
        (10.1, 100, False, False),
        (10.1, 100, True, True),
        (14.9, 100, True, True),
        (15.1, 100, True, False),
        (9.9, 300, False, False),
        (5.0, 300, False, True),
    ],
)
def test_work_stops_below_one_line_and_begins_again_above_another(
    free_pct: float, total_gib: int, before: bool, stops: bool
) -> None:
    found = too_full((disk(50), disk(free_pct, total_gib)), MARKS, paused=before)
    assert (found is not None) is stops
    assert found is None or ("RUNNER_WORKDIR has" in found and "again at 15 %" in found)


def test_a_disk_that_cannot_be_measured_stops_nothing() -> None:
    assert too_full((), MARKS, paused=True) is None
    assert too_full((Disk("x", 0, 0),), MARKS, paused=False) is None
    with pytest.raises(ValueError, match="not below"):
        Watermarks(stop_pct=20, resume_pct=10)


class MemoryDisks:
    """Disks as a test says."""

    def __init__(self) -> None:
        self.found: tuple[Disk, ...] = (disk(50),)

    async def look(self) -> tuple[Disk, ...]:
        return self.found


class MemoryFront:
    """What was told; `down` and `known` are its faults."""

    def __init__(self) -> None:
        self.told: list[RunnerVitals] = []
        self.tries = 0
        self.down = False
        self.known = True

    async def tell(self, vitals: RunnerVitals) -> bool:
        await asyncio.sleep(0)
        self.tries += 1
        if self.down:
            raise ControlPlaneDown("connection refused")
        self.told.append(vitals)
        return self.known


class Site:
    def __init__(self) -> None:
        self.front, self.disks, self.pacer, self.roster = MemoryFront(), MemoryDisks(), FakePacer(), Roster()
        self.presence = Presence(self.front, self.disks, MARKS, self.pacer, self.roster, instance="process-1")


async def test_a_full_disk_is_told_at_once_and_its_end_too() -> None:
    site = Site()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(site.presence.run())
        await turns_until(lambda: len(site.front.told) == 1)
        assert site.front.told[0].pause is None and site.front.told[0].instance_id == "process-1"
        site.disks.found = (disk(5),)
        await site.pacer.sleep(5)
        await turns_until(lambda: len(site.front.told) == 2)
        pause = site.front.told[1].pause
        assert pause is not None and (pause.reason, "5.0 % free" in pause.message) == ("disk", True)
        assert site.presence.full
        site.disks.found = (disk(12),)
        await site.pacer.sleep(5)
        await turns_until(lambda: site.presence.vitals().disks[0].free_bytes == disk(12).free)
        assert site.presence.full, "not yet"
        site.disks.found = (disk(16),)
        await site.pacer.sleep(5)
        await turns_until(lambda: site.presence.full is None and site.front.told[-1].pause is None)
        site.presence.stop()
        await turns_until(lambda: site.front.told[-1].pause is not None)
        task.cancel()


async def test_what_it_works_on_is_told_with_its_stage() -> None:
    site = Site()
    book = StageBook(site.pacer)
    book.begin(JobPhase.BUILD)
    with site.roster.entered("job-1", book):
        (work,) = site.presence.vitals().work
        assert (work.job_id, work.phase) == ("job-1", "BUILD")
    assert site.presence.vitals().work == ()


async def test_a_control_plane_that_does_not_know_it_is_asked_rarely_and_one_that_is_down_again_soon() -> None:
    site = Site()
    site.front.known = False
    async with asyncio.TaskGroup() as group:
        task = group.create_task(site.presence.run())
        await turns_until(lambda: site.front.tries == 1)
        for _ in range(40):
            await site.pacer.sleep(5)
        assert site.front.tries == 1
        site.front.known, site.front.down = True, True
        for _ in range(40):
            await site.pacer.sleep(5)
            await asyncio.sleep(0)
        await turns_until(lambda: site.front.tries >= 5)
        task.cancel()


async def test_no_slot_claims_while_a_disk_is_too_full() -> None:
    bench, full = Bench(claimed()), ["a disk is full"]
    working = Worker(
        bench.control,
        bench.executor,
        bench.pacer,
        bench.meter,
        slots=2,
        poll_seconds=3,
        full=lambda: full[0] if full else None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(working.run())
        began = bench.pacer.now()
        await turns_until(lambda: bench.pacer.now() > began + 60)
        assert bench.control.claims == 0
        full.clear()
        await turns_until(lambda: bench.meter.results == ["SUCCEEDED"])
        working.drain()
        await task
