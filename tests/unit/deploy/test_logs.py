"""What a job says of its log."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain import jobs, logs, succession
from daemons.deploy.domain.jobs import Job, Lease, LeaseLost, Outcome, Proof
from daemons.deploy.domain.logs import LogFull, LogGap, Removal
from protocol.jobs import JobPayload, JobStatus, JobType

NEW = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a", git_ref="main"), 1000)
LEASE = Lease("r1", "token", 7, 30_000)
MINE = Proof("r1", "token")
RUNNING = jobs.claim(NEW, LEASE, 2000)
CUT = 32_000
FAILED = Outcome(JobStatus.FAILED)


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.tuples(st.integers(0, 220), st.integers(0, 60)), max_size=40),
)
def test_whatever_pieces_arrive_the_log_is_a_prefix_of_what_was_written(
    data: bytes, pieces: list[tuple[int, int]]
) -> None:
    job, stored = RUNNING, b""
    for offset, size in pieces:
        piece = data[offset : offset + size]
        if offset > len(stored):
            with pytest.raises(LogGap) as caught:
                logs.tail(job, MINE, offset, piece)
            assert caught.value.data == {"length": len(stored)}
            continue
        new = logs.tail(job, MINE, offset, piece)
        job, stored = logs.grown(job, len(new)), stored + new
        assert data.startswith(stored) and logs.attempt_length(job) == len(stored)


def test_only_the_holder_appends_and_a_log_has_a_limit() -> None:
    with pytest.raises(LeaseLost):
        logs.tail(RUNNING, Proof("r1", "other"), 0, b"x")
    with pytest.raises(LogFull):
        logs.tail(logs.grown(RUNNING, logs.MOST_BYTES), MINE, logs.MOST_BYTES, b"x")


def test_the_next_attempts_log_follows_the_one_before_and_the_loss_between_them_has_a_line() -> None:
    printed = logs.grown(RUNNING, 5)
    requeued, line = logs.interrupted(printed, jobs.expire(printed, 3, 99_000))
    assert b"runner r1 was lost in attempt 1" in line and requeued.log_gaps == 1
    job = jobs.claim(requeued, LEASE, 200_000)
    assert (job.log_length, logs.attempt_length(job)) == (5 + len(line), 0)
    assert logs.tail(job, MINE, 0, b"new") == b"new"
    done = jobs.finish(logs.grown(job, 3), Outcome(JobStatus.SUCCEEDED, log_length=3), 201_000)
    assert not logs.complete(done), "the first attempt's end is missing"
    assert logs.settled(done) == (done, b"")


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (jobs.expire(RUNNING, 3, CUT), True),
        (jobs.expire(RUNNING, 1, CUT), True),
        (succession.expire(RUNNING, "newer", 3, CUT), True),
        (jobs.give_back(RUNNING, CUT), False),
        (succession.give_back(RUNNING, "newer", 3000), False),
        (jobs.cancel(RUNNING, CUT), False),
        (succession.supersede(RUNNING, "newer", 3000), False),
        (jobs.time_out(RUNNING, 1, CUT), False),
        (jobs.finish(RUNNING, FAILED, CUT), False),
        (jobs.finish(RUNNING, Outcome(JobStatus.FAILED, reason="lease_lost", log_length=0), CUT), False),
        (RUNNING, False),
    ],
)
def test_only_the_silence_of_a_runner_interrupts_a_log(after: Job, told: bool) -> None:
    marked, line = logs.interrupted(RUNNING, after)
    assert bool(line) is told
    if not told:
        assert marked is after
    elif marked.status.terminal:
        assert logs.closed(marked, CUT) and not logs.complete(marked) and logs.settled(marked) == (marked, b"")


def test_an_ended_log_knows_what_is_missing_of_it() -> None:
    second = jobs.claim(jobs.expire(logs.grown(RUNNING, 5), 3, 99_000), LEASE, 200_000)
    assert (logs.missing(second), logs.complete(second)) == (0, False)
    short = jobs.finish(logs.grown(second, 2), Outcome(JobStatus.FAILED, log_length=6), 201_000)
    assert (short.log_expected, logs.missing(short), logs.complete(short)) == (11, 4, False)
    assert logs.complete(logs.grown(short, 4))
    settled, line = logs.settled(short)
    assert b"[gap] 4 more bytes" in line and settled.log_length == 7 + len(line)
    assert (logs.missing(settled), logs.complete(settled), settled.log_gaps) == (0, False, 1)
    assert logs.settled(settled) == (settled, b"")
    huge = jobs.finish(second, Outcome(JobStatus.FAILED, log_length=2**70), 201_000)
    assert huge.log_expected == 2**53


def test_a_log_whose_runner_was_stopped_is_whole_when_it_says_so() -> None:
    assert logs.complete(jobs.finish(RUNNING, FAILED, 3000)), "an existing runner says nothing of its log"
    assert logs.complete(jobs.cancel(NEW, 3000))
    stopped = jobs.cancel(logs.grown(RUNNING, 5), 3000)
    assert logs.open_end(stopped) and not logs.complete(stopped)
    whole = logs.grown(stopped, 3, last=True)
    assert (whole.log_expected, logs.complete(whole)) == (8, True)
    assert logs.grown(RUNNING, 3, last=True).log_expected is None, "a job that runs has not ended"
    settled, line = logs.settled(stopped)
    assert b"did not say that this is all" in line and settled.log_gaps == 1


def test_an_ended_log_closes() -> None:
    ended = jobs.finish(RUNNING, FAILED, 3000)
    assert not logs.closed(ended, 3000 + logs.LATE_MS - 1) and logs.closed(ended, 3000 + logs.LATE_MS)


def test_a_removed_log_says_why() -> None:
    gone = logs.removed(jobs.finish(logs.grown(RUNNING, 5), FAILED, 3000), Removal.AGE, 9000)
    assert (gone.log_removed, gone.log_removed_at, logs.open_end(gone)) == ("age", 9000, False)
    assert "DEPLOY_LOG_KEPT_DAYS" in str(logs.LogRemoved(gone))
    assert "DEPLOY_LOG_TOTAL_MIB" in str(logs.LogRemoved(replace(gone, log_removed="size")))
