"""What a terminal wrote, by the number of its bytes since the beginning, so that a reader goes on where it was."""

from collections import deque
from dataclasses import dataclass
from typing import Final

CAPACITY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Replay:
    """Bytes from `offset` on; `lost` bytes before them are gone."""

    offset: int
    lost: int
    data: bytes


class Ring:
    """The last bytes of a stream, at most `capacity`; `begin` and `end` are offsets of the stream."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._pieces: deque[bytes] = deque()
        self.begin = 0
        self.end = 0

    def append(self, data: bytes) -> None:
        """The oldest bytes go when there is no room."""
        self._pieces.append(data)
        self.end += len(data)
        while self.end - self.begin > self._capacity:
            first = self._pieces.popleft()
            excess = min(self.end - self.begin - self._capacity, len(first))
            self.begin += excess
            if excess < len(first):
                self._pieces.appendleft(first[excess:])

    def since(self, offset: int) -> Replay:
        """All from the offset on that is still there. An offset that was never reached is the end."""
        wanted = min(max(offset, 0), self.end)
        begin = max(wanted, self.begin)
        skip, found = begin - self.begin, []
        for piece in self._pieces:
            if skip >= len(piece):
                skip -= len(piece)
                continue
            found.append(piece[skip:] if skip else piece)
            skip = 0
        return Replay(begin, begin - wanted, b"".join(found))

    def room(self, needed: int) -> int:
        """How many bytes can be appended before one from the offset `needed` on is lost."""
        return self._capacity - (self.end - max(needed, self.begin))
