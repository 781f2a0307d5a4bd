"""What becomes of an app's active jobs when a newer one is ordered, and new jobs from ended ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain import jobs, logs, succession
from daemons.deploy.domain.jobs import AppBusy, IllegalTransition, Job, Lease, Outcome, Proof, TooLate
from daemons.deploy.domain.succession import NotRetryable, Policy
from protocol.jobs import JobPayload, JobStatus, JobType, OnConflict

PENDING = jobs.submit("p1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a", git_ref="main"), 1000)
RUNNING = jobs.claim(replace(PENDING, id="r1"), Lease("runner", "token", 7, 30_000), 2000)
LIVE = replace(RUNNING, confirmed_at=2500)
ENDED = {
    status: jobs.finish(RUNNING, Outcome(status), 3000)
    for status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
}
REJECT = Policy()
SUPERSEDE = Policy(OnConflict.SUPERSEDE)
CANCEL_RUNNING = Policy(OnConflict.SUPERSEDE, cancel_running=True)


@pytest.mark.parametrize(
    ("job", "policy", "expected"),
    [
        (PENDING, REJECT, False),
        (RUNNING, REJECT, False),
        (PENDING, SUPERSEDE, True),
        (RUNNING, SUPERSEDE, False),
        (LIVE, SUPERSEDE, False),
        (PENDING, CANCEL_RUNNING, True),
        (RUNNING, CANCEL_RUNNING, True),
        (LIVE, CANCEL_RUNNING, False),
        *((job, CANCEL_RUNNING, False) for job in ENDED.values()),
    ],
)
def test_who_gives_way_to_a_newer_job(job: Job, policy: Policy, expected: bool) -> None:
    assert succession.gives_way(job, policy) is expected


def test_a_busy_app_refuses_a_job_that_is_not_to_supersede() -> None:
    for policy in (REJECT, SUPERSEDE, CANCEL_RUNNING):
        succession.check("a", [], policy)
    for policy in (SUPERSEDE, CANCEL_RUNNING):
        succession.check("a", [RUNNING, PENDING], policy)
    with pytest.raises(AppBusy) as refused:
        succession.check("a", [RUNNING, PENDING], REJECT)
    assert refused.value.data == {"jobId": RUNNING.id}


@pytest.mark.parametrize("job", [PENDING, RUNNING])
def test_a_superseded_job_is_cancelled_and_names_its_successor(job: Job) -> None:
    gone = succession.supersede(job, "new", 9000)
    assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.CANCELLED, "superseded", "new")
    assert (gone.finished_at, gone.version) == (9000, job.version + 1)


def test_what_goes_live_or_has_ended_is_not_superseded() -> None:
    with pytest.raises(TooLate):
        succession.supersede(LIVE, "new", 9000)
    for status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        with pytest.raises(IllegalTransition):
            succession.supersede(ENDED[status], "new", 9000)


def test_a_runner_is_shown_that_its_job_was_superseded() -> None:
    gone = succession.supersede(RUNNING, "new", 9000)
    assert jobs.renew(gone, Proof("runner", "token"), 1, jobs.Progress(), 9001) is gone
    assert jobs.confirm(gone, 7, 9001) is None


def test_an_expired_job_that_a_newer_one_waits_behind_is_not_tried_again() -> None:
    assert succession.expire(RUNNING, None, 3, 99_000) == jobs.expire(RUNNING, 3, 99_000)
    gone = succession.expire(RUNNING, "new", 3, 99_000)
    assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.CANCELLED, "superseded", "new")


def test_an_expired_job_that_may_be_live_is_never_called_cancelled() -> None:
    """Whoever sees CANCELLED relies on it that the image gets no traffic."""
    gone = succession.expire(LIVE, "new", 3, 99_000)
    assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.FAILED, "lease_lost", "new")


def test_the_last_attempt_fails_whether_or_not_a_newer_job_waits() -> None:
    last = replace(RUNNING, attempt=3)
    for successor in (None, "new"):
        gone = succession.expire(last, successor, 3, 99_000)
        assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.FAILED, "lease_lost", None)


def test_a_claim_that_was_not_delivered_makes_room_for_a_newer_job() -> None:
    assert succession.give_back(RUNNING, None, 2001) == jobs.give_back(RUNNING, 2001)
    gone = succession.give_back(RUNNING, "new", 2001)
    assert (gone.status, gone.superseded_by) == (JobStatus.CANCELLED, "new")


def test_a_retry_repeats_the_order_and_nothing_else() -> None:
    logged = jobs.claim(jobs.expire(logs.grown(RUNNING, 5), 3, 99_000), Lease("other", "t", 8, 1), 200_000)
    assert jobs.LOG_START in logged.payload
    failed = jobs.finish(logged, Outcome(JobStatus.FAILED, "no", image="img", commit="c"), 300_000)
    again = succession.retry(failed, "new", 400_000)
    assert again == Job(
        id="new",
        type=failed.type,
        status=JobStatus.PENDING,
        app_id="a",
        user_id="1",
        payload=PENDING.payload,
        created_at=400_000,
        updated_at=400_000,
        retry_of=failed.id,
    )


@pytest.mark.parametrize("job", [PENDING, RUNNING, LIVE, ENDED[JobStatus.SUCCEEDED]])
def test_only_what_failed_or_was_cancelled_is_retried(job: Job) -> None:
    with pytest.raises(NotRetryable, match=f"{job.id} is {job.status.value}"):
        succession.retry(job, "new", 9000)


@given(st.none() | st.integers(0, 50), st.integers(0, 50))
def test_a_new_job_is_younger_than_every_other_of_its_app(newest: int | None, now: int) -> None:
    job = succession.after(replace(PENDING, created_at=now, updated_at=now), newest)
    assert job.created_at == (now if newest is None else max(now, newest + 1)) and job.updated_at == now
