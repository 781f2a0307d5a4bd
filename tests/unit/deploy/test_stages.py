"""The stages of a job's attempts as the control plane keeps and shows them."""

from dataclasses import replace

from daemons.deploy.domain import jobs
from daemons.deploy.domain.jobs import Job, Lease, Outcome, Progress, Proof
from daemons.deploy.domain.stages import Stage, outcome_of, recorded
from daemons.deploy.domain.views import job_view
from protocol.jobs import JobPayload, JobPhase, JobStatus, JobType, StageOutcome, StageReport

PAYLOAD = JobPayload(user_id="1", app_id="20001", repo_ssh_url="ssh://git@git.example/funai/u1-app20001.git")
PROOF = Proof("runner-01", "token")
CLONE = StageReport(phase=JobPhase.CLONE, outcome=StageOutcome.DONE, started_ms=0, ended_ms=700, bytes=9)
BUILD = StageReport(phase=JobPhase.BUILD, outcome=StageOutcome.RUNNING, started_ms=700)


def running(now: int = 10_000) -> Job:
    job = jobs.submit("job", JobType.BUILD_AND_DEPLOY, PAYLOAD, now)
    return jobs.claim(job, Lease("runner-01", "token", 7, 30_000), now)


def test_times_count_from_the_claim_by_the_control_planes_clock() -> None:
    job = jobs.renew(running(), PROOF, 30_000, Progress("BUILD", stages=(CLONE, BUILD)), 10_800)
    assert job.stages == (
        Stage(1, "CLONE", StageOutcome.DONE, 10_000, 10_700, 9),
        Stage(1, "BUILD", StageOutcome.RUNNING, 10_700),
    )


def test_saying_them_again_changes_nothing_and_saying_none_forgets_none() -> None:
    once = jobs.renew(running(), PROOF, 30_000, Progress("BUILD", stages=(CLONE, BUILD)), 10_800)
    for progress in (Progress("BUILD", stages=(CLONE, BUILD)), Progress("BUILD")):
        assert jobs.renew(once, PROOF, 30_000, progress, 11_000).stages == once.stages


def test_stages_outlast_their_attempt_and_the_next_one_adds_its_own() -> None:
    first = jobs.renew(running(), PROOF, 30_000, Progress("BUILD", stages=(CLONE, BUILD)), 10_800)
    waiting = jobs.expire(first, 3, 50_000)
    second = jobs.claim(waiting, Lease("runner-02", "other", 8, 30_000), 60_000)
    assert second.stages == first.stages
    told = jobs.report(
        second, Proof("runner-02", "other"), Outcome(JobStatus.FAILED, "no", stages=(CLONE,)), now=61_000
    )
    assert [(stage.attempt, stage.started_at) for stage in told.stages] == [(1, 10_000), (1, 10_700), (2, 60_000)]


def test_what_nobody_ends_any_more_is_shown_as_unfinished() -> None:
    job = jobs.renew(running(), PROOF, 30_000, Progress("BUILD", stages=(CLONE, BUILD)), 10_800)
    shown = [stage.outcome for stage in job_view(job).stages]
    assert shown == ["DONE", "RUNNING"]
    for over in (jobs.expire(job, 3, 50_000), jobs.cancel(job, 11_000), replace(job, attempt=2)):
        assert [stage.outcome for stage in job_view(over).stages] == ["DONE", "UNFINISHED"]


def test_a_done_stage_stays_done() -> None:
    stage = Stage(1, "PUSH", StageOutcome.DONE, 1)
    assert outcome_of(stage, 2, running=False) is StageOutcome.DONE


def test_they_are_bounded() -> None:
    known: tuple[Stage, ...] = ()
    for attempt in range(1, 50):
        known = recorded(known, attempt, 0, (CLONE, BUILD))
    assert len(known) == 40
    assert known[-1].attempt == 49
