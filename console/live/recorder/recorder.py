"""Keeps what the console shows, without ever keeping it waiting: everything is done in a thread of its own."""

import logging
import queue
import sqlite3
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Final

from console.live.model import Model
from console.live.recorder.shelf import Piece, Shelf
from console.live.recorder.steps import key, written
from console.live.tape import Published, Step

logger = logging.getLogger(__name__)
#: What waits to be written: beyond it steps are left out, and a new reel begins.
_MOST_WAITING: Final = 2_000
_FLUSH_SECONDS: Final = 5.0
_FLUSH_BYTES: Final = 256 * 1024
_PRUNE_BYTES: Final = 4 * 1024 * 1024
#: A reel is this many times as long as its key, so that what is read to seek is bounded by what is shown.
_KEY_TIMES: Final = 2
_SHORTEST_REEL_BYTES: Final = 512 * 1024
_LONGEST_REEL_SECONDS: Final = 1800.0
_STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Item:
    plane: str
    step: Step
    key: Model | None


@dataclass(slots=True)
class _Track:
    """One control plane's recording, in the writing thread."""

    reel: int = 0
    began_at: float = 0.0
    key_bytes: int = 0
    reel_bytes: int = 0
    lines: bytearray = field(default_factory=bytearray)
    first_local: float = 0.0
    last_local: float = 0.0
    #: The control plane's time (epoch seconds) at local moment 0.
    offset: float = 0.0

    def long_enough(self) -> bool:
        """Whether the next reel is due."""
        most = max(_SHORTEST_REEL_BYTES, _KEY_TIMES * self.key_bytes)
        return self.reel_bytes >= most or self.last_local - self.began_at >= _LONGEST_REEL_SECONDS


class PlaneTape:
    """What one feed hands its steps to."""

    def __init__(self, plane: str, waiting: "queue.SimpleQueue[_Item | None]") -> None:
        self._plane = plane
        self._waiting = waiting
        self.key_wanted = True
        self.lost = 0
        self._broken = True

    def put(self, step: Step, model: Model | None) -> None:
        """Hand it on; steps that find too many before them are counted and left out."""
        if self._waiting.qsize() >= _MOST_WAITING:
            self.lost += 1
            self.key_wanted = self._broken = True
            return
        due = self.key_wanted and isinstance(step, Published) and model is not None
        if due:
            self.key_wanted = self._broken = False
        if self._broken:
            return
        self._waiting.put(_Item(self._plane, step, model if due else None))


class Recorder:
    """A recording of one session: `close` ends it. `problem` says why nothing is recorded any more."""

    def __init__(self, shelf: Shelf, place: str) -> None:
        self._shelf = shelf
        self._place = place
        self.session = uuid.uuid4().hex
        self.problem: str | None = None
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._tapes: dict[str, PlaneTape] = {}
        self._tracks: dict[str, _Track] = {}
        self._unpruned = _PRUNE_BYTES
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def tape(self, plane: str) -> PlaneTape:
        """Where the feed of this control plane hands its steps to."""
        return self._tapes.setdefault(plane, PlaneTape(plane, self._waiting))

    def close(self) -> None:
        """Write what waits; a disk that hangs is not waited for."""
        self._waiting.put(None)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            with self._shelf.open() as file:
                while self._carry(file):
                    pass
        except (OSError, sqlite3.Error) as error:
            self.problem = f"nothing is recorded any more in {self._shelf.path}: {error}"
            logger.warning("The recorder stopped.", extra={"problem": self.problem})
            self._drain()

    def _drain(self) -> None:
        """Nothing is kept, and nothing piles up."""
        while self._waiting.get() is not None:
            pass

    def _carry(self, file: sqlite3.Connection) -> bool:
        """Take in what comes until it is time to write; whether to go on."""
        until, more = time.monotonic() + _FLUSH_SECONDS, True
        try:
            while more and sum(len(track.lines) for track in self._tracks.values()) < _FLUSH_BYTES:
                item = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
                if item is None:
                    more = False
                else:
                    self._take(file, item)
        except queue.Empty:
            pass
        for plane in self._tracks:
            self._flush(file, plane)
        return more

    def _take(self, file: sqlite3.Connection, item: _Item) -> None:
        track = self._tracks.get(item.plane)
        if track is not None:
            self._write(track, item.step)
        if item.key is not None and isinstance(item.step, Published):
            self._begin(file, item.plane, item.key, item.step)
        elif track is not None and track.long_enough():
            self._tapes[item.plane].key_wanted = True

    def _begin(self, file: sqlite3.Connection, plane: str, model: Model, published: Published) -> None:
        before = self._tracks.get(plane)
        if before is not None:
            self._flush(file, plane)
        track = _Track(reel=1 if before is None else before.reel + 1)
        track.lines.extend(b"".join(key(model, published)))
        track.key_bytes = track.reel_bytes = len(track.lines)
        track.began_at = track.first_local = track.last_local = published.local
        track.offset = model.at.timestamp() - model.heard_at
        self._tracks[plane] = track

    def _write(self, track: _Track, step: Step) -> None:
        if not track.lines:
            track.first_local = step.local
        before = len(track.lines)
        for piece in written(step):
            track.lines.extend(piece)
        track.reel_bytes += len(track.lines) - before
        track.last_local = step.local

    def _flush(self, file: sqlite3.Connection, plane: str) -> None:
        track = self._tracks[plane]
        if not track.lines:
            return
        first, last = track.first_local, track.last_local
        piece = Piece(
            self.session,
            self._place,
            plane,
            track.reel,
            first,
            last,
            first + track.offset,
            last + track.offset,
            bytes(track.lines),
        )
        track.lines.clear()
        if self._unpruned >= _PRUNE_BYTES:
            self._unpruned = 0
            self._shelf.prune(file)
        self._unpruned += self._shelf.put(file, piece)
