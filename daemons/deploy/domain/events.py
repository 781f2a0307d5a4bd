"""Rows of the event log: what changed, when, by whom. Appended in the transaction of the change; never altered.

Numbers become visible out of order: a transaction that drew a lower number may commit after one that drew a higher.
`Tail` reads the log so that none is skipped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

#: A number that is still missing this long after a higher one was seen, and that no open transaction holds, belongs to
#: one that was rolled back. The time covers the moment between drawing a number and writing its row, in which nobody
#: can see who holds it.
PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change: the kind of caller or a part of the control plane, and the address it called from."""

    name: str
    address: str | None = None


#: What the control plane does of its own accord.
CONTROL_PLANE: Final = Actor("control-plane")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `kind` is job, node, runner, placement, app, operation, drain, webhook, shell or database;
    `subject` its id; `body` the JSON sent to watchers: the state after the change. `before` is the JSON of what it
    was, of a job only what changed; "null" when there was nothing."""

    kind: str
    change: str
    subject: str
    actor: Actor
    body: str
    before: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Event(NewEvent):
    """An appended event: its place in the log and its time in epoch milliseconds."""

    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class Tail:
    """A reader's place: every event up to `seq` was read or never will be. `sights` are the highest numbers seen beyond
    it, each with the moment of a steady clock it was first seen at."""

    seq: int
    sights: tuple[tuple[int, float], ...] = ()


def advance(
    tail: Tail, rows: Sequence[Event], moment: float, held: Collection[int] = ()
) -> tuple[Tail, tuple[Event, ...]]:
    """The next place and the events that may be shown now, given all rows after the present place, in order. `held` are
    missing numbers that open transactions hold: nothing beyond them is shown, however long they take."""
    sights = tail.sights
    if rows and rows[-1].seq > max((seq for seq, _ in sights), default=tail.seq):
        sights = (*sights, (rows[-1].seq, moment))
    settled = max((seq for seq, seen in sights if moment - seen >= PATIENCE_SECONDS), default=0)
    settled = min(settled, *held) if held else settled
    place, shown = tail.seq, []
    for row in rows:
        if row.seq != place + 1 and row.seq > settled:
            break
        place = row.seq
        shown.append(row)
    return Tail(place, tuple(sight for sight in sights if sight[0] > place)), tuple(shown)


def leaps(tail: Tail, shown: Sequence[Event]) -> bool:
    """Whether numbers are missing between the place and the last of these events."""
    return bool(shown) and shown[-1].seq - tail.seq != len(shown)


@dataclass(frozen=True, slots=True)
class Search:
    """Which events of the log are wanted; None means any. `since` is epoch milliseconds."""

    kind: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: int = 0
