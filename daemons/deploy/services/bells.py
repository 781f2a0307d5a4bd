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
    """The bells of one control plane. `closing` is true once the daemon is asked to stop: then nobody parks."""

    def __init__(self) -> None:
        self.work = Bell()
        self.feed = Bell()
        self.closing = False
        self._jobs: dict[str, set[Bell]] = {}

    @contextmanager
    def of_job(self, job_id: str) -> Iterator[Bell]:
        """A bell that rings when the job changes, for the duration of the block."""
        bell = Bell()
        self._jobs.setdefault(job_id, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._jobs[job_id]
            bells.discard(bell)
            if not bells:
                del self._jobs[job_id]

    def changed(self, *job_ids: str) -> None:
        """Jobs changed, and the event log grew: there may be work, too."""
        for job_id in job_ids:
            self.job(job_id)
        self.feed.ring()
        self.work.ring()

    def job(self, job_id: str) -> None:
        """Only those who watch this job need to look."""
        for bell in self._jobs.get(job_id, ()):
            bell.ring()

    def close(self) -> None:
        """Wake everybody, for good."""
        self.closing = True
        for job_id in tuple(self._jobs):
            self.job(job_id)
        self.feed.ring()
        self.work.ring()
