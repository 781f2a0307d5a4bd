"""The line of pending jobs: priority with aging, turns between users."""

from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain.line import (
    LONGEST_DELAY_SECONDS,
    NEWCOMER_SECONDS,
    Candidate,
    Line,
    Standing,
    effective_priority,
    rank,
)
from protocol.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY

NOW = 10_000_000
PRIORITIES = st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY)


def candidate(number: int, user: str, created_at: int = 0, priority: int = 0) -> Candidate:
    return Candidate(f"job-{number}", f"app-{number}", user, priority, created_at)


def line_of(*jobs: Candidate, now: int = NOW, served: dict[str, int] | None = None) -> Line:
    """A line in which every user's jobs are known, in order."""
    by_user: dict[str, list[Candidate]] = {}
    for job in sorted(jobs, key=lambda job: (job.rank, job.id)):
        by_user.setdefault(job.user_id, []).append(job)
    line = Line(
        [Standing(user, own[0].priority, own[0].rank, 0, (served or {}).get(user)) for user, own in by_user.items()],
        now,
    )
    for own in by_user.values():
        line.load(own)
    return line


def drained(line: Line) -> list[Candidate]:
    """Every job in the order in which it is handed out."""
    taken: list[Candidate] = []
    while (user := line.user()) is not None:
        if line.job(user) is None:
            line.leave(user)
        else:
            taken.append(line.take(user))
    return taken


@given(PRIORITIES, PRIORITIES, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_jobs_of_a_user_never_change_their_order(one: int, two: int, first: int, second: int, later: int) -> None:
    before, after = rank(one, first), rank(two, second)
    now = max(first, second)
    if before < after:
        assert effective_priority(before, now + later) >= effective_priority(after, now + later)


@given(st.lists(st.tuples(PRIORITIES, st.integers(0, 3 * LONGEST_DELAY_SECONDS)), min_size=2, max_size=12))
def test_a_priority_passes_no_job_that_is_older_by_the_stated_bound(jobs: list[tuple[int, int]]) -> None:
    made = [
        candidate(number, str(number), created_at=NOW - age * 1000, priority=priority)
        for number, (priority, age) in enumerate(jobs)
    ]
    order = drained(line_of(*made))
    assert len(order) == len(made)
    for place, job in enumerate(order):
        for passed in order[place + 1 :]:
            older_by = (job.created_at - passed.created_at) / 1000
            assert older_by < LONGEST_DELAY_SECONDS


def test_a_lone_user_is_next_however_many_jobs_another_has() -> None:
    many = [candidate(number, "1", created_at=number) for number in range(1000)]
    line = line_of(*many, candidate(1000, "2", created_at=5000), served={"1": NOW - 1})
    assert [job.user_id for job in drained(line)[:2]] == ["2", "1"]


def test_new_users_cannot_keep_an_old_one_waiting() -> None:
    long_ago = NOW - 2 * NEWCOMER_SECONDS * 1000
    served = candidate(0, "old", created_at=long_ago)
    fresh = [candidate(number, f"new-{number}", created_at=NOW - 1000) for number in range(1, 20)]
    assert drained(line_of(served, *fresh, served={"old": long_ago}))[0] == served


def test_a_job_that_did_not_start_is_first_again() -> None:
    line = line_of(candidate(1, "1"), candidate(2, "1", created_at=1))
    taken = line.take("1")
    line.untake(taken)
    assert line.job("1") == taken
