"""The log of one or of several jobs and apps, merged: whose bytes came becomes lines in one store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from console.live.logs.lines import Intake, Line, Mark
from console.live.logs.store import LogStore

MOST_ORIGINS: Final = 32
_GAP: Final = b"[gap] "
_TOLD: Final = (_GAP, b"[late] ")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes a log: the job or the app of that id, at the control plane of that name."""

    kind: str
    id: str
    label: str
    plane: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one origin (its number in the book). `note` is said by the console itself: a line was lost, output
    is missing, a log is complete. Times are epoch milliseconds, 0 when unknown."""

    origin: int
    data: bytes = b""
    arrived: int = 0
    own: int = 0
    error: bool = False
    note: str = ""


class Logbook:
    """Lines of all origins, in the order in which they came; of what came at once, in the order of their own times."""

    def __init__(self, origins: Sequence[Origin], store: LogStore | None = None) -> None:
        self.origins = tuple(origins)[:MOST_ORIGINS]
        self.store = store or LogStore()
        self.bytes = 0
        self.gaps = 0
        self._intakes = {
            (number, error): Intake(number, Mark.ERROR if error else Mark.NONE)
            for number in range(len(self.origins))
            for error in (False, True)
        }

    def take(self, pieces: Iterable[Piece]) -> None:
        """What came since the last time."""
        lines: list[Line] = []
        for piece in pieces:
            self.bytes += len(piece.data)
            intake = self._intakes[piece.origin, piece.error]
            lines.extend(intake.feed(piece.data, piece.arrived, piece.own))
            if piece.note:
                lines += self._noted(piece)
        lines = [self._judged(line) for line in lines]
        if len(self.origins) > 1:
            lines = _by_time(lines)
        self.store.append(lines)

    def open_lines(self) -> tuple[Line, ...]:
        """Lines that have no end yet."""
        return tuple(line for intake in self._intakes.values() if (line := intake.unfinished) is not None)

    def _judged(self, line: Line) -> Line:
        """In the log of a job the platform says by a line of its own what is missing; such lines are counted."""
        if not line.raw.startswith(_TOLD) or self.origins[line.source].kind != "job":
            return line
        self.gaps += line.raw.startswith(_GAP)
        return replace(line, mark=line.mark | Mark.GAP)

    def _noted(self, piece: Piece) -> list[Line]:
        """A note ends what was not finished: what comes after it need not belong to it."""
        rest = [line for error in (False, True) for line in self._intakes[piece.origin, error].finish()]
        return [*rest, Line(piece.note.encode(), piece.origin, piece.arrived, piece.own, Mark.NOTE)]


def _by_time(lines: list[Line]) -> list[Line]:
    """In the order of the times at which they were written; one without stays behind the one before it."""
    latest: dict[int, int] = {}
    keyed = []
    for line in lines:
        moment = max(line.own or line.arrived, latest.get(line.source, 0))
        latest[line.source] = moment
        keyed.append((moment, line))
    return [line for _, line in sorted(keyed, key=lambda pair: pair[0])]
