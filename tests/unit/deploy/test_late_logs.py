"""Bytes of attempts that are over: taken whole, once, and never among another attempt's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain import jobs, late_logs, logs
from daemons.deploy.domain.jobs import Job, Lease, Outcome, Proof
from daemons.deploy.domain.late_logs import LogLater, LogPart
from daemons.deploy.domain.logs import LogClosed, LogFull, LogGap
from protocol.jobs import JobPayload, JobStatus, JobType

NEW = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a", git_ref="main"), 1000)
RUNNING = jobs.claim(NEW, Lease("r1", "token", 7, 30_000), 2000)
LATER = 10**6


def lost(sent: int) -> tuple[Job, LogPart]:
    """A job whose first attempt was lost after so many bytes, PENDING, and that attempt's part."""
    was = logs.grown(RUNNING, sent)
    job, _ = logs.interrupted(was, jobs.expire(was, 3, 99_000))
    part = late_logs.part_of(was, 99_000, gap=True)
    assert part is not None and part.holder == late_logs.holder_of(Proof("r1", "token"))
    return job, part


@given(
    st.binary(max_size=60),
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30), st.booleans()), max_size=20),
)
def test_whatever_comes_in_whatever_order_the_part_is_a_prefix_of_what_was_written(
    data: bytes, sent: int, pieces: list[tuple[int, int, bool]]
) -> None:
    job, part = lost(min(sent, len(data)))
    stored, marks = data[: part.received], 0
    for offset, size, last in (*pieces, (0, len(data), True), (0, len(data), True)):
        piece = data[offset : offset + size]
        ends = last and offset + size >= len(data)
        try:
            after, brought, block = late_logs.taken(job, part, offset, piece, LATER, last=ends)
        except LogGap as gap:
            assert offset > len(stored) and gap.data == {"length": len(stored)}
            continue
        new = data[len(stored) : brought.received]
        assert new in block and after.log_length == job.log_length + len(block)
        marks += block.count(b"[late] the log of attempt 1 ends here")
        job, part, stored = after, brought, stored + new
    assert stored == data and (part.whole, marks, job.log_gaps) == (True, 1, 0)


def test_nothing_is_taken_while_another_attempt_writes_or_may() -> None:
    job, part = lost(5)
    second = jobs.claim(job, Lease("r2", "other", 8, 30_000), 200_000)
    ended = jobs.finish(logs.grown(second, 3), Outcome(JobStatus.FAILED, log_length=9), 300_000)
    just = jobs.finish(logs.grown(second, 3), Outcome(JobStatus.FAILED, log_length=3), 300_000)
    for busy, now in ((second, 250_000), (ended, 10**6)):
        with pytest.raises(LogLater):
            late_logs.taken(busy, part, 5, b"more", now, last=True)
    settled, _ = logs.settled(ended)
    for free in (settled, just):
        after, _, block = late_logs.taken(free, part, 5, b"more", 10**6, last=True)
        assert block.startswith(b"\n[late] this is of attempt 1") and b"\nmore\n" in block
        assert after.log_expected == after.log_length and logs.missing(after) == 0


def test_it_is_bounded_in_time_and_bytes_and_ends_with_the_log() -> None:
    job, part = lost(5)
    with pytest.raises(LogClosed):
        late_logs.taken(job, part, 5, b"x", part.closed_at + late_logs.KEPT_MS, last=False)
    with pytest.raises(LogClosed):
        late_logs.taken(replace(job, log_removed="age"), part, 5, b"x", LATER, last=False)
    with pytest.raises(LogFull):
        late_logs.taken(replace(job, log_length=logs.MOST_BYTES), part, 5, b"x", LATER, last=False)


def test_a_proof_without_a_token_proves_nothing_of_an_attempt_that_is_over() -> None:
    assert late_logs.holder_of(Proof("r1", None, tokenless=True)) is None
    assert late_logs.holder_of(Proof("r1", "token")) != late_logs.holder_of(Proof("r", "1token"))


def test_a_runner_that_said_that_this_was_all_leaves_no_gap() -> None:
    said = logs.grown(RUNNING, 5, last=True, left=True)
    after, line = logs.interrupted(said, jobs.expire(said, 3, 99_000))
    assert (line, after.log_gaps, after.log_expected) == (b"", 0, None)
    failed, line = logs.interrupted(said, jobs.expire(said, 1, 99_000))
    assert (line, failed.log_expected) == (b"", 5) and logs.complete(failed)
