"""Statements about the event log."""

from collections.abc import Sequence

from daemons.deploy.domain.events import Actor, Event, NewEvent, Search
from daemons.kit.sql import Row, Session


class EventStatements:
    """The port `EventRows`. `appended` is the number of the transaction's newest event, 0 without one."""

    appended = 0

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append(self, event: NewEvent) -> None:
        """Append in this transaction, at the database's time."""
        self.appended = await self._session.insert("append_event", **_columns(event))

    async def append_all(self, events: Sequence[NewEvent]) -> None:
        """Append in this order."""
        if events:
            self.appended = (await self._session.execute_each("append_event", list(map(_columns, events)))).generated

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

    async def events_before(self, seq: int, low: int, limit: int, wanted: Search) -> Sequence[Event]:
        """Events with a number below `seq` and at least `low`, newest first."""
        rows = await self._session.rows(
            "events_before",
            seq=seq,
            low=low,
            kind=wanted.kind,
            subject=wanted.subject,
            actor=wanted.actor,
            since=wanted.since,
            limit=limit,
        )
        return [_event(row) for row in rows]

    async def event_before(self, seq: int) -> Event | None:
        """The newest event with a lower number."""
        row = await self._session.row("event_before", seq=seq)
        return None if row is None else _event(row)

    async def event_bounds(self) -> tuple[int, int]:
        """The lowest and highest number in the log; (0, 0) when it is empty."""
        row = await self._session.row("event_bounds")
        return (int(row["lowest"]), int(row["highest"])) if row else (0, 0)

    async def delete_events(self, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before` (epoch ms), oldest first; how many."""
        return await self._session.change("delete_events", before=before, limit=limit)


def _columns(event: NewEvent) -> dict[str, str | None]:
    return {
        "kind": event.kind,
        "action": event.change,
        "subject": event.subject,
        "actor": event.actor.name,
        "source_address": event.actor.address,
        "body_json": event.body,
        "before_json": event.before,
    }


def _event(row: Row) -> Event:
    return Event(
        kind=row["kind"],
        change=row["action"],
        subject=row["subject"],
        actor=Actor(row["actor"], row["source_address"]),
        body=row["body_json"],
        before=row["before_json"],
        seq=row["seq"],
        at=row["create_time"],
    )
