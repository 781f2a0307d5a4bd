"""How the model changes: a snapshot replaces it, a batch of events changes the objects they name. Pure.

Events come in batches, one for each frame that is drawn, because a frozen collection is copied when it changes: a
thousand events a second cost twenty copies and not a thousand.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, Generic, TypeVar, assert_never

from console.live.keyed import Keyed
from console.live.model import Model
from console.live.views.jobs import held
from protocol.apps import AppRunView
from protocol.events import (
    AnyEvent,
    AppEvent,
    BeatEvent,
    DatabaseEvent,
    DrainEvent,
    JobEvent,
    NodeEvent,
    OperationEvent,
    PlacementEvent,
    ResetEvent,
    RunnerEvent,
    ShellEvent,
    Snapshot,
    WebhookEvent,
)
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView

MOST_JOBS: Final = 12_000
#: When there are too many, so many of a hundred stay.
_KEPT_PERCENT: Final = 92
_REREAD_SECONDS: Final = 10.0
_LEASE_NEAR: Final = timedelta(seconds=10)
V = TypeVar("V")


def load(snapshot: Snapshot, local: float, before: Model | None = None) -> Model:
    """The model of a snapshot received at the local moment `local`, in the place of the one `before`."""
    old = before or Model(snapshot.seq, snapshot.at, local, local)
    return Model(
        seq=snapshot.seq,
        at=snapshot.at,
        heard_at=local,
        snapshot_at=local,
        jobs=old.jobs.replaced({job.id: job for job in snapshot.jobs}),
        nodes=old.nodes.replaced({str(node.node_id): node for node in snapshot.nodes}),
        runners=old.runners.replaced({runner.runner_id: runner for runner in snapshot.runners}),
        placements=old.placements.replaced({placement.app_id: placement for placement in snapshot.placements}),
        apps=old.apps.replaced({app.app_id: app for app in snapshot.apps}),
    )


def apply(model: Model, events: Iterable[AnyEvent], local: float, most_jobs: int = MOST_JOBS) -> Model:
    """The model after a batch of events. Events that the model already contains (by number) change nothing.

    Of more than `most_jobs` jobs the oldest that ended are forgotten.
    """
    draft = _Draft(model, most_jobs)
    for event in events:
        draft.take(event)
    return draft.done(local)


class _Changes(Generic[V]):
    """What one batch changes in one collection."""

    def __init__(self, before: Keyed[V]) -> None:
        self._before = before
        self._put: dict[str, V] = {}
        self._gone: set[str] = set()

    def get(self, key: str) -> V | None:
        if key in self._gone:
            return None
        return self._put.get(key) or self._before.get(key)

    def put(self, key: str, value: V) -> None:
        self._put[key] = value
        self._gone.discard(key)

    def drop(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._put.pop(key, None)
            self._gone.add(key)

    def keys(self, wanted: Callable[[V], bool]) -> list[str]:
        kept = [key for key, value in self._before.items() if key not in self._put and wanted(value)]
        return kept + [key for key, value in self._put.items() if wanted(value)]

    def done(self) -> Keyed[V]:
        return self._before.changed(self._put, self._gone)


class _Draft:
    """A model while a batch of events is applied to it."""

    def __init__(self, model: Model, most_jobs: int) -> None:
        self._model = model
        self._most_jobs = most_jobs
        self._seq = model.seq
        self._at: datetime | None = None
        self._jobs: _Changes[JobView] = _Changes(model.jobs)
        self._nodes: _Changes[NodeView] = _Changes(model.nodes)
        self._runners: _Changes[RunnerView] = _Changes(model.runners)
        self._placements: _Changes[PlacementView] = _Changes(model.placements)
        self._apps: _Changes[AppRunView] = _Changes(model.apps)

    def take(self, event: AnyEvent) -> None:
        match event:
            case BeatEvent():
                self._at = event.at
            case ResetEvent():
                pass
            case OperationEvent() | WebhookEvent() | ShellEvent() | DatabaseEvent() | DrainEvent():
                # What a drain does to jobs, nodes and placements is told by events of their own.
                self._seq = max(self._seq, event.seq)
            case JobEvent() | NodeEvent() | RunnerEvent() | PlacementEvent() | AppEvent():
                if event.seq is None or event.seq > self._seq:
                    self._change(event)
                    self._seq = self._seq if event.seq is None else event.seq
            case _:
                assert_never(event)

    def _change(self, event: JobEvent | NodeEvent | RunnerEvent | PlacementEvent | AppEvent) -> None:
        match event:
            case JobEvent():
                if not self._outdated(event):
                    self._jobs.put(event.job.id, event.job)
            case NodeEvent():
                _settle(self._nodes, str(event.node.node_id), None if event.change == "deleted" else event.node)
            case RunnerEvent():
                self._runners.put(event.runner.runner_id, event.runner)
            case PlacementEvent():
                _settle(self._placements, event.app_id, event.placement)
            case AppEvent():
                _settle(self._apps, event.app_id, event.app)
                if event.app is None:
                    self._jobs.drop(self._jobs.keys(lambda job: job.app_id == event.app_id))

    def _outdated(self, event: JobEvent) -> bool:
        """A snapshot may be newer than its number; and what a job waits for says nothing once it has moved on."""
        known = self._jobs.get(event.job.id)
        if known is None:
            return event.seq is None
        return known.updated_at > event.job.updated_at or (event.seq is None and known.status is not event.job.status)

    def done(self, local: float) -> Model:
        model = self._model
        jobs, nodes = _bounded(self._jobs.done(), self._most_jobs), self._nodes.done()
        runners, placements, apps = self._runners.done(), self._placements.done(), self._apps.done()
        same = (jobs, nodes, runners, placements, apps) == (
            model.jobs,
            model.nodes,
            model.runners,
            model.placements,
            model.apps,
        )
        if same and self._seq == model.seq and self._at is None:
            return model
        return replace(
            model,
            seq=self._seq,
            at=self._at or model.at,
            heard_at=local if self._at else model.heard_at,
            jobs=jobs,
            nodes=nodes,
            runners=runners,
            placements=placements,
            apps=apps,
        )


def _settle(changes: _Changes[V], key: str, value: V | None) -> None:
    if value is None:
        changes.drop((key,))
    else:
        changes.put(key, value)


def _bounded(jobs: Keyed[JobView], most: int) -> Keyed[JobView]:
    """Ended jobs go, oldest first, before a console that runs for weeks fills the memory."""
    if len(jobs) <= most:
        return jobs
    ended = sorted((job for job in jobs.values() if job.status.terminal), key=lambda job: job.created_at)
    return jobs.changed({}, [job.id for job in ended[: len(jobs) - most * _KEPT_PERCENT // 100]])


def leases_near(model: Model, local: float) -> tuple[str, ...]:
    """Running jobs whose lease seems to end soon, oldest first.

    Renewals are not rows of the event log, so a lease that seems to end may have been renewed: read such jobs again,
    at most every 10 s.
    """
    if local - model.snapshot_at < _REREAD_SECONDS:
        return ()
    soon = model.server_time(local) + _LEASE_NEAR
    running = chain.from_iterable(held(model.jobs).values())
    return tuple(job.id for job in running if job.lease_expire_at is not None and job.lease_expire_at <= soon)


def reread(model: Model, jobs: Mapping[str, JobView], local: float) -> Model:
    """The model after single jobs were read again."""
    newer = {key: job for key, job in jobs.items() if key in model.jobs}
    return replace(model, jobs=model.jobs.changed(newer), snapshot_at=local)
