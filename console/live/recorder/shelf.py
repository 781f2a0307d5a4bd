"""Recordings in one SQLite file, which several consoles write and read at once.

The file holds 48 hours and 200 MB at most; the oldest reels go first. It says what the operator saw, so it is readable
by this account alone. Every call opens the file anew or belongs to the one thread that opened it.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.live.recorder.steps import Reel, Unreadable, read

KEPT_HOURS: Final = 48
MOST_BYTES: Final = 200 * 1024 * 1024
#: Index, free pages and the write-ahead log take the rest.
_DATA_SHARE: Final = 0.85
_PAGE_BYTES: Final = 4096
_WAIT_SECONDS: Final = 5.0
_LOG_PAGES: Final = 500
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pieces (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    place TEXT NOT NULL,
    plane TEXT NOT NULL,
    reel INTEGER NOT NULL,
    first_local REAL NOT NULL,
    last_local REAL NOT NULL,
    began REAL NOT NULL,
    ended REAL NOT NULL,
    size INTEGER NOT NULL,
    written INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS pieces_reels ON pieces
    (session, plane, reel, written, size, first_local, last_local, began, ended, place);
"""
_REELS: Final = """
SELECT session, place, plane, reel, min(first_local), max(last_local), min(began), max(ended)
FROM pieces GROUP BY session, plane, reel ORDER BY session, plane, reel
"""
_OLD: Final = """
DELETE FROM pieces WHERE (session, plane, reel) IN (
    SELECT session, plane, reel FROM pieces GROUP BY session, plane, reel
    HAVING max(written) < CAST(strftime('%s', 'now') AS INTEGER) - ?)
"""
_OLDEST: Final = """
SELECT session, plane, reel, sum(size) FROM pieces GROUP BY session, plane, reel ORDER BY max(written), reel LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a reel. `first_local` and `last_local` are moments of the session's own clock, `began` and `ended` the
    same by the control plane's, in epoch seconds."""

    session: str
    place: str
    plane: str
    reel: int
    first_local: float
    last_local: float
    began: float
    ended: float
    data: bytes


@dataclass(frozen=True, slots=True)
class ReelInfo:
    """A reel without its lines."""

    session: str
    place: str
    plane: str
    reel: int
    first_local: float
    last_local: float
    began: float
    ended: float


class Shelf:
    """The file. Every call may raise sqlite3.Error or OSError."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES, kept_hours: float = KEPT_HOURS) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._kept_seconds = int(kept_hours * 3600)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """The file, made if need be."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)) as file:
            file.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            file.execute("PRAGMA auto_vacuum=INCREMENTAL")
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=NORMAL")
            file.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
            file.execute(f"PRAGMA journal_size_limit={_LOG_PAGES * _PAGE_BYTES}")
            file.execute(f"PRAGMA max_page_count={max(1, self._most_bytes // _PAGE_BYTES - _LOG_PAGES)}")
            file.executescript(_SCHEMA)
            yield file

    def put(self, file: sqlite3.Connection, piece: Piece) -> int:
        """Keep a piece; the bytes that it takes."""
        packed = zlib.compress(piece.data, 3)
        file.execute(
            "INSERT INTO pieces (session, place, plane, reel, first_local, last_local, began, ended, size, data) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                piece.session,
                piece.place,
                piece.plane,
                piece.reel,
                piece.first_local,
                piece.last_local,
                piece.began,
                piece.ended,
                len(packed),
                packed,
            ),
        )
        return len(packed)

    def prune(self, file: sqlite3.Connection) -> None:
        """Let go what is too old or too much."""
        file.execute("BEGIN IMMEDIATE")
        file.execute(_OLD, (self._kept_seconds,))
        total = file.execute("SELECT coalesce(sum(size), 0) FROM pieces").fetchone()[0]
        while total > self._most_bytes * _DATA_SHARE:
            session, plane, reel, size = file.execute(_OLDEST).fetchone()
            file.execute("DELETE FROM pieces WHERE session = ? AND plane = ? AND reel = ?", (session, plane, reel))
            total -= size
        file.execute("COMMIT")
        file.execute("PRAGMA incremental_vacuum").fetchall()

    def reels(self) -> tuple[ReelInfo, ...]:
        """Every reel; nothing when nothing was ever recorded."""
        if not self.path.exists():
            return ()
        with self.open() as file:
            return tuple(ReelInfo(*row) for row in file.execute(_REELS))

    def read(self, info: ReelInfo) -> Reel:
        """The lines of a reel. Raises Unreadable, also for a reel that was let go meanwhile."""
        with self.open() as file:
            rows = file.execute(
                "SELECT data FROM pieces WHERE session = ? AND plane = ? AND reel = ? ORDER BY id",
                (info.session, info.plane, info.reel),
            ).fetchall()
        try:
            return read(b"".join(zlib.decompress(data) for (data,) in rows))
        except zlib.error as error:
            raise Unreadable(f"{self.path} is damaged; remove it to begin anew") from error
