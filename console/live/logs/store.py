"""A million lines in little memory: bytes in packed chunks, found by number.

Lines are numbered for good: line 7 stays line 7 when older ones are let go, so that a view that is pinned to it does
not move. Chunks that are full are packed (zlib) and never change; a line is unpacked and parsed when it is looked at.
"""

import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from console.live.logs.lines import Line, Mark

MOST_LINES: Final = 1_000_000
MOST_BYTES: Final = 128 * 1024 * 1024
_CHUNK_LINES: Final = 1024
_CHUNK_BYTES: Final = 128 * 1024
_UNPACKED: Final = 8


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Lines from number `first` on, in columns."""

    first: int
    packed: bytes
    count: int
    arrived: "array[int]"
    own: "array[int]"
    sources: "array[int]"
    marks: bytes

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.packed) + self.count * 19


class LogStore:
    """Lines `first` to `end` (without `end`); older ones were let go."""

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._chunks: list[_Chunk] = []
        self._starts: list[int] = []
        self._bytes = 0
        self._fresh: list[Line] = []
        self._fresh_bytes = 0
        self._unpacked: OrderedDict[int, list[bytes]] = OrderedDict()
        self.first = 0
        self.end = 0

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def size(self) -> int:
        """Bytes that the lines take, about."""
        return self._bytes + self._fresh_bytes

    def append(self, lines: Iterable[Line]) -> None:
        """More lines at the end; a line holds no line feed."""
        for line in lines:
            self._fresh.append(line)
            self._fresh_bytes += len(line.raw)
            self.end += 1
            if len(self._fresh) >= _CHUNK_LINES or self._fresh_bytes >= _CHUNK_BYTES:
                self._seal()

    def line(self, number: int) -> Line:
        """The line of that number. Raises LookupError for one that was let go or has not come yet."""
        if not self.first <= number < self.end:
            raise LookupError(f"there is no line {number}; lines {self.first} to {self.end - 1} are kept")
        fresh = number - (self.end - len(self._fresh))
        if fresh >= 0:
            return self._fresh[fresh]
        chunk = self._chunks[bisect_right(self._starts, number) - 1]
        place = number - chunk.first
        return Line(
            self._lines(chunk)[place],
            chunk.sources[place],
            chunk.arrived[place],
            chunk.own[place],
            Mark(chunk.marks[place]),
        )

    def block(self, number: int) -> tuple[int, bytes]:
        """The block that holds this line: the number of its first line and its lines, joined by line feeds. The last
        block may grow. Raises LookupError."""
        if not self.first <= number < self.end:
            raise LookupError(f"there is no line {number}")
        fresh_first = self.end - len(self._fresh)
        if number >= fresh_first:
            return fresh_first, b"\n".join(line.raw for line in self._fresh)
        chunk = self._chunks[bisect_right(self._starts, number) - 1]
        return chunk.first, zlib.decompress(chunk.packed)

    def copy(self) -> "LogStore":
        """The same lines for another thread; they are shared and never change."""
        other = LogStore(self._most_lines, self._most_bytes)
        other._chunks, other._starts, other._bytes = list(self._chunks), list(self._starts), self._bytes
        other._fresh, other._fresh_bytes = list(self._fresh), self._fresh_bytes
        other.first, other.end = self.first, self.end
        return other

    def _seal(self) -> None:
        lines = self._fresh
        chunk = _Chunk(
            self.end - len(lines),
            zlib.compress(b"\n".join(line.raw for line in lines), 1),
            len(lines),
            array("q", (line.arrived for line in lines)),
            array("q", (line.own for line in lines)),
            array("H", (line.source for line in lines)),
            bytes(line.mark for line in lines),
        )
        self._chunks.append(chunk)
        self._starts.append(chunk.first)
        self._bytes += chunk.size
        self._fresh, self._fresh_bytes = [], 0
        self._let_go()

    def _let_go(self) -> None:
        gone = 0
        while len(self._chunks) - gone > 1 and (
            self.end - self._starts[gone] > self._most_lines + _CHUNK_LINES or self._bytes > self._most_bytes
        ):
            self._bytes -= self._chunks[gone].size
            self._unpacked.pop(self._starts[gone], None)
            gone += 1
        if gone:
            del self._chunks[:gone], self._starts[:gone]
            self.first = self._starts[0]

    def _lines(self, chunk: _Chunk) -> list[bytes]:
        known = self._unpacked.get(chunk.first)
        if known is not None:
            self._unpacked.move_to_end(chunk.first)
            return known
        found = zlib.decompress(chunk.packed).split(b"\n")
        self._unpacked[chunk.first] = found
        if len(self._unpacked) > _UNPACKED:
            self._unpacked.popitem(last=False)
        return found
