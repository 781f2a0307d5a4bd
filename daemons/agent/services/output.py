"""An app's output, through its redeployments: that of the container that visitors are sent to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager
from typing import Final

from daemons.agent.domain.apps import Instance
from daemons.agent.domain.output import Cursor, Piece, Place, Telling, attempt_of, run_of
from daemons.agent.ports import Output, Outputs
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.redaction import redactor_of
from daemons.kit.engine.errors import EngineError
from daemons.kit.logs import Redactor
from daemons.kit.seats import Seats
from protocol.running import AppLogEvent, AppLogKind, AppOutputQuery

#: How long a reader waits for output before it looks whether the app has another container by now.
LOOK_SECONDS: Final = 1.0
_MOST_READERS: Final = 64
_MOST_READERS_OF_ONE: Final = 8
#: Reads of a container that was replaced but still writes, before its reader goes on to the new one.
_LAST_READS: Final = 16
#: Looks between two readings of a container that does not run: each makes the engine read all that it wrote.
_MOST_LOOKS: Final = 8


class AppOutput:
    """Reads and follows. `look_seconds` is how often a silent follower looks for a new container."""

    def __init__(self, outputs: Outputs, ledger: Ledger, look_seconds: float = LOOK_SECONDS) -> None:
        self._outputs = outputs
        self._ledger = ledger
        self._look_seconds = look_seconds
        self._seats = Seats("log readers", _MOST_READERS, _MOST_READERS_OF_ONE)

    def seat(self, asked: AppOutputQuery) -> AbstractContextManager[None]:
        """Room for one reader. Raises NoSeat, and UnknownApp when the app has no container here."""
        self._current(asked)
        return self._seats.take(f"app {asked.app_id}")

    def close(self) -> None:
        """Send all readers away; each has its cursor and comes again."""
        self._seats.close()

    async def read(self, asked: AppOutputQuery) -> AsyncGenerator[AppLogEvent | None, None]:
        """Events, and None whenever a follower has waited `look_seconds` for one. A failing engine ends it with words,
        not with an exception: the reader has its cursor and may come again."""
        reading: _Reading | None = None
        while True:
            try:
                current = self._current(asked)
                if reading is None or reading.container != current.container:
                    reading = await self._begin(current, asked, reading)
                    yield reading.heading
                async for event in self._pour(reading, asked):
                    yield event
            except (EngineError, UnknownApp) as error:
                yield _end(str(error))
                return
            if not asked.follow:
                return
            for _ in range(reading.again()):
                if not self._serves(reading, asked):
                    break
                await asyncio.sleep(self._look_seconds)
                yield None

    async def _begin(self, current: Instance, asked: AppOutputQuery, former: "_Reading | None") -> "_Reading":
        """The reading of another container. Raises EngineError."""
        run = run_of(current.container)
        if former is not None:
            place, text = former.onward(run), self._why(asked, current, former.place.run)
        elif asked.cursor is None:
            place, text = Place(run), ""
        else:
            place, text = _resumed(Cursor.read(asked.cursor), run)
        tail = asked.tail if former is None and asked.cursor is None else None
        redactor = await redactor_of(self._outputs, current)
        return _Reading(current.container, place, tail, text, redactor, former)

    def _why(self, asked: AppOutputQuery, current: Instance, former_run: str) -> str:
        setback = self._ledger.get(asked.app_id).setback
        if setback is not None and (setback.fence, setback.back_to) == (attempt_of(former_run), current.fence):
            return f"visitors were sent back to it, because the newer one failed: {setback.reason}"
        return "the app was deployed anew"

    async def _pour(self, reading: "_Reading", asked: AppOutputQuery) -> AsyncIterator[AppLogEvent | None]:
        """What one opening of a container's output gives, until it ends or the app has another container."""
        opened = self._outputs.output(
            reading.container, since=reading.place.since, tail=reading.tail, follow=asked.follow
        )
        last_reads = _LAST_READS
        async with opened as source:
            while (pieces := await self._next(source)) is not None:
                for event in reading.events(pieces):
                    yield event
                if not pieces:
                    yield None
                if asked.follow and not self._serves(reading, asked):
                    last_reads -= 1
                    if not pieces or not last_reads:
                        return

    async def _next(self, source: Output) -> "tuple[Piece, ...] | None":
        pieces = await source.read(self._look_seconds)
        return None if pieces is None else tuple(pieces)

    def _serves(self, reading: "_Reading", asked: AppOutputQuery) -> bool:
        current = self._ledger.get(asked.app_id).current
        return current is not None and current.container == reading.container

    def _current(self, asked: AppOutputQuery) -> Instance:
        """Raises UnknownApp."""
        state = self._ledger.get(asked.app_id)
        if state.current is None or state.user_id != asked.user_id:
            raise UnknownApp(f"app {asked.app_id} of user {asked.user_id} has no container on this node")
        return state.current


class _Reading:
    """A reader in one container's output. What it has read of the container before is kept: visitors may be sent back
    to it."""

    def __init__(
        self, container: str, place: Place, tail: int | None, text: str, redactor: Redactor, former: "_Reading | None"
    ) -> None:
        self.container = container
        self.place = place
        self.tail = tail
        self.heading = AppLogEvent(kind=AppLogKind.CONTAINER, container=container, text=text)
        self._former = former.place if former is not None else None
        self._telling = Telling(container, redactor.text)
        self._looks = 0

    def onward(self, run: str) -> Place:
        """Where the reading of the next container begins."""
        if self._former is not None and self._former.run == run:
            return self._former.again()
        return _after(self.place.run, self.place.newest, run)

    def events(self, pieces: tuple[Piece, ...]) -> tuple[AppLogEvent, ...]:
        self._looks = 0 if pieces else self._looks
        fresh = self.place.take(pieces)
        return tuple(self._telling.events(fresh, self.place.cursor()))

    def again(self) -> int:
        """The container's output ended; it may go on once the container was started again. After how many looks."""
        self.place = self.place.again()
        self.tail = None if self.place.since else self.tail
        self._looks = min(_MOST_LOOKS, 2 * self._looks or 1)
        return self._looks


def _resumed(cursor: Cursor, run: str) -> tuple[Place, str]:
    """A place in another container than the one that the cursor is of, or in the same; and what is to be said of it."""
    if cursor.run == run:
        return Place(run, cursor), ""
    if attempt_of(run) < attempt_of(cursor.run):
        return _after(cursor.run, cursor.since, run), "visitors were sent back to it; some output may be missing"
    return Place(run), "the app was deployed anew; what its earlier container wrote last may be missing"


def _after(former: str, moment: int, run: str) -> Place:
    """A newer container is read from its beginning, an older one from the moment up to which its successor was."""
    older = attempt_of(run) < attempt_of(former)
    return Place(run, Cursor(run, moment, 0)) if older and moment else Place(run)


def _end(text: str) -> AppLogEvent:
    return AppLogEvent(kind=AppLogKind.END, text=text)
