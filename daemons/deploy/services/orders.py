"""New jobs: ordered, or retried from ended ones. Requests with the same `Idempotency-Key` make one.

All is decided in the transaction of the insert, under the lock of the app's row, so that orders for one app follow each
other. Runners and the reaper change the app's jobs meanwhile without that lock: the unique indexes refuse a second
PENDING job, and the app is looked at once more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from daemons.deploy.domain import expected, idempotency, jobs, succession
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.idempotency import JobForgotten, Key, Remembered
from daemons.deploy.domain.jobs import AppBusy, Job
from daemons.deploy.domain.succession import Policy
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import node_of, tell_of_job, write_job
from daemons.deploy.services.queue import found
from daemons.deploy.services.turns import Turns
from protocol.jobs import CreateJob, OnConflict, RetryJob

_KEPT_PER_APP: Final = 10
#: A burst of orders supersedes many jobs, and each of them must still be found to name its successor.
_SUPERSEDED_KEPT_PER_APP: Final = 150
_ROUNDS: Final = 3
_TURN_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True)
class Caller:
    """Who orders, and the key under which the request may be repeated."""

    actor: Actor
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Ordered:
    """The job of a request, and the ids of those that gave way to it; `repeated` when an earlier request made it."""

    job: Job
    superseded: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for one job of an app; `draft` makes it, given the database's clock."""

    app_id: str
    user_id: str
    draft: Callable[[int], Job]
    policy: Policy
    caller: Caller
    digest: str

    @property
    def key(self) -> Key | None:
        return Key(self.app_id, self.user_id, self.caller.actor.name, self.caller.key) if self.caller.key else None


class Orders:
    """The queue's front door."""

    def __init__(self, store: Store, bells: Bells) -> None:
        self._store = store
        self._bells = bells
        self._turns = Turns(_TURN_SECONDS)

    async def create(self, order: CreateJob, caller: Caller) -> Ordered:
        """A new PENDING job. Raises AppBusy, or IdempotencyMismatch and JobForgotten for a key that was used before."""
        job_id, payload = str(uuid4()), order.payload
        request = _Request(
            payload.app_id,
            payload.user_id,
            lambda now: jobs.submit(job_id, order.type, payload, now, priority=order.priority, requires=order.requires),
            Policy(order.on_conflict, order.cancel_running),
            caller,
            idempotency.digest(order),
        )
        return await self._place(request)

    async def retry(self, ended_id: str, order: RetryJob, caller: Caller, seen: str | None = None) -> Ordered:
        """A new PENDING job with the order of an ended one, or, to build something else, of any. Raises JobNotFound,
        ChangedMeanwhile unless that one is as it was `seen`, NotRetryable and all that `create` raises."""

        async def read(tx: Transaction) -> Job:
            return found(await tx.job(ended_id), ended_id)

        job_id, ended = str(uuid4()), await self._store.transact(read)
        expected.require_job(ended, seen)
        request = _Request(
            ended.app_id,
            ended.user_id,
            lambda now: succession.after(_repeated(ended, order, job_id, now), ended.created_at),
            Policy(order.on_conflict, order.cancel_running),
            caller,
            idempotency.digest(order, ended_id),
        )
        return await self._place(request)

    async def _place(self, request: _Request) -> Ordered:
        async with self._turns.of(request.app_id):
            ordered = await self._store.transact(lambda tx: _carry_out(tx, request))
        if not ordered.repeated:
            self._bells.changed(ordered.job.id, *ordered.superseded)
        return ordered


async def _carry_out(tx: Transaction, request: _Request) -> Ordered:
    await tx.lock_app(request.app_id)
    now, key = await tx.now(), request.key
    if key is not None:
        job_id = idempotency.repeats(await tx.remembered(key), request.digest, now)
        if job_id is not None:
            return Ordered(await _made(tx, job_id), repeated=True)
    ordered = await _enter(tx, request, now)
    if key is not None:
        await tx.remember(Remembered(key, request.digest, ordered.job.id, now + idempotency.KEPT_MS))
    return ordered


async def _made(tx: Transaction, job_id: str) -> Job:
    job = await tx.job(job_id)
    if job is None:
        raise JobForgotten(job_id)
    return job


async def _enter(tx: Transaction, request: _Request, now: int) -> Ordered:
    draft, superseded = request.draft(now), list[str]()
    for _ in range(_ROUNDS):
        active = await tx.active_jobs(request.app_id)
        succession.check(request.app_id, active, request.policy)
        gone = [job.id for job in active if await _made_way(tx, job, draft, request, now)]
        superseded += gone
        if request.policy.on_conflict is OnConflict.REJECT and len(gone) < len(active):
            continue  # A move that was to give way has begun in between.
        draft = succession.after(draft, await tx.newest_created(request.app_id))
        if await tx.insert_job(draft):
            await _tidy(tx, request.app_id, burst=bool(superseded))
            await tell_of_job(tx, draft, await node_of(tx, request.app_id), "created", request.caller.actor, None)
            return Ordered(draft, tuple(superseded))
    raise AppBusy(request.app_id, None)


async def _made_way(tx: Transaction, job: Job, draft: Job, request: _Request, now: int) -> bool:
    """Whether the job was cancelled for the new one; it may have been claimed or ended since it was read."""
    if not succession.gives_way(job, request.policy):
        return False
    current = await tx.job(job.id, lock=True)
    if current is None or not succession.gives_way(current, request.policy):
        return False
    await write_job(tx, succession.supersede(current, draft.id, now), current, "cancelled", request.caller.actor)
    return True


async def _tidy(tx: Transaction, app_id: str, *, burst: bool) -> None:
    await tx.prune_jobs(app_id, _KEPT_PER_APP)
    if burst:
        await tx.prune_superseded(app_id, _SUPERSEDED_KEPT_PER_APP)


def _repeated(job: Job, order: RetryJob, job_id: str, now: int) -> Job:
    if order.git_ref is None:
        return succession.retry(job, job_id, now)
    return succession.rebuild(job, order.git_ref, job_id, now)
