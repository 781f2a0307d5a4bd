"""Rows of the event log: what changed, when, by whom. Appended in the transaction of the change; never altered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `kind` is job, node or placement; `subject` its id; `body` the JSON sent to watchers."""

    kind: str
    change: str
    subject: str
    actor: str
    body: str


@dataclass(frozen=True, slots=True)
class Event(NewEvent):
    """An appended event: its place in the log and its time in epoch milliseconds."""

    seq: int
    at: int
