"""What the jobs of one control plane amount to: the line of those that wait, how long apps usually take, what ended.

Pure, but not frozen: it is kept up with the jobs that changed, because a pass over ten thousand of them for every frame
would cost more than drawing it. It follows the jobs of one control plane and no others.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeVar

from sortedcontainers import SortedList

from console.live.keyed import Keyed
from protocol.jobs import JobStatus, JobView

T = TypeVar("T", bound=str)
#: As the control plane counts it: so many seconds of waiting are worth one step of priority.
_AGING_SECONDS: Final = 30.0
_KEPT_RUNS: Final = 20
_FEWEST_RUNS: Final = 2


@dataclass(frozen=True, slots=True)
class Band:
    """Between how many seconds and how many most runs of an app took, and how many runs that is read from."""

    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What ended within a time."""

    succeeded: int
    failed: int

    @property
    def rate(self) -> float | None:
        """The share of successes in percent; None while nothing ended."""
        ended = self.succeeded + self.failed
        return 100 * self.succeeded / ended if ended else None


@dataclass(frozen=True, slots=True)
class _Known:
    user: str
    app: str
    status: JobStatus
    rank: float
    created: float
    ended: float | None
    seconds: float | None


def _known(job: JobView) -> _Known:
    created = job.created_at.timestamp()
    ended = job.finished_at.timestamp() if job.finished_at else None
    began = job.started_at.timestamp() if job.started_at else None
    seconds = ended - began if ended is not None and began is not None else None
    rank = created - job.priority * _AGING_SECONDS
    return _Known(job.user_id, job.app_id, job.status, rank, created, ended, seconds)


class Backlog:
    """Follows jobs; `version` grows with them."""

    def __init__(self) -> None:
        self.version = -1
        self._known: dict[str, _Known] = {}
        self._line: SortedList[tuple[float, str]] = SortedList()
        self._asked: SortedList[tuple[float, str]] = SortedList()
        self._ended: SortedList[tuple[float, str, bool]] = SortedList()
        self._runs: dict[str, dict[str, float]] = {}
        self._users: dict[str, Counter[JobStatus]] = {}
        self._apps: dict[str, Counter[str]] = {}

    def follow(self, jobs: Keyed[JobView]) -> None:
        """Take in what changed; of most changes, as of a phase, the line knows nothing."""
        ids = jobs.since(self.version) if self.version >= 0 else None
        self.version = jobs.version
        for job_id in (jobs.keys() | self._known.keys()) if ids is None else ids:
            job, before = jobs.get(job_id), self._known.get(job_id)
            known = _known(job) if job is not None else None
            if known != before:
                self._forget(job_id)
                if known is not None:
                    self._note(job_id, known)

    def position(self, job_id: str) -> int | None:
        """The place in the line, from 1; users take turns, so it is a guess. None for a job that does not wait."""
        known = self._known.get(job_id)
        if known is None or known.status is not JobStatus.PENDING:
            return None
        return int(self._line.index((known.rank, job_id))) + 1

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._line)

    def waits_longest(self, now: datetime) -> tuple[str, float] | None:
        """The job that has waited longest, and how many seconds; None when none waits."""
        if not self._asked:
            return None
        created, job_id = self._asked[0]
        return job_id, max(0.0, now.timestamp() - created)

    def band(self, app_id: str) -> Band | None:
        """How long most of the app's runs took; None while too few are known."""
        runs = sorted(self._runs.get(app_id, {}).values())
        if len(runs) < _FEWEST_RUNS:
            return None
        return Band(runs[len(runs) // 5], runs[-1 - len(runs) // 10], len(runs))

    def ended(self, now: datetime, seconds: float) -> Outcome:
        """What succeeded and what failed in the last `seconds`; what was cancelled counts as neither."""
        start = bisect_left(self._ended, (now.timestamp() - seconds, "", False))
        good = [each[2] for each in self._ended.islice(start)]
        return Outcome(sum(good), len(good) - sum(good))

    def per_minute(self, now: datetime, minutes: int) -> tuple[int, ...]:
        """How many ended in each of the last minutes, oldest first."""
        end = now.timestamp()
        edges = [bisect_left(self._ended, (end - 60 * left, "", False)) for left in range(minutes, 0, -1)]
        edges.append(len(self._ended))
        return tuple(after - before for before, after in pairwise(edges))

    def users(self) -> Mapping[str, Mapping[JobStatus, int]]:
        """How many jobs in which state each user has."""
        return self._users

    def apps_of(self, user_id: str) -> Iterable[str]:
        """The apps that a user has jobs of."""
        return self._apps.get(user_id, {}).keys()

    def _note(self, job_id: str, known: _Known) -> None:
        self._known[job_id] = known
        if known.status is JobStatus.PENDING:
            self._line.add((known.rank, job_id))
            self._asked.add((known.created, job_id))
        if known.ended is not None and known.status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            self._ended.add((known.ended, job_id, known.status is JobStatus.SUCCEEDED))
        if known.seconds is not None and known.status is JobStatus.SUCCEEDED:
            runs = self._runs.setdefault(known.app, {})
            runs[job_id] = known.seconds
            if len(runs) > _KEPT_RUNS:
                del runs[next(iter(runs))]
        self._users.setdefault(known.user, Counter())[known.status] += 1
        self._apps.setdefault(known.user, Counter())[known.app] += 1

    def _forget(self, job_id: str) -> None:
        known = self._known.pop(job_id, None)
        if known is None:
            return
        if known.status is JobStatus.PENDING:
            self._line.discard((known.rank, job_id))
            self._asked.discard((known.created, job_id))
        if known.ended is not None:
            self._ended.discard((known.ended, job_id, known.status is JobStatus.SUCCEEDED))
        self._runs.get(known.app, {}).pop(job_id, None)
        _less(self._users, known.user, known.status)
        _less(self._apps, known.user, known.app)


def _less(counted: dict[str, Counter[T]], user: str, of: T) -> None:
    counts = counted[user]
    counts[of] -= 1
    if counts[of] <= 0:
        del counts[of]
    if not counts:
        del counted[user]
