"""The dispatcher of one replica without HTTP, and what a test asks of it."""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from daemons.deploy.adapters.grouped import grouped
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job, Outcome, Proof, submit
from daemons.deploy.domain.matching import Offer, claim_key
from daemons.deploy.domain.nodes import NodePolicy
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.claims import Claims
from daemons.deploy.services.leases import Leases
from daemons.deploy.services.orders import Caller, Orders
from daemons.deploy.services.registry import NodeRegistry, RunnerRegistry
from daemons.deploy.services.rounds import Terms
from daemons.kit.tasks import running
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType
from protocol.nodes import NodeHeartbeat
from tests.support.eventually import eventually

POLICY = NodePolicy(stale_ms=3_600_000, disk_min_pct=15.0, disk_drain_pct=25.0, disk_aware=True, watched=False)
CALLER = Caller(Actor("api"))
_apps = itertools.count(1)


def here() -> bool:
    """The caller is still connected."""
    return True


def offer(
    runner_id: str, *labels: str, slots: int | None = None, token: str | None = None, lease_ms: int = 60_000
) -> Offer:
    """A runner that asks for a job."""
    return Offer(runner_id, lease_ms, frozenset(labels), slots, claim_key(runner_id, token) if token else None)


@dataclass
class Desk:
    """One replica's services."""

    store: Store
    warm_ms: int = 0
    bells: Bells = field(default_factory=Bells)

    def __post_init__(self) -> None:
        self.claims = Claims(self.store, self.bells, Terms(POLICY, 90_000, self.warm_ms))
        self.orders = Orders(grouped(self.store), self.bells)
        self.leases = Leases(grouped(self.store), self.bells)
        self.nodes = NodeRegistry(self.store, self.bells, POLICY)
        self.runners = RunnerRegistry(self.store, self.bells, 90_000)

    async def beat(self) -> None:
        """A node with room."""
        url = "http://127.0.0.1:1"
        beat = NodeHeartbeat(node_name="n1", agent_base_url=url, gateway_base_url=url, disk_free_pct=80.0)
        await self.nodes.heartbeat(beat)

    async def create(
        self,
        user: str = "1",
        app: str | None = None,
        *,
        priority: int = 0,
        requires: Sequence[str] = (),
        image: str | None = None,
    ) -> Job:
        """A job, of an app of its own unless told otherwise."""
        payload = {"userId": user, "appId": app or f"app-{next(_apps)}", "image": image}
        order = CreateJob.model_validate(
            {"type": JobType.BUILD_AND_DEPLOY, "payload": payload, "priority": priority, "requires": tuple(requires)}
        )
        return (await self.orders.create(order, CALLER)).job

    async def create_many(self, user: str, jobs: int) -> None:
        """As many jobs of a user, each of an app of its own; a hundred at once."""
        for first in range(0, jobs, 100):
            await self.store.transact(partial(self._create, user, range(first, min(first + 100, jobs))))

    async def _create(self, user: str, numbers: range, tx: Transaction) -> None:
        now = await tx.now()
        for number in numbers:
            name = f"{user}-{number}"
            await tx.lock_app(name)
            payload = JobPayload(user_id=user, app_id=name)
            assert await tx.insert_job(submit(f"job-{name}", JobType.BUILD_AND_DEPLOY, payload, now))

    async def claim(self, asked: Offer, wait: float = 0.0, connected: Callable[[], bool] = here) -> Job | None:
        """A job for the runner."""
        handed = await self.claims.claim(asked, wait, connected)
        return handed.job if handed else None

    async def finish(self, job: Job, status: JobStatus = JobStatus.SUCCEEDED) -> None:
        """The runner's report."""
        assert job.runner_id is not None
        await self.leases.report(job.id, Proof(job.runner_id, job.lease_token), Outcome(status))

    async def parked(self, runners: int) -> None:
        """Return when so many runners wait and each was tried."""

        async def all_wait() -> bool:
            return self.claims.idle == runners

        await eventually(all_wait)


@asynccontextmanager
async def desk(store: Store, warm_ms: int = 0) -> AsyncIterator[Desk]:
    """A replica with one node, its dispatcher running."""
    made = Desk(store, warm_ms)
    await made.beat()
    async with running(made.claims.run):
        yield made
