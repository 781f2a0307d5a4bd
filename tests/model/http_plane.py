"""The control plane behind its HTTP surface: the whole daemon with all its loops, and clients over a socket."""

import itertools
import tempfile
from pathlib import Path
from typing import Final

import httpx
from aiohttp import web

from daemons.deploy.app import build_app
from protocol.apps import AppCommand, ConfirmFence
from protocol.client.deploy import JobsClient
from protocol.client.node import NodeClient
from protocol.client.runner import RunnerClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.errors import ErrorReason
from protocol.jobs import ClaimJob, JobStatus, JobView, RenewLease, ReportJob, TransitionJob
from protocol.nodes import NodeHeartbeat
from tests.http.deploy.plane import HEADERS, TOKENS
from tests.model import requests as asked
from tests.model.database import InlineSqlite, inline_store
from tests.model.doors import Door, image_of, order_of, retry_of
from tests.model.faults import Clock, ModelStore
from tests.model.loop import OwnTimeLoop
from tests.model.replicas import SETTINGS
from tests.model.requests import Answer, Request
from tests.model.world import World

_WORDS: Final = {
    ErrorReason.NOT_FOUND: "not found",
    ErrorReason.APP_BUSY: "busy",
    ErrorReason.IDEMPOTENCY_MISMATCH: "mismatch",
    ErrorReason.ILLEGAL_TRANSITION: "illegal",
    ErrorReason.LEASE_LOST: "lease lost",
    ErrorReason.TOO_LATE: "too late",
    ErrorReason.LOG_GAP: "gap",
    ErrorReason.LOG_CLOSED: "log closed",
    ErrorReason.PEER_FAILED: "agent failed",
    ErrorReason.UNAVAILABLE: "unavailable",
}
_USER: Final = "1"
_number: Final = itertools.count(1)


class HttpDoor:
    """Clients of every role, over the replica's socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._transports: list[Transport] = []
        self._api = JobsClient(self._transport("api"))
        self._runner = RunnerClient(self._transport("runner"))
        self._node = NodeClient(self._transport("node"))

    def _transport(self, role: str) -> Transport:
        network = httpx.AsyncHTTPTransport(uds=str(self._path), verify=False)
        self._transports.append(Transport("http://plane", {HEADERS[role]: TOKENS[role]}, network=network))
        return self._transports[-1]

    async def close(self) -> None:
        """Hang up."""
        for transport in self._transports:
            await transport.close()

    async def beat(self, beat: NodeHeartbeat) -> None:
        """A node is there."""
        await self._node.heartbeat(beat)

    async def ask(self, request: Request) -> Answer:
        """The answer, also when it is a refusal."""
        try:
            return await self._ask(request)
        except Refused as refused:
            return Answer(_word(request, refused))
        except ClientError:
            return Answer("unavailable")

    async def _ask(self, request: Request) -> Answer:
        match request:
            case asked.Create():
                return _made(await self._api.create(order_of(request), idempotency_key=request.key))
            case asked.Retry():
                return _made(await self._api.retry(request.job_id, retry_of(request)))
            case asked.Move(status=JobStatus.CANCELLED):
                return _state(await self._api.cancel(request.job_id))
            case asked.Move():
                return _state(await self._api.transition(request.job_id, TransitionJob(to_status=request.status)))
            case asked.Confirm():
                order = ConfirmFence(app_id=request.app_id, fence=request.fence)
                return Answer("holds" if (await self._node.confirm_fence(order)).holds else "stale")
            case asked.Stop() | asked.Purge() | asked.Cleanup():
                return await self._ask_about_app(request)
            case _:
                return await self._ask_as_runner(request)

    async def _ask_about_app(self, request: asked.Stop | asked.Purge | asked.Cleanup) -> Answer:
        order = AppCommand(user_id=_USER, app_id=request.app_id)
        if isinstance(request, asked.Stop):
            await self._api.stop_app(order)
        elif isinstance(request, asked.Purge):
            await self._api.purge_app(order)
        else:
            await self._api.cleanup_app(order)
        return Answer("done")

    async def _ask_as_runner(self, request: asked.Claim | asked.Renew | asked.Report | asked.Log) -> Answer:
        if isinstance(request, asked.Claim):
            return await self._claim(request)
        if isinstance(request, asked.Renew):
            renewal = RenewLease(
                runner_id=request.runner_id,
                lease_token=request.token,
                extend_seconds=request.seconds,
                wait_seconds=request.wait_seconds,
            )
            return _state(await self._runner.renew(request.job_id, renewal))
        if isinstance(request, asked.Log):
            await self._runner.upload_log(
                request.job_id, request.runner_id, request.token, offset=request.offset, data=request.data
            )
            return Answer("logged")
        image, digest = image_of(request.job_id)
        report = ReportJob(
            runner_id=request.runner_id,
            lease_token=request.token,
            status=request.status,
            image=image,
            image_digest=digest,
        )
        return _state(await self._runner.report(request.job_id, report))

    async def _claim(self, request: asked.Claim) -> Answer:
        order = ClaimJob(
            runner_id=request.runner_id,
            lease_seconds=request.lease_seconds,
            wait_seconds=request.wait_seconds,
            labels=tuple(request.labels),
            slots=request.slots,
            claim_token=request.token,
        )
        job = await self._runner.claim(order)
        return Answer("nothing") if job is None else Answer("claimed", job.id, job.app_id, job.lease_token, job.fence)


class HttpReplica:
    """The daemon's application on a socket of its own."""

    def __init__(self, runner: web.AppRunner, store: ModelStore, door: HttpDoor) -> None:
        self.store = store
        self.door: Door = door
        self._door = door
        self._runner = runner

    async def kill(self) -> None:
        """Nothing of this process happens any more."""
        self.store.dead = True
        await self.stop()

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        await self._runner.cleanup()
        self.store.dead = True
        await self._door.close()


class HttpParts:
    """SQLite in memory, behind HTTP."""

    def __init__(self) -> None:
        self.loop = OwnTimeLoop(sockets=True)
        self.clock = Clock(self.loop.time)
        self._database = InlineSqlite(self.clock.now)
        self._store = inline_store(self._database)
        self._folder = tempfile.TemporaryDirectory(prefix="schedules")

    def empty(self) -> None:
        """As new, for the next schedule."""
        self._database.empty()
        self.clock.reset()

    async def replica(self, world: World) -> HttpReplica:
        """A new process."""
        store = ModelStore(self._store, world, None)
        app = build_app(SETTINGS[world.facts.limit_running], store=store, agent=world.agent)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        path = Path(self._folder.name) / f"{next(_number)}.sock"
        await web.UnixSite(runner, str(path)).start()
        return HttpReplica(runner, store, HttpDoor(path))

    def close(self) -> None:
        """Let go of everything."""
        self._database.raw.close()
        self._folder.cleanup()
        self.loop.close()


def _word(request: Request, refused: Refused) -> str:
    word = _WORDS.get(ErrorReason(refused.reason or "internal"), f"{refused.status} {refused.reason}: {refused}")
    match request, word:
        case asked.Create(), "not found":
            return "forgotten"
        case asked.Stop(), "not found":
            return "not placed"
        case asked.Retry(), "illegal":
            return "not retryable"
        case _:
            return word


def _made(job: JobView) -> Answer:
    return Answer("made", job.id, job.app_id)


def _state(job: JobView) -> Answer:
    return Answer(job.status.value, job.id, job.app_id)
