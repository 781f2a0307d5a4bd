"""Clients that order jobs and runners that carry them out, through whatever happens to the control plane; and what they
must never see.

All of it runs in one process, so that the moments of all clients are moments of one clock.
"""

import asyncio
import itertools
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from protocol import headers
from protocol.client.deploy import AdminClient, JobsClient
from protocol.client.node import NodeClient
from protocol.client.runner import RunnerClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.jobs import (
    ClaimedJob,
    ClaimJob,
    CreateJob,
    JobPayload,
    JobStatus,
    JobType,
    RenewLease,
    ReportJob,
)
from protocol.nodes import NodeHeartbeat
from tests.http.deploy.plane import TOKENS
from tests.support.eventually import eventually

LEASE_SECONDS = 6
_PAUSE_SECONDS = 0.1
_APPS = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a runner held, and for how long it could be sure of it."""

    job_id: str
    app_id: str
    fence: int
    begun: float
    sure_until: float


@dataclass
class Traffic:
    """`acknowledged` are the jobs whose creation was answered, by id; `attempts` what runners were given."""

    url: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    seen: list[int] = field(default_factory=list)
    succeeded: set[str] = field(default_factory=set)
    refusals: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    streams: int = 0
    ordering: bool = True
    working: bool = True

    @asynccontextmanager
    async def flowing(self, clients: int = 3, runners: int = 6) -> AsyncIterator[None]:
        """Traffic for the duration of the block; after it everything that was ordered is carried out."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat())
            following = group.create_task(self._follow())
            await self._until_a_node_is_there()
            ordering = [group.create_task(self._order(number)) for number in range(clients)]
            working = [group.create_task(self._work(f"r{number}")) for number in range(runners)]
            yield
            self.ordering = False
            await asyncio.wait(ordering)
            await eventually(self._all_done)
            self.working = False
            await asyncio.wait(working)
            beating.cancel()
            following.cancel()

    async def _all_done(self) -> bool:
        return self.succeeded >= self.acknowledged.keys()

    def violations(self) -> Sequence[str]:
        """What must never happen."""
        found = [f"job {job_id} was lost" for job_id in self.acknowledged if job_id not in self.succeeded]
        by_app: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            by_app[attempt.app_id].append(attempt)
        for app_id, attempts in by_app.items():
            attempts.sort(key=lambda attempt: attempt.fence)
            for earlier, later in itertools.pairwise(attempts):
                if later.fence == earlier.fence:
                    found.append(f"app {app_id} got fence {later.fence} twice")
                if later.begun < earlier.sure_until:
                    found.append(f"app {app_id} was held under fences {earlier.fence} and {later.fence} at once")
        if self.seen != sorted(set(self.seen)):
            found.append("the event stream repeated itself or went back")
        return found

    async def _until_a_node_is_there(self) -> None:
        async with self._transport("admin") as transport:
            admin = AdminClient(transport)

            async def there() -> bool:
                try:
                    return bool(await admin.nodes())
                except ClientError:
                    return False

            await eventually(there)

    async def _beat(self) -> None:
        beat = NodeHeartbeat(
            node_name="n1", agent_base_url="http://n1:7005", gateway_base_url="http://n1", disk_free_pct=80.0
        )
        async with self._transport("node") as transport:
            while True:
                try:
                    await NodeClient(transport).heartbeat(beat)
                except ClientError as error:
                    self._note(error)
                await asyncio.sleep(1)

    async def _order(self, client: int) -> None:
        number = 0
        async with self._transport("api") as transport:
            jobs = JobsClient(transport)
            while self.ordering:
                number += 1
                app_id = f"{client + 1}00{number % _APPS:02}"
                payload = JobPayload(user_id=str(client + 1), app_id=app_id)
                order, key = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload), uuid4().hex
                while True:
                    try:
                        job = await jobs.create(order, idempotency_key=key)
                    except ClientError as error:
                        self._note(error)
                        if isinstance(error, Refused) and error.reason == "app_busy":
                            break
                        await asyncio.sleep(_PAUSE_SECONDS)
                        continue
                    self.acknowledged[job.id] = app_id
                    break
                await asyncio.sleep(0.05)

    async def _work(self, runner_id: str) -> None:
        async with self._transport("runner") as transport:
            client = RunnerClient(transport)
            token = secrets.token_hex(8)
            while self.working:
                order = ClaimJob(
                    runner_id=runner_id, lease_seconds=LEASE_SECONDS, wait_seconds=2, claim_token=token, slots=1
                )
                try:
                    job = await client.claim(order)
                except ClientError as error:
                    self._note(error)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                token = secrets.token_hex(8)
                if job is not None:
                    await self._carry_out(client, job, runner_id)

    async def _carry_out(self, client: RunnerClient, job: ClaimedJob, runner_id: str) -> None:
        """Renew a few times, then report, as often as it takes; stop when the lease is lost."""
        loop = asyncio.get_running_loop()
        begun = sure_until = loop.time()
        renewal = RenewLease(runner_id=runner_id, lease_token=job.lease_token, extend_seconds=LEASE_SECONDS)
        report = ReportJob(runner_id=runner_id, lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        steps = 3
        try:
            while steps:
                asked = loop.time()
                try:
                    if steps > 1:
                        await client.renew(job.id, renewal)
                        sure_until = asked + LEASE_SECONDS
                    else:
                        await client.report(job.id, report)
                        sure_until = asked
                        self.reported.add(job.id)
                    steps -= 1
                except Refused as error:
                    if error.status == 409:
                        return
                    self._note(error)
                except ClientError as error:
                    self._note(error)
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            assert job.fence is not None
            assert job.app_id is not None
            self.attempts.append(Attempt(job.id, job.app_id, job.fence, begun, sure_until))

    async def _follow(self) -> None:
        async with self._transport("admin") as transport:
            admin, after = AdminClient(transport), 0
            while True:
                self.streams += 1
                try:
                    async for event in admin.follow(after):
                        seq = getattr(event, "seq", None)
                        if event.kind == "reset":
                            self.seen.append(-1)
                        elif seq is not None:
                            self.seen.append(seq)
                            after = seq
                        if event.kind == "job" and event.change == "succeeded":
                            self.succeeded.add(event.job.id)
                except ClientError as error:
                    self._note(error)
                await asyncio.sleep(_PAUSE_SECONDS)

    def _note(self, error: ClientError) -> None:
        status = error.status if isinstance(error, Refused) else 0
        self.refusals[status] += 1

    @asynccontextmanager
    async def _transport(self, role: str) -> AsyncIterator[Transport]:
        names = {
            "admin": headers.ADMIN_TOKEN,
            "api": headers.DEPLOY_SECRET,
            "runner": headers.RUNNER_TOKEN,
            "node": headers.NODE_TOKEN,
        }
        async with Transport(self.url, {names[role]: TOKENS[role]}) as transport:
            yield transport
