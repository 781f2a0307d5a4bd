"""The lease keeper against a control plane that parks renewals for as long as it was asked to, and answers late."""

import pytest

from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlaneDown, LeaseLost
from daemons.runner.services.lease import LeaseKeeper
from daemons.runner.services.stages import StageBook
from protocol.jobs import JobPhase, JobStatus, StageReport
from tests.unit.runner.twins import FakePacer, MemoryControlPlane, MemoryLeash


class ParkingControlPlane(MemoryControlPlane):
    """Holds each renewal for the asked time and `latency` seconds; refuses some; ends the job after `renewals`."""

    def __init__(self, pacer: FakePacer, *, latency: float, renewals: int, fail_every: int = 0) -> None:
        super().__init__()
        self.answered = 0
        self._pacer = pacer
        self._latency = latency
        self._renewals = renewals
        self._fail_every = fail_every

    async def renew(
        self, attempt: Attempt, phase: JobPhase | None, wait_seconds: float, stages: tuple[StageReport, ...] = ()
    ) -> JobStatus:
        self.answered += 1
        if self._fail_every and self.answered % self._fail_every == 0:
            raise ControlPlaneDown("connection reset")
        await self._pacer.sleep(wait_seconds + self._latency)
        return JobStatus.RUNNING if self.answered < self._renewals else JobStatus.CANCELLED


@pytest.mark.parametrize("lease_seconds", [10, 30, 300])
@pytest.mark.parametrize(("latency_share", "fail_every"), [(0.0, 0), (0.05, 0), (0.1, 0), (0.02, 3)])
async def test_a_long_job_keeps_its_lease(lease_seconds: float, latency_share: float, fail_every: int) -> None:
    pacer = FakePacer()
    latency = lease_seconds * latency_share
    plane = ParkingControlPlane(pacer, latency=latency, renewals=50, fail_every=fail_every)
    keeper = LeaseKeeper(plane, Attempt("job", 1, "token", lease_seconds), pacer, StageBook(pacer))
    with pytest.raises(LeaseLost, match="CANCELLED"):
        await keeper.keep(MemoryLeash())
    assert plane.answered == 50
    assert pacer.now() - 1000 > 2 * lease_seconds


async def test_answers_that_come_too_late_to_count_end_the_work() -> None:
    pacer = FakePacer()
    plane = ParkingControlPlane(pacer, latency=40, renewals=50)
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await LeaseKeeper(plane, Attempt("job", 1, "token", 30), pacer, StageBook(pacer)).keep(MemoryLeash())
