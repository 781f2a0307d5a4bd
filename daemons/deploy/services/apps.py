"""Stop and delete apps on their nodes, and forget them.

What their nodes have to do goes through the outbox: it is written in the transaction of the request, attempted at once
while the caller waits, and retried until it is done. Records of an app go only once its containers are known to be
gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import expected, jobs
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import AppBusy, Job, TooLate
from daemons.deploy.domain.operations import Operation, Request, Sequel
from daemons.deploy.domain.releases import image_of
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.journal import forget_app, write_job
from daemons.deploy.services.operations import Operations
from daemons.deploy.services.outbox import Attempt, Forgotten, Outbox
from daemons.deploy.services.retention import RepositoryRemoval, Retention
from protocol.operations import OperationKind

_IMAGES_FROM_JOBS: Final = 100
#: Existing callers hang up after eight seconds.
_PATIENCE_SECONDS: Final = 7.0
_HOLD_MS: Final = 15_000


class AppNotPlaced(LookupError):
    """The app is on no node."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"app {app_id} is on no runtime node: it was never deployed, or it was deleted")


@dataclass(frozen=True, slots=True)
class Purged:
    """What was forgotten; `attempts` are those of the nodes that had to stop the app first."""

    forgotten: Forgotten
    attempts: Sequence[Attempt] = ()


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of each step of a clean-up. `forgotten` None means that the app is still on record, because a node
    has not done its part. `registry` None means that images may not be removed from there."""

    images: tuple[str, ...]
    cancelled: tuple[str, ...]
    attempts: Sequence[Attempt]
    forgotten: Forgotten | None
    registry: RepositoryRemoval | str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of an app's nodes; `forgotten` when there was nothing to ask."""

    operations: Sequence[Operation]
    cancelled: tuple[str, ...] = ()
    forgotten: Forgotten | None = None


