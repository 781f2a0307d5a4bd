"""What the event stream tells of collections that were fetched, and of what happened. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from console.live import topics
from console.live.beside import Beside, Fetched
from protocol.audit import AuditEntry
from protocol.base import Wire
from protocol.events import (
    AnyEvent,
    AppEvent,
    DatabaseEvent,
    DrainEvent,
    JobEvent,
    NodeEvent,
    OperationEvent,
    PlacementEvent,
    ShellEvent,
    WebhookEvent,
)

_MOST_EVENTS: Final = 10_000
_KEPT_EVENTS: Final = 9_000
_Deed = OperationEvent | DrainEvent | WebhookEvent | ShellEvent | DatabaseEvent
_Told = JobEvent | NodeEvent | PlacementEvent | AppEvent | _Deed


def after(beside: Beside, events: Iterable[AnyEvent]) -> Beside:
    """What is known after a batch of events."""
    puts: dict[str, dict[str, Wire]] = {}
    for event in events:
        made = entry(event)
        if made is not None:
            puts.setdefault(topics.EVENTS, {})[str(made.seq)] = made
        for topic, key, value in _told(event):
            if beside.fetched.get(topic, Fetched()).read_at is not None:
                puts.setdefault(topic, {})[key] = value
    for topic, found in puts.items():
        known = beside.fetched.get(topic, Fetched()).merged(_unread(beside, topic, found), whole=False)
        beside = beside.with_topic(topic, _bounded(known) if topic == topics.EVENTS else known)
    return beside


def entry(event: AnyEvent) -> AuditEntry | None:
    """The event as an entry of the audit log; None for what is not written there."""
    if not isinstance(event, _Told) or event.seq is None:
        return None
    subject, object_now = _subject(event)
    change = getattr(event, "change", "changed" if object_now is not None else "removed")
    return AuditEntry(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        change=change,
        subject=subject,
        actor=event.actor,
        after=object_now,
    )


def _subject(event: _Told) -> tuple[str, dict[str, Any] | None]:
    """What it is about, and the little of it that is shown in a line."""
    match event:
        case JobEvent() | NodeEvent() | PlacementEvent() | AppEvent():
            return _object(event)
        case _:
            return _deed(event)


def _object(event: JobEvent | NodeEvent | PlacementEvent | AppEvent) -> tuple[str, dict[str, Any] | None]:
    match event:
        case JobEvent():
            job = event.job
            return job.id, {"appId": job.app_id, "status": job.status.value, "reason": job.reason}
        case NodeEvent():
            return str(event.node.node_id), {"enabled": event.node.enabled, "health": event.node.health.value}
        case PlacementEvent():
            return event.app_id, {"nodeId": event.placement.node_id} if event.placement else None
        case AppEvent():
            return event.app_id, {"lastJobStatus": event.app.last_job_status} if event.app else None


def _deed(event: _Deed) -> tuple[str, dict[str, Any] | None]:
    match event:
        case OperationEvent():
            made = event.operation
            return str(made.id), {"kind": made.kind.value, "appId": made.app_id, "state": made.state.value}
        case DrainEvent():
            return str(event.drain.id), {"node": event.drain.node, "summary": event.drain.summary}
        case WebhookEvent():
            return str(event.webhook.id), {"appId": event.webhook.app_id, "state": event.webhook.state.value}
        case ShellEvent():
            return event.shell.app_id, {"node": event.shell.node}
        case DatabaseEvent():
            told = event.database
            return told.app_id, {"call": told.call.value, "collection": told.collection, "changed": told.changed}


def _told(event: AnyEvent) -> tuple[tuple[str, str, Wire], ...]:
    """Topic, key and value of what an event brings up to date."""
    match event:
        case OperationEvent():
            return ((topics.OPERATIONS, str(event.operation.id), event.operation),)
        case WebhookEvent():
            return ((topics.WEBHOOKS, str(event.webhook.id), event.webhook),)
        case DrainEvent():
            drain = event.drain
            moves = tuple((topics.moves(str(drain.id)), each.app_id, each) for each in drain.moves)
            return ((topics.DRAINS, str(drain.id), drain.model_copy(update={"moves": ()})), *moves)
        case _:
            return ()


def _unread(beside: Beside, topic: str, found: dict[str, Wire]) -> dict[str, Wire]:
    """What was read from the audit log says more than the event did, so it stays."""
    if topic != topics.EVENTS:
        return found
    known = beside.of(topic)
    return {key: value for key, value in found.items() if key not in known}


def _bounded(known: Fetched) -> Fetched:
    """Without the oldest entries, once there are very many; they can be read again."""
    if len(known.objects) <= _MOST_EVENTS:
        return known
    every = sorted(known.objects, key=int)
    gone, oldest = every[:-_KEPT_EVENTS], every[-_KEPT_EVENTS]
    return replace(known, objects=known.objects.changed({}, gone), older=oldest)
