"""Statements about the logs of jobs.

A log is cut at multiples of 256 KiB. What is appended becomes a segment of its own, as it is; when a cut is reached, or
the part behind the last cut is in many pieces, they become one compressed segment. So an append writes little more than
its own bytes, each byte is compressed a few times at most, and any offset is in one segment or among a few small ones.
"""

import asyncio
import base64
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.late_logs import LogPart
from daemons.deploy.ports.history import EndedLog, LogPosition
from daemons.kit.sql import Row, Session
from protocol.jobs import JobStatus

SEGMENT_BYTES: Final = 256 * 1024
MOST_PIECES: Final = 64
_LEVEL: Final = 6
#: All that there is of logs, but for what their jobs say of them.
DELETE_LOGS: Final = ("delete_log_segments", "delete_old_log_segments", "delete_log_parts", "delete_logs")


class LogStatements:
    """The port `LogRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append_log(self, job_id: str, offset: int, data: bytes) -> None:
        """Store the bytes that begin at `offset`, cut where segments end."""
        start, done = offset, 0
        while done < len(data):
            piece = data[done : done + SEGMENT_BYTES - start % SEGMENT_BYTES]
            await self._append_piece(job_id, start, piece)
            start, done = start + len(piece), done + len(piece)

    async def _append_piece(self, job_id: str, start: int, piece: bytes) -> None:
        first, end = start - start % SEGMENT_BYTES, start + len(piece)
        row = await self._session.row("count_log_segments", job_id=job_id, start_offset=first, end=end)
        pieces = int(row["pieces"]) if row else 0
        if end % SEGMENT_BYTES == 0 or pieces >= MOST_PIECES:
            await self._seal_part(job_id, first, start, piece)
            return
        if pieces == 0:
            await self._session.change("grow_log", job_id=job_id, more=0)
        await self._insert_segment(job_id, start, piece, packed=False)

    async def _seal_part(self, job_id: str, first: int, start: int = 0, more: bytes = b"") -> None:
        """Make one compressed segment of those that begin between two cuts, and of `more`, which begins at `start`."""
        rows: Sequence[Row] = ()
        if first != start or not more:
            rows = await self._session.rows(
                "log_segments_between", job_id=job_id, start_offset=first, end=first + SEGMENT_BYTES
            )
        if not more and (not rows or (len(rows) == 1 and rows[0]["packed"])):
            return
        packed = await asyncio.to_thread(zlib.compress, b"".join(map(_content, rows)) + more, _LEVEL)
        if rows:
            start = int(rows[0]["start_offset"])
            await self._session.change(
                "delete_log_segments_between", job_id=job_id, start_offset=first, end=first + SEGMENT_BYTES
            )
        await self._insert_segment(job_id, start, packed, packed=True)
        before = sum(len(row["content"]) for row in rows if row["packed"])
        await self._session.change("grow_log", job_id=job_id, more=len(packed) - before)

    async def _insert_segment(self, job_id: str, start: int, content: bytes, *, packed: bool) -> None:
        await self._session.change(
            "insert_log_segment", job_id=job_id, start_offset=start, packed=int(packed), content=content
        )

    async def read_log(self, job_id: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`; empty at the end."""
        end = offset + limit
        rows = await self._session.rows("log_segments", job_id=job_id, offset=offset, end=end)
        found = _from(offset, limit, [(int(row["start_offset"]), _content(row)) for row in rows])
        if found:
            return found
        rows = await self._session.rows("old_log_segments", job_id=job_id, offset=offset, end=end)
        return _from(offset, limit, [(int(row["start_offset"]), _old_content(row)) for row in rows])

    async def save_log(self, job: Job) -> None:
        """Write what the job says of its log; the caller holds its row."""
        await self._session.change(
            "save_log",
            id=job.id,
            log_length=job.log_length,
            log_expected=job.log_expected,
            log_gaps=job.log_gaps,
            log_removed=job.log_removed,
            log_removed_at=job.log_removed_at,
        )

    async def follow_logs(self, job_ids: Collection[str], until: int) -> None:
        """Note that somebody reads these logs as they grow."""
        await self._session.change("follow_logs", ids=sorted(job_ids), until=until)

    async def log_positions(self, job_ids: Collection[str]) -> Mapping[str, LogPosition]:
        """How far these logs are."""
        rows = await self._session.rows("log_positions", ids=sorted(job_ids))
        return {row["id"]: LogPosition(row["log_length"], JobStatus(row["status"]).terminal) for row in rows}

    async def unsettled_logs(self, before: int, limit: int) -> Sequence[str]:
        """Ids of jobs that ended before, or are gone, and whose logs are not settled."""
        return [row["job_id"] for row in await self._session.rows("unsettled_logs", before=before, limit=limit)]

    async def settle_log(self, job_id: str, ended_at: int) -> None:
        """Compress the rest, and write down what the log takes and when its job ended."""
        last = await self._session.row("last_log_segment", job_id=job_id)
        if last is not None and last["start_offset"] is not None:
            start = int(last["start_offset"])
            await self._seal_part(job_id, start - start % SEGMENT_BYTES)
        stored = 0
        for query in ("log_size", "old_log_size"):
            row = await self._session.row(query, job_id=job_id)
            stored += int(row["stored"]) if row else 0
        await self._session.change("settle_log", job_id=job_id, stored_bytes=stored, ended_at=ended_at)

    async def stored_logs(self) -> int:
        """How many bytes all logs take."""
        row = await self._session.row("stored_logs")
        return int(row["stored"]) if row else 0

    async def ended_logs(self, limit: int) -> Sequence[EndedLog]:
        """Settled logs, those whose jobs ended first."""
        rows = await self._session.rows("ended_logs", limit=limit)
        return [EndedLog(row["job_id"], int(row["stored_bytes"]), int(row["ended_at"])) for row in rows]

    async def delete_logs(self, job_ids: Collection[str]) -> None:
        """Delete these logs."""
        for query in DELETE_LOGS:
            await self._session.change(query, ids=sorted(job_ids))

    async def log_part(self, job_id: str, holder: str) -> LogPart | None:
        """That holder's part of the log, if it was closed."""
        row = await self._session.row("log_part", job_id=job_id, holder=holder)
        if row is None:
            return None
        return LogPart(
            job_id=job_id,
            holder=holder,
            attempt=int(row["attempt"]),
            received=int(row["received"]),
            end=int(row["end_offset"]),
            closed_at=int(row["closed_at"]),
            gap=bool(row["gap"]),
            whole=bool(row["whole"]),
        )

    async def put_log_part(self, part: LogPart) -> None:
        """Write a part, new or known."""
        await self._session.change(
            "put_log_part",
            job_id=part.job_id,
            holder=part.holder,
            attempt=part.attempt,
            received=part.received,
            end_offset=part.end,
            gap=int(part.gap),
            whole=int(part.whole),
            closed_at=part.closed_at,
        )


def _content(row: Row) -> bytes:
    content: bytes = row["content"]
    return zlib.decompress(content) if row["packed"] else content


def _old_content(row: Row) -> bytes:
    return zlib.decompress(base64.b64decode(row["content"]))


def _from(offset: int, limit: int, pieces: Sequence[tuple[int, bytes]]) -> bytes:
    """The bytes from `offset`, as far as the pieces follow each other."""
    if not pieces or pieces[0][0] > offset:
        return b""
    first = end = pieces[0][0]
    held = bytearray()
    for start, content in pieces:
        if start != end:
            break
        held += content
        end += len(content)
    return bytes(held[offset - first : offset - first + limit])
