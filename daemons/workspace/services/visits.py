"""Who is being answered about which user now, so that a workspace can be closed to all of them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

#: How long calls may take to end by themselves.
_SECONDS: Final = 2.0


@dataclass(eq=False, slots=True)
class Visit:
    """One call; a `lasting` one ends only when its caller goes."""

    task: asyncio.Task[Any]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    lasting: bool = False
    sent_away: bool = False


class Visits:
    """The calls under way, by user."""

    def __init__(self) -> None:
        self._visits: dict[str, set[Visit]] = {}

    @contextmanager
    def visiting(self, user_id: str) -> Iterator[Visit]:
        """The task that runs this answers a call for the user, until the end of the block."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type: calls are answered in tasks
        visit, visits = Visit(task), self._visits.setdefault(user_id, set())
        visits.add(visit)
        try:
            yield visit
        finally:
            visit.ended.set()
            visits.discard(visit)
            if not visits:
                self._visits.pop(user_id, None)

    async def clear(self, user_id: str) -> None:
        """Nobody is answered about the user any more. New calls were locked out before."""
        visits = set(self._visits.get(user_id, ()))
        _send_away(visit for visit in visits if visit.lasting)
        try:
            async with asyncio.timeout(_SECONDS):
                for visit in visits:
                    await visit.ended.wait()
        except TimeoutError:
            _send_away(visits)
        for visit in visits:
            # A call's threads end what they began, and only then the call ends.
            await visit.ended.wait()


def _send_away(visits: Iterable[Visit]) -> None:
    for visit in visits:
        if not visit.ended.is_set() and not visit.sent_away:
            visit.sent_away = True
            visit.task.cancel()
