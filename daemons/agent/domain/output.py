"""What containers write, as the engine hands it out, and the place of a reader in it.

The engine stamps each piece with a time in nanoseconds, rotates old ones away and can be asked for all since a time; it
has no stable offsets. A place is therefore a moment and the number of pieces since that moment that were read. Pieces
of one long line share a stamp, and two streams of a container may be written down out of order: the moment lies a
little before the newest stamp, so that what was overtaken is not lost.
Format: Docker Engine API 1.41, ContainerAttach ("Stream format") and ContainerLogs with timestamps.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from protocol.running import AppLogEvent, AppLogKind, OutputStream

_CURSOR: Final = re.compile(r"(r[0-9]{1,20}(?:\.[0-9]{1,4})?):([0-9]{1,19}):([0-9]{1,9})")
_HEADER_BYTES: Final = 8
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ")
_STREAMS: Final = {1: OutputStream.STDOUT, 2: OutputStream.STDERR}
#: The engine splits lines at 16 KiB; a longer piece means that the stream is not what it should be.
_LONGEST_PIECE: Final = 1024 * 1024
#: By how much one stream of a container may be written down later than the other.
_OVERTAKEN_NS: Final = 20_000_000
_LONGEST_TEXT: Final = 64 * 1024


class NotOutput(Exception):
    """The bytes are not those of a container's output."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a container wrote at once: a line, or a part of a long one. `stamp` is nanoseconds since 1970."""

    stream: OutputStream
    stamp: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the output of the container whose name ends in `run`: `skip` pieces since `since` were read."""

    run: str
    since: int
    skip: int

    def __str__(self) -> str:
        return f"{self.run}:{self.since}:{self.skip}"

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError for what is no cursor."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError("is not a cursor that a log gave")
        return cls(found[1], int(found[2]), int(found[3]))


class Pieces:
    """Takes the engine's bytes as they come, cut anywhere, and gives whole pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Sequence[Piece]:
        """The pieces that are complete now. Raises NotOutput."""
        self._held += data
        found, start = [], 0
        while len(self._held) - start >= _HEADER_BYTES:
            length = int.from_bytes(self._held[start + 4 : start + _HEADER_BYTES], "big")
            if length > _LONGEST_PIECE:
                raise NotOutput("the engine sent something else than a container's output")
            end = start + _HEADER_BYTES + length
            if end > len(self._held):
                break
            found.append(_piece(self._held[start], bytes(self._held[start + _HEADER_BYTES : end])))
            start = end
        del self._held[:start]
        return found


class Place:
    """Where a reader of one container is: counts what it was given, and skips what it had before."""

    def __init__(self, run: str, resumed: Cursor | None = None) -> None:
        self._run = run
        self._floor = resumed.since if resumed is not None else 0
        self._skip = resumed.skip if resumed is not None else 0
        self._recent: list[int] = []
        self._newest = self._floor

    @property
    def run(self) -> str:
        """Which container it is in."""
        return self._run

    @property
    def newest(self) -> int:
        """When the newest piece that was read was written; 0 when nothing was read yet."""
        return self._newest

    @property
    def since(self) -> int:
        """The engine is to give all pieces from this moment on; 0 when nothing was read yet."""
        return self._floor

    def take(self, pieces: Iterable[Piece]) -> Sequence[Piece]:
        """Those that the reader has not had."""
        fresh = []
        for piece in pieces:
            self._count(piece.stamp)
            if self._skip:
                self._skip -= 1
            else:
                fresh.append(piece)
        return fresh

    def again(self) -> "Place":
        """The same place for a new look at the container's output."""
        cursor = self.cursor()
        return Place(self._run, cursor) if cursor is not None else Place(self._run)

    def cursor(self) -> Cursor | None:
        """What leads back here; None when nothing was read yet."""
        if not self._newest:
            return None
        return Cursor(self._run, self._floor, len(self._recent) + self._skip)

    def _count(self, stamp: int) -> None:
        if not self._floor:
            # What lies before the first piece that was read was never asked for.
            self._floor = stamp
        self._newest = max(self._newest, stamp)
        if stamp >= self._floor:
            self._recent.append(stamp)
        if self._newest - self._floor > 2 * _OVERTAKEN_NS:
            # All that was read before lies before this: when it is not there to be skipped, it was rotated away.
            self._skip = 0
            self._floor = self._newest - _OVERTAKEN_NS
            self._recent = [each for each in self._recent if each >= self._floor]


class Telling:
    """Turns pieces into events: neighbours of one stream become one, characters cut between pieces are mended.

    `redact` is applied to each event's text. A secret is found wherever its line is whole in one event, which is to say
    always, unless the line is longer than the engine's 16 KiB.
    """

    def __init__(self, container: str, redact: Callable[[str], str] = str) -> None:
        self._container = container
        self._redact = redact
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: make("replace") for stream in OutputStream}

    def events(self, pieces: Sequence[Piece], cursor: Cursor | None) -> Sequence[AppLogEvent]:
        """What the pieces say; `cursor` is the place after them and stands on the last event alone."""
        groups: list[tuple[Piece, list[str]]] = []
        size = 0
        for piece in pieces:
            text = self._decoders[piece.stream].decode(piece.data)
            if groups and groups[-1][0].stream is piece.stream and size + len(text) <= _LONGEST_TEXT:
                groups[-1][1].append(text)
                size += len(text)
            else:
                groups.append((piece, [text]))
                size = len(text)
        return [
            AppLogEvent(
                kind=AppLogKind.OUTPUT,
                cursor=str(cursor) if cursor is not None and number == len(groups) else None,
                container=self._container,
                stream=first.stream,
                at=first.stamp // 1_000_000,
                text=self._redact("".join(texts)),
            )
            for number, (first, texts) in enumerate(groups, start=1)
        ]


def attempt_of(run: str) -> int:
    """The attempt of a container's `run`."""
    return int(run.removeprefix("r").partition(".")[0] or 0)


def run_of(container: str) -> str:
    """The last part of a container's name, which tells the attempts of an app apart."""
    return container.rpartition("-")[2]


def engine_time(stamp: int) -> str:
    """Nanoseconds since 1970 as the engine takes them."""
    return f"{stamp // 10**9}.{stamp % 10**9:09}"


def _piece(kind: int, body: bytes) -> Piece:
    found = _STAMP.match(body)
    if kind not in _STREAMS or found is None:
        raise NotOutput("the engine sent something else than a container's stamped output")
    fraction = int((found[2] or b"0").ljust(9, b"0"))
    return Piece(_STREAMS[kind], _seconds(found[1]) * 10**9 + fraction, body[found.end() :])


@lru_cache(maxsize=64)
def _seconds(text: bytes) -> int:
    return int(datetime.fromisoformat(text.decode("ascii")).replace(tzinfo=UTC).timestamp())
