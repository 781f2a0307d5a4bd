"""Wake-ups inside this process: who waits for work or for news of a job hears of it at once, not at its next poll.

They only make things fast: other replicas do not hear them, so every waiter also polls.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """Wakes its one listener; a ring while nobody listens is heard by the next wait."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the listener."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after `seconds`."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


class Bells:
    """The bells of one control plane. `closing` is true once the daemon is asked to stop: then nobody parks. `arrivals`
    counts the changes after which a job may be PENDING that was not."""

    def __init__(self) -> None:
        self.work = Bell()
        self.feed = Bell()
        self.results = Bell()
        self.closing = False
        self.arrivals = 0
        self._jobs: dict[str, set[Bell]] = {}
        self._logs: dict[str, set[Bell]] = {}

    @contextmanager
    def of_job(self, job_id: str) -> Iterator[Bell]:
        """A bell that rings when the job changes, for the duration of the block."""
        with _hung(self._jobs, job_id) as bell:
            yield bell

    @contextmanager
    def of_log(self, job_id: str) -> Iterator[Bell]:
        """A bell that rings when the job changes or its log grows, for the duration of the block."""
        with _hung(self._logs, job_id) as bell:
            yield bell

    def changed(self, *job_ids: str, arrived: bool = True) -> None:
        """Jobs changed, and the event log grew: there may be work, too, if only because somebody got free. Without
        `arrived` no job became PENDING."""
        self.arrivals += arrived
        for job_id in job_ids:
            self.job(job_id)
        self.feed.ring()
        self.work.ring()
        self.results.ring()

    def job(self, job_id: str) -> None:
        """Only those who watch this job need to look."""
        for bell in self._jobs.get(job_id, ()):
            bell.ring()
        self.log(job_id)

    def log(self, job_id: str) -> None:
        """Only those who read this job's log need to look."""
        for bell in self._logs.get(job_id, ()):
            bell.ring()

    def close(self) -> None:
        """Wake everybody, for good."""
        self.closing = True
        for job_id in (*self._jobs, *self._logs):
            self.job(job_id)
        self.feed.ring()
        self.work.ring()
        self.results.ring()


@contextmanager
def _hung(bells: dict[str, set[Bell]], job_id: str) -> Iterator[Bell]:
    bell = Bell()
    bells.setdefault(job_id, set()).add(bell)
    try:
        yield bell
    finally:
        bells[job_id].discard(bell)
        if not bells[job_id]:
            del bells[job_id]