class Apps:
    """What operators and the API do to apps as a whole."""

    def __init__(self, store: Store, operations: Operations, outbox: Outbox, retention: Retention) -> None:
        self._store = store
        self._operations = operations
        self._outbox = outbox
        self._retention = retention

    async def stop(self, user_id: str, app_id: str, actor: Actor, seen: str | None = None) -> Sequence[Attempt]:
        """Stop the app wherever it is, also on disabled nodes: one attempt per node, the one where it was last seen
        first. Raises AppNotPlaced, and ChangedMeanwhile unless it lives where it was `seen`."""

        async def work(tx: Transaction) -> Sequence[Operation]:
            await tx.lock_app(app_id)
            expected.require_app(app_id, await tx.placement(app_id), seen)
            request = Wish(OperationKind.STOP, user_id, app_id, "stop", actor)
            return await self._ask(tx, request)

        asked = await self._store.transact(work)
        if not asked:
            raise AppNotPlaced(app_id)
        return await self._outbox.attempt_all(asked, _PATIENCE_SECONDS)

    async def purge(self, user_id: str, app_id: str, actor: Actor) -> Purged:
        """Forget the app's jobs, last state and placement, once it was stopped if it may run. Raises AppBusy while a
        job of it is active."""

        async def work(tx: Transaction) -> Asked:
            await tx.lock_app(app_id)
            active = await tx.active_jobs(app_id)
            if active:
                raise AppBusy(app_id, active[0])
            run, pending = await tx.app_run(app_id), await tx.pending_operations(app_id)
            if run is not None and run.last_job_status == "STOPPED" and not pending:
                return Asked((), forgotten=Forgotten(*await forget_app(tx, app_id, actor)))
            wish = Wish(OperationKind.STOP, user_id, app_id, "purge", actor, Sequel.FORGET)
            return await self.ask_or_forget(tx, wish)

        asked = await self._store.transact(work)
        attempts = await self._outbox.attempt_all(asked.operations, _PATIENCE_SECONDS)
        return Purged(asked.forgotten or _forgotten(attempts) or Forgotten(), attempts)

    async def cleanup(self, user_id: str, app_id: str, actor: Actor) -> Cleaned:
        """Cancel the app's jobs, delete it on its nodes, forget it, then remove its repository from the registry; it is
        kept on record, and its images stay, while its container may still run."""
        images = await self._images(app_id)

        async def work(tx: Transaction) -> Asked:
            await tx.lock_app(app_id)
            cancelled = await _cancel_all(tx, app_id, actor)
            wish = Wish(OperationKind.DELETE, user_id, app_id, "cleanup", actor, Sequel.REMOVE_IMAGES)
            asked = await self.ask_or_forget(tx, wish)
            return Asked(asked.operations, cancelled, asked.forgotten)

        asked = await self._store.transact(work)
        attempts = await self._outbox.attempt_all(asked.operations, _PATIENCE_SECONDS)
        forgotten = asked.forgotten or _forgotten(attempts)
        registry: RepositoryRemoval | str | None = None
        if forgotten is not None:
            registry = await self._retention.remove_repository(user_id, app_id)
        elif self._retention.enabled:
            registry = "kept, because the app may still run on its node"
        return Cleaned(images, asked.cancelled, attempts, forgotten, registry)

    async def ask_or_forget(self, tx: Transaction, wish: "Wish") -> Asked:
        """Operations on the app's nodes; without one there is nothing to wait for."""
        asked = await self._ask(tx, wish)
        if asked or await tx.active_jobs(wish.app_id):
            return Asked(asked)
        forgotten = Forgotten(*await forget_app(tx, wish.app_id, wish.actor))
        if wish.sequel is Sequel.REMOVE_IMAGES and self._retention.enabled:
            await tx.ask_review(wish.app_id, wish.user_id, await tx.now())
        return Asked((), forgotten=forgotten)

    async def _ask(self, tx: Transaction, wish: "Wish") -> Sequence[Operation]:
        """One operation per node that the app may be on."""
        return [
            await self._operations.ask(tx, wish.on(node_id), hold_ms=_HOLD_MS)
            for node_id in await _whereabouts(tx, wish.app_id)
        ]

    async def _images(self, app_id: str) -> tuple[str, ...]:
        async def work(tx: Transaction) -> tuple[str, ...]:
            return tuple(dict.fromkeys(map(image_of, await tx.jobs_of_app(app_id, _IMAGES_FROM_JOBS))))

        return await self._store.transact(work)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of every node that has the app."""

    kind: OperationKind
    user_id: str
    app_id: str
    cause: str
    actor: Actor
    sequel: Sequel = Sequel.NOTHING

    def on(self, node_id: int) -> Request:
        """The same of one node."""
        return Request(self.kind, self.app_id, self.user_id, node_id, self.cause, self.actor, self.sequel)


async def _whereabouts(tx: Transaction, app_id: str) -> Sequence[int]:
    """Ids of the nodes the app may be on: where it was seen last, where it lives, and where something is still to be
    done about it."""
    run, placement = await tx.app_run(app_id), await tx.placement(app_id)
    named = [run.node_id if run else None, placement.node_id if placement else None]
    named.extend(operation.node_id for operation in await tx.pending_operations(app_id))
    found = [node_id for node_id in dict.fromkeys(named) if node_id is not None]
    return [node_id for node_id in found if await tx.node(node_id) is not None]


async def _cancel_all(tx: Transaction, app_id: str, actor: Actor) -> tuple[str, ...]:
    """Cancel the app's active jobs, but for one that is going live: its end is waited for."""
    cancelled = []
    for job in await tx.active_jobs(app_id):
        current = await tx.job(job.id, lock=True)
        if current is not None and await _cancel(tx, current, actor):
            cancelled.append(current.id)
    return tuple(cancelled)


async def _cancel(tx: Transaction, job: Job, actor: Actor) -> bool:
    if job.status.terminal:
        return False
    try:
        after = jobs.cancel(job, await tx.now())
    except TooLate:
        return False
    await write_job(tx, after, job, "cancelled", actor)
    return True


def _forgotten(attempts: Sequence[Attempt]) -> Forgotten | None:
    return next((attempt.forgotten for attempt in attempts if attempt.forgotten is not None), None)
