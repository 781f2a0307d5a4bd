"""Stop and delete apps on their nodes, and forget them.

Each call to an agent carries a fence drawn for it, so that no attempt that was claimed earlier can undo it; the call
is made outside any transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from daemons.deploy.domain import jobs
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import AppBusy, Job, TooLate
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.domain.releases import image_of
from daemons.deploy.ports import Agent, AgentFailed, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import forget_app, stop_run, write_job
from daemons.deploy.services.retention import RepositoryRemoval, Retention

_IMAGES_FROM_JOBS = 100


class AppNotPlaced(LookupError):
    """The app is on no node."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"app {app_id} is on no runtime node: it was never deployed, or it was deleted")


@dataclass(frozen=True, slots=True)
class Stopped:
    """An agent stopped an app."""

    node: RuntimeNode
    agent_base_url: str
    runtime: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows were deleted."""

    jobs: int
    runs: int
    placements: int


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of each step of a clean-up: a value, or the words of a failure. `registry` None means that images may
    not be removed from there."""

    images: tuple[str, ...]
    cancelled: tuple[str, ...]
    deleted: Stopped | str | None
    purged: Purged | str
    registry: RepositoryRemoval | str | None


class Apps:
    """What operators and the API do to apps as a whole."""

    def __init__(self, store: Store, agent: Agent, bells: Bells, retention: Retention) -> None:
        self._store = store
        self._agent = agent
        self._bells = bells
        self._retention = retention

    async def stop(self, user_id: str, app_id: str, actor: Actor) -> Stopped:
        """Stop the app, also on a disabled node. Raises AppNotPlaced or AgentFailed."""
        node, url, fence = await self._reach(app_id)
        answer = await self._agent.stop(url, user_id, app_id, fence)
        await self._record_stop(app_id, node, actor)
        return Stopped(node, url, answer)

    async def purge(self, app_id: str, actor: Actor) -> Purged:
        """Forget the app's jobs, last state and placement. Raises AppBusy while a job of it is active."""

        async def work(tx: Transaction) -> Purged:
            await tx.lock_app(app_id)
            active = await tx.active_jobs(app_id)
            if active:
                raise AppBusy(app_id, active[0])
            return Purged(*await forget_app(tx, app_id, actor))

        purged = await self._store.transact(work)
        self._bells.changed()
        return purged

    async def cleanup(self, user_id: str, app_id: str, actor: Actor) -> Cleaned:
        """Cancel the app's jobs, delete it on its node, forget it, then remove its repository from the registry; it is
        kept on record, and its images stay, while its container may still run."""
        images = await self._images(app_id)
        cancelled = await self._cancel_all(app_id, actor)
        deleted: Stopped | str | None
        try:
            node, url, fence = await self._reach(app_id)
            deleted = Stopped(node, url, await self._agent.delete(url, user_id, app_id, fence))
        except AppNotPlaced:
            deleted = None
        except AgentFailed as error:
            kept = "kept, because the app may still run on its node"
            return Cleaned(images, cancelled, str(error), kept, kept if self._retention.enabled else None)
        try:
            purged: Purged | str = await self.purge(app_id, actor)
        except AppBusy as error:
            return Cleaned(images, cancelled, deleted, str(error), str(error) if self._retention.enabled else None)
        return Cleaned(images, cancelled, deleted, purged, await self._retention.remove_repository(user_id, app_id))

    async def _reach(self, app_id: str) -> tuple[RuntimeNode, str, int]:
        """The node the app was last seen on, its agent's address, and a fresh fence."""

        async def work(tx: Transaction) -> tuple[RuntimeNode, str, int]:
            run, placement = await tx.app_run(app_id), await tx.placement(app_id)
            node = await tx.node(run.node_id) if run and run.node_id is not None else None
            if node is None and placement is not None:
                node = await tx.node(placement.node_id)
            if node is None or not node.agent_base_url:
                raise AppNotPlaced(app_id)
            return node, node.agent_base_url, await tx.next_fence(app_id)

        return await self._store.transact(work)

    async def _record_stop(self, app_id: str, node: RuntimeNode, actor: Actor) -> None:
        async def work(tx: Transaction) -> None:
            await stop_run(tx, app_id, node.id, actor)

        await self._store.transact(work)
        self._bells.changed()

    async def _cancel_all(self, app_id: str, actor: Actor) -> tuple[str, ...]:
        async def work(tx: Transaction) -> tuple[str, ...]:
            await tx.lock_app(app_id)
            cancelled = []
            for job in await tx.active_jobs(app_id):
                current = await tx.job(job.id, lock=True)
                if current is not None and await _cancel(tx, current, actor):
                    cancelled.append(current.id)
            return tuple(cancelled)

        cancelled = await self._store.transact(work)
        self._bells.changed(*cancelled)
        return cancelled

    async def _images(self, app_id: str) -> tuple[str, ...]:
        async def work(tx: Transaction) -> tuple[str, ...]:
            return tuple(dict.fromkeys(map(image_of, await tx.jobs_of_app(app_id, _IMAGES_FROM_JOBS))))

        return await self._store.transact(work)


async def _cancel(tx: Transaction, job: Job, actor: Actor) -> bool:
    if job.status.terminal:
        return False
    try:
        after = jobs.cancel(job, await tx.now())
    except TooLate:
        return False
    await write_job(tx, after, job, "cancelled", actor)
    return True
