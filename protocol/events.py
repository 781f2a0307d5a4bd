"""What the control plane tells its watchers, live and resumable.

`GET /admin/events` sends each event as `event: <kind>`, `data: <json>` and, for events that are rows of the audit
log, `id: <seq>`.
Events without a sequence number (figures of nodes and runners, and why pending jobs wait) only refresh what is shown; a
watcher that missed some loses nothing. After `reset` a watcher must take a new `Snapshot`: the events it asked for are
gone.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from protocol.apps import AppRunView
from protocol.base import LATE, Wire
from protocol.databases import DatabaseDeed
from protocol.drains import DrainDetail
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView
from protocol.operations import OperationView
from protocol.shell import ShellView
from protocol.webhooks import DeliveryView


class JobEvent(Wire):
    """A job changed: `change` is created, claimed, phase, confirmed (it may go live), requeued, returned (its
    runner was stopped and handed it back), succeeded, failed or cancelled.

    Without `seq` and with `change` waiting: a pending job waits for something else now, and nothing else of it changed.
    """

    kind: Literal["job"] = "job"
    seq: int | None = None
    at: AwareDatetime
    change: str
    actor: str
    job: JobView


class NodeEvent(Wire):
    """A node's row or figures changed; `seq` is set when an operator or a registration changed the row."""

    kind: Literal["node"] = "node"
    seq: int | None = None
    at: AwareDatetime
    change: str
    actor: str
    node: NodeView


class RunnerEvent(Wire):
    """A runner was heard of, or its health label changed; `seq`, `change` and `actor` are set when an operator drained
    or undrained it."""

    kind: Literal["runner"] = "runner"
    seq: int | None = None
    at: AwareDatetime
    change: str | None = None
    actor: str | None = None
    runner: RunnerView


class PlacementEvent(Wire):
    """An app was placed, moved or (with `placement` null) removed."""

    kind: Literal["placement"] = "placement"
    seq: int
    at: AwareDatetime
    actor: str
    app_id: str
    placement: PlacementView | None = None


class AppEvent(Wire):
    """An app's last known state changed (stopping, stopped, deleting, ...), or (with `app` null) it was purged: then
    its jobs and its placement are gone too."""

    kind: Literal["app"] = "app"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    app_id: str
    app: AppRunView | None = None


class OperationEvent(Wire):
    """An operation on an app was asked of a node (`asked`), was `done` or `abandoned`."""

    kind: Literal["operation"] = "operation"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    operation: OperationView


class DrainEvent(Wire):
    """A plan that drains a node changed: `change` is its new state, created, cancelled, or the app and its new state;
    then `drain.moves` has that move alone."""

    kind: Literal["drain"] = "drain"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    drain: DrainDetail


class WebhookEvent(Wire):
    """The delivery of a job's result was given up (`given_up`), or an operator has it sent again (`retried`)."""

    kind: Literal["webhook"] = "webhook"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    webhook: DeliveryView


class ShellEvent(Wire):
    """An operator's shell in an app is about to be `opened`, or was `closed`."""

    kind: Literal["shell"] = "shell"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    shell: ShellView


class DatabaseEvent(Wire):
    """A change in an app's database was `asked` of its node, and is then done, refused or unknown; or an operator
    `looked` into it."""

    kind: Literal["database"] = "database"
    seq: int
    at: AwareDatetime
    change: str
    actor: str
    database: DatabaseDeed


class ResetEvent(Wire):
    """The requested position is no longer in the log: take a snapshot and follow from its `seq`."""

    kind: Literal["reset"] = "reset"
    seq: int


class BeatEvent(Wire):
    """Sent while nothing happens, so that a watcher can tell silence from a dead connection."""

    kind: Literal["beat"] = "beat"
    at: AwareDatetime


AnyEvent = Annotated[
    JobEvent
    | NodeEvent
    | RunnerEvent
    | PlacementEvent
    | AppEvent
    | OperationEvent
    | DrainEvent
    | WebhookEvent
    | ShellEvent
    | DatabaseEvent
    | ResetEvent
    | BeatEvent,
    Field(discriminator="kind"),
]
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent, config=LATE)


class Snapshot(Wire):
    """What a console shows, as of event `seq`; `at` is the database's clock, for ages and countdowns. `more`: there are
    older jobs than these, which `GET /deploy/jobs?cursor=` lists."""

    seq: int
    at: AwareDatetime
    jobs: tuple[JobView, ...]
    nodes: tuple[NodeView, ...]
    runners: tuple[RunnerView, ...]
    placements: tuple[PlacementView, ...]
    apps: tuple[AppRunView, ...] = ()
    more: bool = False
