"""Going back to an earlier release: a job without a build, made only once its image was seen."""

from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain import expected
from daemons.deploy.domain.images import RegistryPlace, artifact_in, held_locally, parsed
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.domain.releases import ImageGone, ImageMutable, Release, ReleaseNotFound, previous
from daemons.deploy.ports import Agent, AgentFailed, ImageRegistry, RegistryFailed, Store, Transaction
from daemons.deploy.services.journal import node_of
from daemons.deploy.services.orders import Caller, Orders
from daemons.deploy.services.releases import ABOVE_ALL
from protocol.jobs import CreateJob, JobPayload, JobType
from protocol.releases import PresentIn, RollbackApp

_SEARCHED: Final = 100
#: Longer than it takes to look for an image and to make the job that keeps it from then on.
_HOLD_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The job that was made, what it goes back to, and where the image is."""

    job: Job
    release: Release
    present_in: PresentIn


@dataclass(frozen=True, slots=True)
class _Target:
    release: Release
    reference: str
    node: RuntimeNode | None


class Rollback:
    """Makes rollback jobs. `registry` None means that no registry can be asked."""

    def __init__(
        self, store: Store, orders: Orders, agent: Agent, registry: ImageRegistry | None, place: RegistryPlace | None
    ) -> None:
        self._store = store
        self._orders = orders
        self._agent = agent
        self._registry = registry
        self._place = place

    async def start(self, app_id: str, order: RollbackApp, caller: Caller, seen: str | None = None) -> RolledBack:
        """A job that deploys the release again.

        Raises ChangedMeanwhile when a newer release runs than was `seen`, ReleaseNotFound, NothingToRollBackTo,
        ImageMutable, ImageGone, all that `Orders.create` raises, and RegistryFailed or AgentFailed when those who may
        have the image cannot be asked.
        """
        target = await self._hold(app_id, order, seen)
        present_in = await self._find(target)
        payload = JobPayload.model_validate({**target.release.payload, "image": target.reference})
        wanted = CreateJob(
            type=JobType.BUILD_AND_DEPLOY,
            payload=payload,
            on_conflict=order.on_conflict,
            cancel_running=order.cancel_running,
        )
        ordered = await self._orders.create(wanted, caller)
        return RolledBack(ordered.job, target.release, present_in)

    async def _hold(self, app_id: str, order: RollbackApp, seen: str | None) -> _Target:
        """The release to go back to, its image kept from retention until the job stands that needs it."""

        async def work(tx: Transaction) -> _Target:
            await tx.lock_app(app_id)
            if seen is not None:
                expected.require_newest(app_id, next(iter(await tx.releases(app_id, ABOVE_ALL, 1)), None), seen)
            release = await _chosen(tx, app_id, order)
            release.require_kept()
            reference = release.reference
            if reference is None:
                raise ImageMutable(release)
            await tx.mark_release(replace(release, held_until=await tx.now() + _HOLD_MS))
            return _Target(release, reference, await node_of(tx, app_id))

        return await self._store.transact(work)

    async def _find(self, target: _Target) -> PresentIn:
        """Where the image is now. Raises ImageGone, or why that cannot be said."""
        problem: RegistryFailed | AgentFailed | None = None
        try:
            missing, found = await self._in_registry(target.reference)
            if found:
                return PresentIn.REGISTRY
        except RegistryFailed as error:
            missing, problem = "", error
        try:
            absent, found = await self._on_node(target)
            if found:
                return PresentIn.NODE
        except AgentFailed as error:
            raise problem or error from None
        if problem is not None:
            raise problem
        raise ImageGone(target.release, f"{missing}, and {absent}")

    async def _in_registry(self, reference: str) -> tuple[str, bool]:
        """Whether the registry has the image, and the words for it if not."""
        host = parsed(reference).registry
        artifact = artifact_in(self._place, reference)
        if host is None:
            return "it was never pushed to a registry", False
        if self._registry is None or artifact is None:
            hint = "DEPLOY_REGISTRY_CLEANUP_BASE_URL does not name it"
            return f"the control plane cannot look into the registry {host} ({hint})", False
        return f"the registry {host} does not have it", await self._registry.has(artifact.repository, artifact.digest)

    async def _on_node(self, target: _Target) -> tuple[str, bool]:
        """Whether the app's node has the image, and the words for it if not."""
        node, release = target.node, target.release
        if node is None or not node.agent_base_url:
            return "the app is on no node", False
        references = await self._agent.images(node.agent_base_url, release.user_id, release.app_id)
        return f"node {node.name} does not have it", held_locally(target.reference, tuple(references))


async def _chosen(tx: Transaction, app_id: str, order: RollbackApp) -> Release:
    if order.release is None:
        found = await tx.releases(app_id, ABOVE_ALL, _SEARCHED)
        own = [release for release in found if release.user_id == order.user_id]
        return previous(app_id, own)
    release = await tx.release(app_id, order.release)
    if release is None or release.user_id != order.user_id:
        raise ReleaseNotFound(app_id, order.release)
    return release
