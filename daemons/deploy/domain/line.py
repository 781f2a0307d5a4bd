"""The line of pending jobs: which one is next.

Three rules, in this order:

1. The higher effective priority first. It is the job's priority and one more for every `AGING_SECONDS` it has waited,
   up to the highest priority that anybody in the line asked for. So a job is passed because of its priority only by
   jobs created less than `LONGEST_DELAY_SECONDS` after it, and after that time waits for nothing but its turn.
2. Users take turns: first whoever has the fewest jobs running, then whoever was served longest ago. One who was never
   served, or not for `NEWCOMER_SECONDS`, counts as served that long before asking, so that new users cannot keep an
   old one waiting for ever. A lone job therefore starts with the first slot that comes free, however many jobs of
   another user were there before it, if that other user was served within that time.
3. A user's own jobs by effective priority without an upper end, so oldest first among equals.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY

#: Seconds of waiting that raise the effective priority by one.
AGING_SECONDS: Final = 30
#: How much later than another a job may at most be created and still pass it because of its priority.
LONGEST_DELAY_SECONDS: Final = (HIGHEST_PRIORITY - LOWEST_PRIORITY) * AGING_SECONDS
NEWCOMER_SECONDS: Final = 3600
_AGING_MS: Final = AGING_SECONDS * 1000


def rank(priority: int, created_at: int) -> int:
    """The job's place among those of its user, lowest first, in epoch ms. All jobs age equally fast, so the order of
    effective priorities never changes, and an index can keep it."""
    return created_at - priority * _AGING_MS


def created(priority: int, rank_of_job: int) -> int:
    """When a job of this rank entered the line, in epoch ms: what `rank` was made from."""
    return rank_of_job + priority * _AGING_MS


def effective_priority(rank_of_job: int, now: int) -> int:
    """The priority with what waiting has added to it, without an upper end."""
    return (now - rank_of_job) // _AGING_MS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pending job that is due. Times in epoch ms; `home` is the node its app is placed on, `settled` whether the app
    ever came up, `app_idle_at` when the app's last job ended, `builds` whether there is something to build, `blocked`
    whether another job of the app is running. `target` is the node that a move goes to."""

    id: str
    app_id: str
    user_id: str
    priority: int
    created_at: int
    not_before: int = 0
    requires: frozenset[str] = frozenset()
    builds: bool = True
    blocked: bool = False
    built_by: str | None = None
    app_idle_at: int | None = None
    home: int | None = None
    settled: bool = False
    target: int | None = None

    @property
    def rank(self) -> int:
        """The place among the jobs of its user."""
        return rank(self.priority, self.created_at)

    @property
    def due_at(self) -> int:
        """When nothing but its turn stood in the way any more."""
        return max(self.created_at, self.not_before, self.app_idle_at or 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """A user in the line: the first of the user's jobs, how many are running, and when one was last started."""

    user_id: str
    priority: int
    rank: int
    running: int = 0
    served_at: int | None = None


@dataclass(slots=True)
class _Queue:
    standing: Standing
    running: int
    served_at: int | None
    jobs: deque[Candidate] = field(default_factory=deque)

    @property
    def rank(self) -> int:
        return self.jobs[0].rank if self.jobs else self.standing.rank

    @property
    def priority(self) -> int:
        return self.jobs[0].priority if self.jobs else self.standing.priority

    def place(self, highest: int, now: int) -> tuple[int, int, int, int, str]:
        """The user with the lowest is next."""
        asked_at = self.rank + self.priority * _AGING_MS
        served = max(self.served_at or 0, asked_at - NEWCOMER_SECONDS * 1000)
        level = min(highest, effective_priority(self.rank, now))
        return (-level, self.running, served, self.rank, self.standing.user_id)


class Line:
    """Who is next, as jobs are taken one after the other. A user's jobs are given to it when they are needed."""

    def __init__(self, standings: Sequence[Standing], now: int) -> None:
        self._now = now
        self._queues = {each.user_id: _Queue(each, each.running, each.served_at) for each in standings}

    @property
    def users(self) -> int:
        """How many users are in the line."""
        return len(self._queues)

    def user(self) -> str | None:
        """Whose turn it is; None when nobody is left."""
        return next(iter(self.first(1)), None)

    def first(self, users: int) -> Sequence[str]:
        """The first users in the order of their turns."""
        queues = self._queues.values()
        highest = max((queue.priority for queue in queues), default=0)
        found = heapq.nsmallest(users, queues, key=lambda queue: queue.place(highest, self._now))
        return [queue.standing.user_id for queue in found]

    def job(self, user_id: str) -> Candidate | None:
        """The user's first job; None while it is not known."""
        jobs = self._queues[user_id].jobs
        return jobs[0] if jobs else None

    def load(self, jobs: Sequence[Candidate]) -> None:
        """More of one user's jobs, in order."""
        for job in jobs:
            self._queues[job.user_id].jobs.append(job)

    def leave(self, user_id: str) -> None:
        """The user has no more jobs that could start."""
        del self._queues[user_id]

    def skip(self, user_id: str) -> None:
        """The user's first job cannot start now."""
        self._queues[user_id].jobs.popleft()

    def take(self, user_id: str) -> Candidate:
        """The user's first job starts: that was the user's turn."""
        queue = self._queues[user_id]
        queue.running += 1
        queue.served_at = self._now
        return queue.jobs.popleft()

    def untake(self, job: Candidate) -> None:
        """The job did not start after all; it is the user's first again."""
        queue = self._queues.get(job.user_id)
        if queue is not None:
            queue.running -= 1
            queue.served_at = queue.standing.served_at
            queue.jobs.appendleft(job)
