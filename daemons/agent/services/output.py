"""An app's output, through its redeployments: that of the container that visitors are sent to."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager
from typing import Final

from daemons.agent.domain.output import Cursor, Piece, Place, Telling, run_of
from daemons.agent.ports import EngineError, Output, Outputs
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger
from daemons.kit.seats import Seats
from protocol.running import AppLogEvent, AppLogKind, AppOutputQuery

#: How long a reader waits for output before it looks whether the app has another container by now.
LOOK_SECONDS: Final = 1.0
_MOST_READERS: Final = 64
_MOST_READERS_OF_ONE: Final = 8
#: Reads of a container that was replaced but still writes, before its reader goes on to the new one.
_LAST_READS: Final = 16


class AppOutput:
    """Reads and follows. `look_seconds` is how often a silent follower looks for a new container."""

    def __init__(self, outputs: Outputs, ledger: Ledger, look_seconds: float = LOOK_SECONDS) -> None:
        self._outputs = outputs
        self._ledger = ledger
        self._look_seconds = look_seconds
        self._seats = Seats("log readers", _MOST_READERS, _MOST_READERS_OF_ONE)

    def seat(self, asked: AppOutputQuery) -> AbstractContextManager[None]:
        """Room for one reader. Raises NoSeat, and UnknownApp when the app has no container here."""
        if self._container(asked) is None:
            raise UnknownApp(_gone(asked))
        return self._seats.take(f"app {asked.app_id}")

    def close(self) -> None:
        """Send all readers away; each has its cursor and comes again."""
        self._seats.close()

    async def read(self, asked: AppOutputQuery) -> AsyncGenerator[AppLogEvent | None, None]:
        """Events, and None whenever a follower has waited `look_seconds` for one. A failing engine ends it with words,
        not with an exception: the reader has its cursor and may come again."""
        resumed = Cursor.read(asked.cursor) if asked.cursor else None
        reading: _Reading | None = None
        while True:
            container = self._container(asked)
            if container is None:
                yield _end(_gone(asked))
                return
            if reading is None or reading.container != container:
                reading = _Reading.begin(container, asked, resumed, replaced=reading is not None)
                yield reading.heading()
            try:
                async for event in self._pour(reading, asked):
                    yield event
            except EngineError as error:
                yield _end(str(error))
                return
            if not asked.follow:
                return
            reading.again()
            if container == self._container(asked):
                await asyncio.sleep(self._look_seconds)
                yield None

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
                if asked.follow and reading.container != self._container(asked):
                    last_reads -= 1
                    if not pieces or not last_reads:
                        return

    async def _next(self, source: Output) -> "tuple[Piece, ...] | None":
        pieces = await source.read(self._look_seconds)
        return None if pieces is None else tuple(pieces)

    def _container(self, asked: AppOutputQuery) -> str | None:
        state = self._ledger.get(asked.app_id)
        return state.current.container if state.current is not None and state.user_id == asked.user_id else None


class _Reading:
    """A reader in one container's output."""

    def __init__(self, container: str, place: Place, tail: int | None, text: str) -> None:
        self.container = container
        self.place = place
        self.tail = tail
        self._text = text
        self._telling = Telling(container)

    @classmethod
    def begin(cls, container: str, asked: AppOutputQuery, resumed: Cursor | None, *, replaced: bool) -> "_Reading":
        run = run_of(container)
        if replaced:
            return cls(container, Place(run), None, "the app was deployed anew")
        if resumed is None:
            return cls(container, Place(run), asked.tail, "")
        if resumed.run == run:
            return cls(container, Place(run, resumed), None, "")
        missed = "the app was deployed anew; what its earlier container wrote last may be missing"
        return cls(container, Place(run), None, missed)

    def heading(self) -> AppLogEvent:
        return AppLogEvent(kind=AppLogKind.CONTAINER, container=self.container, text=self._text)

    def events(self, pieces: tuple[Piece, ...]) -> tuple[AppLogEvent, ...]:
        fresh = self.place.take(pieces)
        return tuple(self._telling.events(fresh, self.place.cursor()))

    def again(self) -> None:
        """The container's output ended; it may go on once the engine has started it again."""
        self.place = self.place.again()
        self.tail = None if self.place.since else self.tail


def _gone(asked: AppOutputQuery) -> str:
    return f"app {asked.app_id} of user {asked.user_id} has no container on this node"


def _end(text: str) -> AppLogEvent:
    return AppLogEvent(kind=AppLogKind.END, text=text)
