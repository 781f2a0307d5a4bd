"""The life of a job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain import jobs
from daemons.deploy.domain.jobs import (
    IllegalTransition,
    Job,
    Lease,
    LeaseLost,
    Outcome,
    Progress,
    Proof,
    TooLate,
)
from protocol.jobs import JobPayload, JobStatus, JobType

NEW = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a", git_ref="main"), 1000)
LEASE = Lease("r1", "token", 7, 30_000)
MINE = Proof("r1", "token")
RUNNING = jobs.claim(NEW, LEASE, 2000)


def ended(status: JobStatus) -> Job:
    return jobs.finish(RUNNING, Outcome(status), 3000)


IN_STATE = {
    JobStatus.PENDING: NEW,
    JobStatus.RUNNING: RUNNING,
    JobStatus.SUCCEEDED: ended(JobStatus.SUCCEEDED),
    JobStatus.FAILED: ended(JobStatus.FAILED),
    JobStatus.CANCELLED: ended(JobStatus.CANCELLED),
}
MOVES = {
    (JobStatus.PENDING, JobStatus.CANCELLED),
    (JobStatus.RUNNING, JobStatus.SUCCEEDED),
    (JobStatus.RUNNING, JobStatus.FAILED),
    (JobStatus.RUNNING, JobStatus.CANCELLED),
}


def test_a_new_job_keeps_what_was_submitted() -> None:
    assert NEW.status is JobStatus.PENDING and NEW.payload == {"userId": "1", "appId": "a", "gitRef": "main"}


@pytest.mark.parametrize("wanted", list(JobStatus))
@pytest.mark.parametrize("status", list(JobStatus))
def test_every_move_by_hand(status: JobStatus, wanted: JobStatus) -> None:
    job = IN_STATE[status]
    if status is wanted:
        assert jobs.move(job, wanted, "again", 9000) is job
    elif (status, wanted) in MOVES:
        moved = jobs.move(job, wanted, None, 9000)
        assert (moved.status, moved.version, moved.finished_at) == (wanted, job.version + 1, 9000)
    else:
        with pytest.raises(IllegalTransition):
            jobs.move(job, wanted, None, 9000)


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.PENDING])
def test_only_a_pending_job_is_claimed(status: JobStatus) -> None:
    with pytest.raises(IllegalTransition):
        jobs.claim(IN_STATE[status], LEASE, 9000)


def test_a_claim_gives_a_lease_and_forgets_the_attempt_before() -> None:
    tried = replace(NEW, error_message="old", reason="old", phase="BUILD", confirmed_at=5)
    job = jobs.claim(tried, LEASE, 2000)
    assert (job.attempt, job.fence, job.runner_id, job.lease_token) == (1, 7, "r1", "token")
    assert (job.lease_expire_at, job.started_at, job.confirmed_at) == (32_000, 2000, None)
    assert (job.error_message, job.reason, job.phase) == (None, None, None)


@pytest.mark.parametrize(
    ("proof", "held"),
    [
        (Proof("r1", "token"), True),
        (Proof("r1", "token", tokenless=True), True),
        (Proof("r1", None, tokenless=True), True),
        (Proof("r1", None), False),
        (Proof("r1", ""), False),
        (Proof("r1", "t\u00f6ken"), False),
        (Proof("r1", "other", tokenless=True), False),
        (Proof("r2", "token"), False),
        (Proof("r2", None, tokenless=True), False),
    ],
)
def test_who_holds_a_job(proof: Proof, held: bool) -> None:
    assert jobs.holds(RUNNING, proof) is held
    assert not jobs.holds(NEW, proof)
    assert not jobs.holds(jobs.expire(RUNNING, 3, 99_000), proof)


def test_a_renewal_counts_from_now_and_keeps_what_it_does_not_say() -> None:
    job = jobs.renew(RUNNING, MINE, 10_000, Progress("BUILD", "step 1"), 5000)
    assert (job.lease_expire_at, job.phase, job.phase_message) == (15_000, "BUILD", "step 1")
    again = jobs.renew(job, MINE, 10_000, Progress(), 6000)
    assert (again.lease_expire_at, again.phase, again.phase_message) == (16_000, "BUILD", "step 1")


def test_what_the_control_plane_ended_is_shown_to_its_runner() -> None:
    for job in (jobs.cancel(RUNNING, 9000), jobs.time_out(RUNNING, 5, 9000)):
        assert jobs.renew(job, MINE, 1, Progress(), 9001) is job
        with pytest.raises(LeaseLost):
            jobs.renew(job, Proof("r1", "other"), 1, Progress(), 9001)
    for status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        with pytest.raises(LeaseLost):
            jobs.renew(IN_STATE[status], MINE, 1, Progress(), 9001)


def test_repeating_a_report_changes_nothing_and_contradicting_it_is_refused() -> None:
    failed = jobs.report(RUNNING, MINE, Outcome(JobStatus.FAILED, "why", "build_failed"), 9000)
    assert jobs.report(failed, MINE, Outcome(JobStatus.FAILED, "other words"), 9001) is failed
    with pytest.raises(IllegalTransition):
        jobs.report(failed, MINE, Outcome(JobStatus.SUCCEEDED), 9001)
    with pytest.raises(LeaseLost):
        jobs.report(failed, Proof("r2", "token"), Outcome(JobStatus.FAILED), 9001)


def test_a_failure_without_words_gets_some() -> None:
    failed = jobs.report(RUNNING, MINE, Outcome(JobStatus.FAILED, "  "), 9000)
    assert failed.error_message and failed.reason == "reported"


def test_an_expired_lease_is_tried_again_after_longer_and_longer_pauses() -> None:
    pauses = []
    job = RUNNING
    for _ in range(4):
        job = jobs.expire(job, 9, 100_000)
        assert (job.status, job.runner_id, job.lease_token, job.fence) == (JobStatus.PENDING, None, None, None)
        pauses.append(job.not_before - 100_000)
        job = jobs.claim(job, LEASE, 200_000)
    assert pauses == [1_000, 20_000, 60_000, 60_000]


def test_the_last_attempt_that_expires_fails() -> None:
    job = jobs.expire(replace(RUNNING, attempt=3), 3, 100_000)
    assert (job.status, job.reason, job.runner_id) == (JobStatus.FAILED, "lease_lost", "r1")


def test_a_claim_that_was_not_delivered_did_not_happen() -> None:
    job = jobs.give_back(RUNNING, 2001)
    assert (job.status, job.attempt, job.runner_id) == (JobStatus.PENDING, 0, None) and job.not_before <= 2001


def test_going_live_and_cancelling_exclude_each_other() -> None:
    live = jobs.confirm(RUNNING, 7, 3000)
    assert live is not None and live.confirmed_at == 3000
    assert jobs.confirm(live, 7, 3001) is live
    with pytest.raises(TooLate):
        jobs.cancel(live, 3002)
    assert jobs.confirm(jobs.cancel(RUNNING, 3000), 7, 3001) is None


@pytest.mark.parametrize(
    ("job", "fence", "now"), [(RUNNING, 6, 3000), (RUNNING, 8, 3000), (RUNNING, 7, 32_000), (NEW, 7, 1)]
)
def test_an_attempt_that_does_not_hold_may_not_go_live(job: Job, fence: int, now: int) -> None:
    assert jobs.confirm(job, fence, now) is None


@given(st.text(max_size=40_000))
def test_a_message_is_cut_to_its_limit_and_short_ones_are_not_touched(text: str) -> None:
    data = text.encode("utf-8", "replace")
    kept = jobs.cut(text).encode()
    assert len(kept) <= 16 * 1024
    if len(data) <= 16 * 1024:
        assert kept == data
    else:
        assert kept[:4000].decode("utf-8", "ignore") in text or "?" in kept.decode()


def test_a_stopped_runner_hands_its_job_back_and_the_attempt_does_not_count_against_the_most() -> None:
    returned = jobs.hand_back(RUNNING, MINE, 5, (), 9000)
    assert (returned.status, returned.not_before, returned.attempt) == (JobStatus.PENDING, 9000, 1)
    assert (returned.runner_id, returned.lease_token, returned.fence) == (None, None, None)
    assert (returned.holders.returns, returned.holders.returned_by, returned.log_expected) == (1, "r1", 5)
    assert jobs.hand_back(returned, MINE, 5, (), 9001) is returned
    with pytest.raises(LeaseLost):
        jobs.hand_back(returned, Proof("r1", "other"), 5, (), 9001)

    second = jobs.claim(returned, Lease("r2", "next", 8, 30_000), 10_000)
    assert jobs.hand_back(second, MINE, 5, (), 10_001) is second, "said again after another runner has it"
    assert second.attempt == 2 and jobs.expire(second, 2, 99_000).status is JobStatus.PENDING
    third = jobs.claim(jobs.expire(second, 2, 99_000), Lease("r3", "last", 9, 30_000), 200_000)
    assert jobs.expire(third, 2, 300_000).status is JobStatus.FAILED


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_that_ended_is_not_handed_back(status: JobStatus) -> None:
    assert jobs.hand_back(IN_STATE[status], MINE, None, (), 9000) is IN_STATE[status]


def test_two_processes_of_one_runner_id_cannot_touch_each_others_jobs() -> None:
    mine = jobs.claim(NEW, Lease("r1", "token", 7, 30_000, instance="first-process"), 2000)
    assert jobs.renew(mine, Proof("r1", "token", instance="first-process"), 1, Progress(), 2001) is not mine
    for other in ("other-process", None):
        proof = Proof("r1", "token", tokenless=True, instance=other)
        with pytest.raises(LeaseLost):
            jobs.renew(mine, proof, 1, Progress(), 2001)
        with pytest.raises(LeaseLost):
            jobs.report(mine, proof, Outcome(JobStatus.SUCCEEDED), 2001)
        with pytest.raises(LeaseLost):
            jobs.hand_back(mine, proof, None, (), 2001)
    assert not jobs.holds(mine, Proof("r1", None, tokenless=True, instance="other-process"))
