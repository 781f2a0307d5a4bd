"""What runners call: claim, heartbeat, report, and the upload of a log."""

from typing import Protocol

import orjson
from aiohttp import web

from daemons.deploy.domain.jobs import Outcome, Progress, Proof
from daemons.deploy.domain.logs import complete
from daemons.deploy.domain.matching import Offer, claim_key
from daemons.deploy.domain.views import claimed_view, job_view
from daemons.deploy.http.requests import caller, job_id
from daemons.deploy.services.claims import Claims
from daemons.deploy.services.leases import Leases
from daemons.deploy.services.logs import Logs
from daemons.deploy.services.registry import RunnerRegistry
from daemons.kit.bodies import InvalidRequest, number, parse, read, reply
from daemons.kit.openapi import BYTES, Answers
from protocol.base import Wire
from protocol.headers import LEASE_TOKEN
from protocol.jobs import ClaimedJob, ClaimJob, JobView, RenewLease, ReportJob
from protocol.logs import LogPosition
from protocol.names import InstanceId, RunnerId
from protocol.nodes import RunnerHeartbeat
from protocol.returns import ReturnJob


class _Holder(Wire):
    runner_id: RunnerId
    instance_id: InstanceId | None = None


class _Calls(Protocol):
    """Which process calls."""

    @property
    def runner_id(self) -> str: ...
    @property
    def instance_id(self) -> str | None: ...


class RunnerRoutes:
    """The runners' side of `/deploy/jobs`. `tokenless` admits runners that send no lease token."""

    def __init__(self, claims: Claims, leases: Leases, logs: Logs, runners: RunnerRegistry, *, tokenless: bool) -> None:
        self._claims = claims
        self._leases = leases
        self._logs = logs
        self._runners = runners
        self._tokenless = tokenless

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/deploy/runners/heartbeat", self.hear),
            web.post("/deploy/jobs/claim", self.claim),
            web.post("/deploy/jobs/{job_id}/heartbeat", self.heartbeat),
            web.post("/deploy/jobs/{job_id}/report", self.report),
            web.post("/deploy/jobs/{job_id}/return", self.hand_back),
            web.put("/deploy/jobs/{job_id}/log", self.append_log),
        ]

    @Answers()
    async def hear(self, request: web.Request) -> web.Response:
        """How a runner is."""
        told = await read(request, RunnerHeartbeat)
        self._runners.heard(
            told.runner_id,
            slots=told.slots,
            version=told.version,
            host=told.host,
            labels=told.labels,
            vitals=told.vitals,
        )
        return reply(None)

    @Answers(ClaimedJob | None)
    async def claim(self, request: web.Request) -> web.Response:
        """A job for this runner, or null; parked for `waitSeconds` until there is one."""
        order = await read(request, ClaimJob)
        self._runners.heard(
            order.runner_id, slots=order.slots, version=order.version, host=order.host, labels=order.labels
        )

        def here() -> bool:
            return request.transport is not None and not request.transport.is_closing()

        handed = await self._claims.claim(_offer(order, caller(request).address), order.wait_seconds, here)
        if handed is None:
            return reply(None)
        if not here():
            self._claims.undelivered(handed)
            return reply(None)
        return reply(claimed_view(handed.job, handed.node, order.lease_seconds))

    @Answers(JobView, refuses=(404, 409))
    async def heartbeat(self, request: web.Request) -> web.Response:
        """Renew the lease; parked for `waitSeconds` until the job is no longer the runner's."""
        order = await read(request, RenewLease)
        proof = self._proof(request, order, order.lease_token)
        progress = Progress(order.phase, order.phase_message, order.stages)
        self._runners.heard(order.runner_id)
        job = await self._leases.renew(job_id(request), proof, order.extend_seconds, order.wait_seconds, progress)
        return reply(job_view(job))

    @Answers(JobView, refuses=(404, 409))
    async def report(self, request: web.Request) -> web.Response:
        """The attempt's one end."""
        order = await read(request, ReportJob)
        if not order.status.terminal:
            raise InvalidRequest("status: must be SUCCEEDED, FAILED or CANCELLED", ["status"])
        self._runners.heard(order.runner_id)
        outcome = Outcome(
            order.status,
            order.error_message,
            order.reason.value if order.reason else None,
            order.image,
            order.image_digest,
            order.commit,
            order.log_length,
            order.log_dropped,
            order.stages,
        )
        proof = self._proof(request, order, order.lease_token)
        job, node = await self._leases.report(job_id(request), proof, outcome)
        return reply(job_view(job, node))

    @Answers(JobView, refuses=(404, 409))
    async def hand_back(self, request: web.Request) -> web.Response:
        """The attempt ends without an outcome, because its runner is being stopped: another one may have the job."""
        order = await read(request, ReturnJob)
        self._runners.heard(order.runner_id)
        proof = self._proof(request, order, order.lease_token)
        job, node = await self._leases.hand_back(job_id(request), proof, order.log_length, order.stages)
        return reply(job_view(job, node))

    @Answers(LogPosition, query=(_Holder,), body=BYTES, refuses=(404, 409))
    async def append_log(self, request: web.Request) -> web.Response:
        """Raw bytes at `offset` of the attempt's log; what is stored already is not stored twice. With `last=1` a
        runner that was stopped before it could report says that this is all. With `late=1` a runner brings what it has
        of an attempt that it works on no more, also when that attempt's part of the log was closed."""
        holder = parse(orjson.dumps(dict(request.query)), _Holder)
        offset = number(request, "offset", default=0, low=0, high=2**62)
        proof = self._proof(request, holder, request.headers.get(LEASE_TOKEN))
        last, late = (request.query.get(name) in ("1", "true") for name in ("last", "late"))
        append = self._logs.append_late if late else self._logs.append
        taken = await append(job_id(request), proof, offset, await request.read(), last=last)
        return reply(LogPosition(length=taken.length, complete=complete(taken.job), followed=taken.followed))

    def _proof(self, request: web.Request, holder: _Calls, lease_token: str | None) -> Proof:
        address = caller(request).address
        return Proof(holder.runner_id, lease_token, self._tokenless, address, holder.instance_id)


def _offer(order: ClaimJob, address: str | None) -> Offer:
    key = claim_key(order.runner_id, order.claim_token) if order.claim_token else None
    return Offer(
        order.runner_id,
        order.lease_seconds * 1000,
        frozenset(order.labels),
        order.slots,
        key,
        address,
        order.instance_id,
    )
