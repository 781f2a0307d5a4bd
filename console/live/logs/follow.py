"""Follows the log of a job or of an app for as long as it grows, whatever happens to the line."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final, Protocol

from console.live.feed import LogSource, log_pieces
from console.live.logs.book import Origin, Piece
from console.live.plain import line
from console.live.words import t
from protocol.client.stream import backoff
from protocol.client.transport import Refused, Unreachable
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery, OutputStream

Pause = Callable[[float], Awaitable[None]]
#: Epoch milliseconds by the control plane's clock; 0 while it is not known.
Now = Callable[[], int]
_TAIL: Final = 5_000
_PIECE_BYTES: Final = 64 * 1024
_FIRST_WAIT: Final = 0.5
_MOST_WAIT: Final = 10.0
_TOO_MANY: Final = 429


class AppLogSource(Protocol):
    """Where an app's log comes from."""

    def app_log(self, app_id: str, wanted: AppLogQuery | None = None) -> AsyncGenerator[AppLogEvent, None]:
        """Events from a cursor or a tail on. Raises ClientError."""
        ...


class Logs(LogSource, AppLogSource, Protocol):
    """Every log there is."""


async def pieces(
    source: Logs, origin: Origin, number: int, now: Now, pause: Pause = asyncio.sleep
) -> AsyncGenerator[Piece, None]:
    """What origin `number` writes; it ends with the job. Raises Refused when it is not to be seen."""
    if origin.kind == "app":
        found = _AppReader(source, origin.id, number, now).run(pause)
    else:
        found = _of_job(source, origin.id, number, now, pause)
    async with aclosing(found):
        async for piece in found:
            for part in _small(piece):
                yield part


async def _of_job(source: LogSource, job_id: str, number: int, now: Now, pause: Pause) -> AsyncGenerator[Piece, None]:
    lost = False
    async with aclosing(log_pieces(source, job_id, pause=pause)) as found:
        async for piece in found:
            if piece.problem is not None:
                if not lost:
                    note = t("the line is lost: {problem}; trying again", problem=line(piece.problem))
                    yield Piece(number, arrived=now(), note=note)
                lost = True
            else:
                lost = False
                yield Piece(number, piece.data, now())


class _AppReader:
    """Reads one app's log; a lost line is taken up again where it broke."""

    def __init__(self, source: AppLogSource, app_id: str, number: int, now: Now) -> None:
        self._source = source
        self._app_id = app_id
        self._number = number
        self._now = now
        self._wanted = AppLogQuery(tail=_TAIL, follow=True)
        self._container = ""
        self._seen = False
        self._waits = backoff(_FIRST_WAIT, _MOST_WAIT)
        self._problem = ""

    async def run(self, pause: Pause) -> AsyncGenerator[Piece, None]:
        """Read until nobody wants it. Raises Refused when the app is not to be seen."""
        told = ""
        while True:
            self._problem = t("the stream ended")
            async with aclosing(self._once()) as found:
                async for piece in found:
                    told = ""
                    yield piece
            if self._problem != told:
                told = self._problem
                yield Piece(self._number, arrived=self._now(), note=t("{problem}; trying again", problem=told))
            await pause(next(self._waits))

    async def _once(self) -> AsyncGenerator[Piece, None]:
        try:
            async with aclosing(self._source.app_log(self._app_id, self._wanted)) as events:
                async for event in events:
                    self._seen = True
                    for piece in self._told(event):
                        yield piece
                    self._advance(event)
        except Unreachable as error:
            self._problem = line(str(error))
        except Refused as refusal:
            if not self._seen or refusal.status < _TOO_MANY:
                raise
            self._problem = line(str(refusal))

    def _told(self, event: AppLogEvent) -> Iterator[Piece]:
        own, now = event.at or 0, self._now()
        if event.kind is AppLogKind.OUTPUT:
            error = event.stream is OutputStream.STDERR
            yield Piece(self._number, event.text.encode("utf-8", "replace"), now, own, error)
        elif event.kind is AppLogKind.CONTAINER and (event.text or self._container not in ("", event.container)):
            name = line(event.container or "")
            note = t("now container {name}", name=name) + (f": {line(event.text)}" if event.text else "")
            yield Piece(self._number, b"", now, own, note=note)

    def _advance(self, event: AppLogEvent) -> None:
        if event.kind is AppLogKind.END:
            self._problem = line(event.text)
        self._container = event.container or self._container
        if event.cursor is not None:
            self._wanted = self._wanted.model_copy(update={"cursor": event.cursor})
            self._waits = backoff(_FIRST_WAIT, _MOST_WAIT)


def _small(piece: Piece) -> Iterator[Piece]:
    """In parts that take a frame at most to cut into lines."""
    if len(piece.data) <= _PIECE_BYTES:
        yield piece
        return
    for start in range(0, len(piece.data), _PIECE_BYTES):
        yield Piece(piece.origin, piece.data[start : start + _PIECE_BYTES], piece.arrived, piece.own, piece.error)
