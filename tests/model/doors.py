"""How requests reach a replica: its services, called directly."""

from typing import Protocol

from daemons.deploy.app import Plane
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.idempotency import IdempotencyMismatch, JobForgotten
from daemons.deploy.domain.jobs import (
    AppBusy,
    IllegalTransition,
    Job,
    JobNotFound,
    LeaseLost,
    Outcome,
    Progress,
    Proof,
    TooLate,
)
from daemons.deploy.domain.logs import LogClosed, LogGap
from daemons.deploy.domain.matching import Offer, claim_key
from daemons.deploy.domain.succession import NotRetryable
from daemons.deploy.ports import AgentFailed, StoreUnavailable
from daemons.deploy.services.apps import AppNotPlaced
from daemons.deploy.services.orders import Caller
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType, OnConflict, RetryJob, TransitionJob
from protocol.nodes import NodeHeartbeat
from tests.model import requests as asked
from tests.model.requests import Answer, Request

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (JobForgotten, "forgotten"),
    (JobNotFound, "not found"),
    (AppBusy, "busy"),
    (IdempotencyMismatch, "mismatch"),
    (NotRetryable, "not retryable"),
    (LeaseLost, "lease lost"),
    (IllegalTransition, "illegal"),
    (TooLate, "too late"),
    (LogGap, "gap"),
    (LogClosed, "log closed"),
    (AppNotPlaced, "not placed"),
    (AgentFailed, "agent failed"),
    (StoreUnavailable, "unavailable"),
)
_ACTOR = Actor("api")


class Door(Protocol):
    """A way into a replica."""

    async def ask(self, request: Request) -> Answer:
        """The answer, also when it is a refusal."""
        ...

    async def beat(self, beat: NodeHeartbeat) -> None:
        """A node is there."""
        ...


def order_of(request: asked.Create) -> CreateJob:
    """The request on the wire."""
    return CreateJob(
        type=JobType.BUILD_AND_DEPLOY,
        payload=JobPayload(user_id="1", app_id=request.app_id, git_ref=request.mark),
        on_conflict=OnConflict.SUPERSEDE if request.supersede else OnConflict.REJECT,
        cancel_running=request.cancel_running,
        requires=request.requires,
        priority=request.priority,
    )


def retry_of(request: asked.Retry) -> RetryJob:
    """The request on the wire."""
    conflict = OnConflict.SUPERSEDE if request.supersede else OnConflict.REJECT
    return RetryJob(on_conflict=conflict, cancel_running=request.cancel_running)


def image_of(job_id: str) -> tuple[str, str]:
    """The image that a job's runner says it built, and its digest."""
    return f"registry.example/funai/u1:{job_id[:8]}", f"sha256:{job_id.replace('-', '') * 2}"


class ServiceDoor:
    """Calls the services of a replica."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def ask(self, request: Request) -> Answer:
        """The answer, also when it is a refusal."""
        try:
            return await self._ask(request)
        except tuple(kind for kind, _ in _REFUSALS) as error:
            return Answer(next(word for kind, word in _REFUSALS if isinstance(error, kind)))

    async def beat(self, beat: NodeHeartbeat) -> None:
        """A node is there."""
        await self._plane.nodes.heartbeat(beat)

    async def _ask(self, request: Request) -> Answer:
        plane = self._plane
        match request:
            case asked.Create():
                return _made((await plane.orders.create(order_of(request), Caller(_ACTOR, request.key))).job)
            case asked.Retry():
                return _made((await plane.orders.retry(request.job_id, retry_of(request), Caller(_ACTOR))).job)
            case asked.Move(status=JobStatus.CANCELLED):
                return _state(await plane.queue.cancel(request.job_id, _ACTOR))
            case asked.Move():
                order = TransitionJob(to_status=request.status)
                return _state(await plane.queue.transition(request.job_id, order, _ACTOR))
            case asked.Stop() | asked.Purge() | asked.Cleanup():
                return await self._ask_about_app(request)
            case asked.Confirm():
                held = await plane.leases.confirm(request.app_id, request.fence, _ACTOR)
                return Answer("holds" if held else "stale")
            case _:
                return await self._ask_as_runner(request)

    async def _ask_about_app(self, request: asked.Stop | asked.Purge | asked.Cleanup) -> Answer:
        apps = self._plane.apps
        if isinstance(request, asked.Stop):
            await apps.stop("1", request.app_id, _ACTOR)
        elif isinstance(request, asked.Purge):
            await apps.purge("1", request.app_id, _ACTOR)
        else:
            await apps.cleanup("1", request.app_id, _ACTOR)
        return Answer("done")

    async def _ask_as_runner(self, request: asked.Claim | asked.Renew | asked.Report | asked.Log) -> Answer:
        plane = self._plane
        if isinstance(request, asked.Claim):
            key = claim_key(request.runner_id, request.token) if request.token else None
            offer = Offer(request.runner_id, request.lease_seconds * 1000, request.labels, request.slots, key)
            handed = await plane.claims.claim(offer, request.wait_seconds, lambda: True)
            if handed is None:
                return Answer("nothing")
            job = handed.job
            return Answer("claimed", job.id, job.app_id, job.lease_token, job.fence)
        proof = Proof(request.runner_id, request.token)
        if isinstance(request, asked.Renew):
            job = await plane.leases.renew(request.job_id, proof, request.seconds, request.wait_seconds, Progress())
            return _state(job)
        if isinstance(request, asked.Log):
            await plane.logs.append(request.job_id, proof, request.offset, request.data)
            return Answer("logged")
        image, digest = image_of(request.job_id)
        outcome = Outcome(request.status, image=image, image_digest=digest)
        return _state((await plane.leases.report(request.job_id, proof, outcome))[0])


def _made(job: Job) -> Answer:
    return Answer("made", job.id, job.app_id)


def _state(job: Job) -> Answer:
    return Answer(job.status.value, job.id, job.app_id)
