"""How the model changes: a snapshot replaces it, an event changes one object. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar, assert_never

from console.live.model import Model
from protocol.events import (
    AnyEvent,
    AppEvent,
    BeatEvent,
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
from protocol.jobs import JobStatus, JobView

MOST_JOBS: Final = 5_000
_KEPT_JOBS: Final = 4_500
_REREAD_SECONDS: Final = 10.0
_LEASE_NEAR: Final = timedelta(seconds=10)
_K = TypeVar("_K")
_V = TypeVar("_V")


def load(snapshot: Snapshot, local: float) -> Model:
    """The model of a snapshot received at the local moment `local`."""
    return Model(
        seq=snapshot.seq,
        at=snapshot.at,
        heard_at=local,
        snapshot_at=local,
        jobs=MappingProxyType({job.id: job for job in snapshot.jobs}),
        nodes=MappingProxyType({node.node_id: node for node in snapshot.nodes}),
        runners=MappingProxyType({runner.runner_id: runner for runner in snapshot.runners}),
        placements=MappingProxyType({placement.app_id: placement for placement in snapshot.placements}),
        apps=MappingProxyType({app.app_id: app for app in snapshot.apps}),
    )


def apply(model: Model, event: AnyEvent, local: float) -> Model:
    """The model after an event. Events the model already contains (by number) change nothing."""
    match event:
        case BeatEvent():
            return replace(model, at=event.at, heard_at=local)
        case ResetEvent():
            return model
        case OperationEvent() | WebhookEvent() | ShellEvent():
            return model if event.seq <= model.seq else replace(model, seq=event.seq)
        case DrainEvent():
            # Its jobs, nodes and placements have events of their own.
            return replace(model, seq=max(model.seq, event.seq))
        case JobEvent() | NodeEvent() | RunnerEvent() | PlacementEvent() | AppEvent():
            if event.seq is not None and event.seq <= model.seq:
                return model
            changed = _change(model, event)
            return changed if event.seq is None else replace(changed, seq=event.seq)
        case _:
            assert_never(event)


def _change(model: Model, event: JobEvent | NodeEvent | RunnerEvent | PlacementEvent | AppEvent) -> Model:
    match event:
        case JobEvent():
            if _outdated(model, event):
                return model
            return replace(model, jobs=_bounded(_with(model.jobs, event.job.id, event.job)))
        case NodeEvent():
            return _change_node(model, event)
        case RunnerEvent():
            return replace(model, runners=_with(model.runners, event.runner.runner_id, event.runner))
        case PlacementEvent():
            if event.placement is None:
                return replace(model, placements=_without(model.placements, event.app_id))
            return replace(model, placements=_with(model.placements, event.app_id, event.placement))
        case AppEvent():
            return _change_app(model, event)


def _outdated(model: Model, event: JobEvent) -> bool:
    """A snapshot may be newer than its number; and what a job waits for says nothing once it has moved on."""
    known = model.jobs.get(event.job.id)
    if known is None:
        return event.seq is None
    return known.updated_at > event.job.updated_at or (event.seq is None and known.status is not event.job.status)


def _change_node(model: Model, event: NodeEvent) -> Model:
    if event.change == "deleted":
        return replace(model, nodes=_without(model.nodes, event.node.node_id))
    return replace(model, nodes=_with(model.nodes, event.node.node_id, event.node))


def _change_app(model: Model, event: AppEvent) -> Model:
    if event.app is not None:
        return replace(model, apps=_with(model.apps, event.app_id, event.app))
    jobs = MappingProxyType({key: job for key, job in model.jobs.items() if job.app_id != event.app_id})
    return replace(model, jobs=jobs, apps=_without(model.apps, event.app_id))


def wants_snapshot(model: Model, local: float) -> bool:
    """Whether shown figures may have moved on without an event.

    Lease renewals are not rows of the event log; while a lease seems to end soon the snapshot is read again, at most
    every 10 s.
    """
    age = local - model.snapshot_at
    if age < _REREAD_SECONDS:
        return False
    soon = model.server_time(local) + _LEASE_NEAR
    return any(_ages(job, soon) for job in model.jobs.values())


def _ages(job: JobView, soon: datetime) -> bool:
    match job.status:
        case JobStatus.RUNNING:
            return job.lease_expire_at is not None and job.lease_expire_at <= soon
        case JobStatus.PENDING | JobStatus.SUCCEEDED | JobStatus.FAILED | JobStatus.CANCELLED:
            return False
        case _:
            assert_never(job.status)


def _with(items: Mapping[_K, _V], key: _K, value: _V) -> Mapping[_K, _V]:
    return MappingProxyType({**items, key: value})


def _without(items: Mapping[_K, _V], key: _K) -> Mapping[_K, _V]:
    return MappingProxyType({other: value for other, value in items.items() if other != key})


def _bounded(jobs: Mapping[str, JobView]) -> Mapping[str, JobView]:
    if len(jobs) <= MOST_JOBS:
        return jobs
    ended = sorted((job for job in jobs.values() if job.status.terminal), key=lambda job: job.created_at)
    dropped = {job.id for job in ended[: len(jobs) - _KEPT_JOBS]}
    return MappingProxyType({key: job for key, job in jobs.items() if key not in dropped})
