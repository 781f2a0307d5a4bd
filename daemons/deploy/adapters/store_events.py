"""Statements about the event log and the jobs' logs."""

import base64
import zlib
from collections.abc import Sequence
from typing import Final

from daemons.deploy.domain.events import Actor, Event, NewEvent
from daemons.kit.sql import Row, Session

#: A row stays far below every server's limit on a packet, also when the bytes do not compress.
_RANGE_BYTES: Final = 256 * 1024
_FAST: Final = 1


class EventStatements:
    """The port `EventRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append(self, event: NewEvent) -> None:
        """Append in this transaction, at the database's time."""
        await self._session.change(
            "append_event",
            kind=event.kind,
            action=event.change,
            subject=event.subject,
            actor=event.actor.name,
            source_address=event.actor.address,
            body_json=event.body,
        )

    async def events_after(self, seq: int, limit: int) -> Sequence[Event]:
        """Committed events with a higher number, in order.

        On MySQL numbers are given out before the commit: one that is missing here may still appear. On SQLite the
        transactions follow each other, so none does.
        """
        return [_event(row) for row in await self._session.rows("events_after", seq=seq, limit=limit)]

    async def event_numbers(self, low: int, high: int, *, uncommitted: bool) -> frozenset[int]:
        """Numbers above `low` and up to `high`, with `uncommitted` also those of open transactions."""
        if uncommitted:
            await self._session.change("read_uncommitted")
        return frozenset(int(row["seq"]) for row in await self._session.rows("event_numbers", low=low, high=high))

    async def event_bounds(self) -> tuple[int, int]:
        """The lowest and highest number in the log; (0, 0) when it is empty."""
        row = await self._session.row("event_bounds")
        return (int(row["lowest"]), int(row["highest"])) if row else (0, 0)

    async def delete_events(self, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before` (epoch ms), oldest first; how many."""
        return await self._session.change("delete_events", before=before, limit=limit)


class LogStatements:
    """The port `LogRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append_log(self, job_id: str, offset: int, data: bytes) -> None:
        """Store the bytes that begin at `offset`."""
        for start in range(0, len(data), _RANGE_BYTES):
            content = base64.b64encode(zlib.compress(data[start : start + _RANGE_BYTES], _FAST)).decode("ascii")
            await self._session.change("insert_log", job_id=job_id, start_offset=offset + start, content=content)

    async def read_log(self, job_id: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`; empty at the end."""
        rows = await self._session.rows("log_from", job_id=job_id, offset=offset, end=offset + limit)
        if not rows:
            return b""
        held = b"".join(zlib.decompress(base64.b64decode(row["content"])) for row in rows)
        skip = offset - int(rows[0]["start_offset"])
        return held[skip : skip + limit] if skip >= 0 else b""


def _event(row: Row) -> Event:
    return Event(
        kind=row["kind"],
        change=row["action"],
        subject=row["subject"],
        actor=Actor(row["actor"], row["source_address"]),
        body=row["body_json"],
        seq=row["seq"],
        at=row["create_time"],
    )
