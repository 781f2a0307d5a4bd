"""In-memory twins of the runner's ports, and jobs to feed them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from daemons.kit.logs import Redactor
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.layers import Layer, Use
from daemons.runner.domain.leftovers import Keeping, Leftover
from daemons.runner.domain.plan import Attempt, RegistryPolicy, Source
from daemons.runner.domain.room import Room
from daemons.runner.ports import (
    BuildOrder,
    Checkout,
    ControlPlaneDown,
    LeaseLost,
    LogGap,
    LogLater,
    LogRefused,
    LogSink,
    NoFolder,
    NoLayers,
    Outcome,
    RegistryDown,
    Uploaded,
    WorkFolder,
)
from daemons.runner.services.execute import Executor, Holding
from daemons.runner.services.leftovers import Leftovers
from daemons.runner.services.presence import Roster
from daemons.runner.services.steps import Tools
from protocol.apps import DeployApp, WarmImage
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, JobPhase, JobStatus, StageReport

T = TypeVar("T")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "a" * 64
JOB_ID = "6f1c1a52-0000-4000-8000-000000000001"


def claimed(
    job_id: str = JOB_ID, *, app_id: str = "20001", node: str | None = "http://node:7005", **payload: Any
) -> ClaimedJob:
    """A claimed job as the control plane answers it; `payload` overrides keys of the payload (None removes one)."""
    moment = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    body = {
        "userId": "1",
        "appId": app_id,
        "repoSshUrl": f"ssh://git@git.example:2222/funai/u1-app{app_id}.git",
        "gitRef": "main",
        "basePath": f"/runtime/{app_id}",
        "containerPort": 3000,
        **payload,
    }
    runtime = {
        "id": {"value": 1},
        "name": "n1",
        "agentBaseUrl": node,
        "gatewayBaseUrl": None,
        "enabled": True,
        "weight": 1,
    }
    document = {
        "id": job_id,
        "type": "BUILD_AND_DEPLOY",
        "status": "RUNNING",
        "payload": {key: value for key, value in body.items() if value is not None},
        "runtimeNode": runtime if node else None,
        "createdAt": moment,
        "updatedAt": moment,
        "appId": app_id,
        "userId": "1",
        "attempt": 1,
        "fence": 7,
        "leaseToken": f"lease-token-of-{job_id}",
        "leaseSeconds": 30,
    }
    return ClaimedJob.model_validate(document, strict=False)


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; fails after 100,000 turns."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never came true")


class FakePacer:
    """Time that passes only by sleeping in it, and then at once."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._limits: list[tuple[float, asyncio.Timeout]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        for deadline, timer in self._limits:
            if deadline <= self.time and not timer.expired():
                timer.reschedule(asyncio.get_running_loop().time())
        await asyncio.sleep(0)

    def limit(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return self._limit(seconds)

    @asynccontextmanager
    async def _limit(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as timer:
            entry = (self.time + seconds, timer)
            self._limits.append(entry)
            try:
                yield
            finally:
                self._limits.remove(entry)


class MemoryControlPlane:
    """Jobs, logs and reports; the `lose_...` and `down` switches are its faults."""

    def __init__(self, *jobs: ClaimedJob) -> None:
        self.queue: asyncio.Queue[ClaimedJob] = asyncio.Queue()
        self.statuses: dict[str, JobStatus] = {}
        self.logs: dict[str, bytearray] = {}
        self.ends: list[int] = []
        self.returned: list[tuple[str, int]] = []
        self.knows_returns = True
        self.returns_down = False
        self.sent = 0
        self.followed: bool | None = None
        self.reports: list[tuple[str, Outcome]] = []
        self.phases: list[JobPhase] = []
        self.stages: tuple[StageReport, ...] = ()
        self.gone: set[str] = set()
        self.claims = 0
        self.down = False
        self.renewals_down = False
        self.uploads_down = False
        self.busy = False
        self.refuses = False
        self.lost_answers = 0
        self.forget_log_once = False
        self._changed = asyncio.Condition()
        for job in jobs:
            self.add(job)

    def add(self, job: ClaimedJob) -> None:
        self.statuses[job.id] = JobStatus.RUNNING
        self.logs[job.id] = bytearray()
        self.queue.put_nowait(job)

    async def end(self, job_id: str, status: JobStatus = JobStatus.CANCELLED) -> None:
        """The job leaves RUNNING."""
        async with self._changed:
            self.statuses[job_id] = status
            self._changed.notify_all()

    async def take_away(self, job_id: str) -> None:
        """The lease is another's now."""
        async with self._changed:
            self.gone.add(job_id)
            self._changed.notify_all()

    def log(self, job_id: str = JOB_ID) -> str:
        return self.logs[job_id].decode()

    async def claim(self, wait_seconds: float) -> ClaimedJob | None:
        self.claims += 1
        if self.down:
            raise ControlPlaneDown("connection refused")
        if not wait_seconds and self.queue.empty():
            return None
        return await self.queue.get()

    async def renew(
        self, attempt: Attempt, phase: JobPhase | None, wait_seconds: float, stages: tuple[StageReport, ...] = ()
    ) -> JobStatus:
        await asyncio.sleep(0)
        if self.down or self.renewals_down:
            raise ControlPlaneDown("connection refused")
        self.stages = stages
        if phase is not None and (not self.phases or self.phases[-1] is not phase):
            self.phases.append(phase)
        async with self._changed:
            if wait_seconds:
                await self._changed.wait_for(lambda: self._settled(attempt.job_id) or self.renewals_down)
        if attempt.job_id in self.gone:
            raise LeaseLost("the lease is another's")
        return self.statuses[attempt.job_id]

    async def stop_answering_renewals(self) -> None:
        """Parked renewals end, and no further one is answered."""
        async with self._changed:
            self.renewals_down = True
            self._changed.notify_all()

    async def report(self, attempt: Attempt, outcome: Outcome) -> None:
        await asyncio.sleep(0)
        self.reports.append((attempt.job_id, outcome))
        if self.lost_answers:
            self.lost_answers -= 1
            raise ControlPlaneDown("the answer was lost")
        if self._settled(attempt.job_id) and self.statuses[attempt.job_id] is not outcome.status:
            raise LeaseLost("not yours to end")
        self.statuses[attempt.job_id] = outcome.status

    async def hand_back(self, attempt: Attempt, log_length: int, stages: tuple[StageReport, ...]) -> JobStatus:
        await asyncio.sleep(0)
        if self.down or self.returns_down:
            raise ControlPlaneDown("connection refused")
        if not self.knows_returns or attempt.job_id in self.gone:
            raise LeaseLost("no such call, or not yours")
        self.returned.append((attempt.job_id, log_length))
        if not self._settled(attempt.job_id):
            self.statuses[attempt.job_id] = JobStatus.PENDING
        return self.statuses[attempt.job_id]

    async def upload(
        self, attempt: Attempt, offset: int, data: bytes, *, last: bool = False, late: bool = False
    ) -> Uploaded:
        await asyncio.sleep(0)
        if self.down or self.uploads_down:
            raise ControlPlaneDown("connection refused")
        if late and self.busy:
            raise LogLater("another attempt writes")
        if self.refuses:
            raise LogRefused("no")
        log = self.logs[attempt.job_id]
        if self.forget_log_once and log:
            self.forget_log_once = False
            del log[len(log) // 2 :]
        if offset > len(log):
            raise LogGap(len(log))
        if len(data) > len(log) - offset:
            log[offset:] = data
        self.sent += len(data)
        if last:
            self.ends.append(len(log))
        return Uploaded(len(log), self.followed)

    def _settled(self, job_id: str) -> bool:
        return job_id in self.gone or self.statuses[job_id] is not JobStatus.RUNNING


class MemoryRepository:
    """Sources that are there at once, or never."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.failure: WorkFailed | None = None

    async def checkout(self, source: Source, folder: Path, log: LogSink) -> Checkout:
        self.sources.append(source)
        await log.write("Receiving objects\n")
        if self.failure:
            raise self.failure
        return Checkout(COMMIT, 12_345)


class MemoryBuilder:
    """Builds that say what they do; `during` runs in the middle of a build."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.pushed: list[str] = []
        self.removed: list[str] = []
        self.stopped: list[str] = []
        self.output: tuple[str, ...] = ("Step 1/1 : FROM scratch\n",)
        self.failure: WorkFailed | None = None
        self.refusals: list[str] = []
        self.during: Callable[[BuildOrder], Awaitable[None]] | None = None

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        for piece in self.output:
            await log.write(piece)
        try:
            if self.during:
                await self.during(order)
        except asyncio.CancelledError:
            self.stopped.append(order.names.immutable)
            raise
        if self.failure:
            raise self.failure
        self.built.append(order.names.immutable)

    async def push(self, image: str, log: LogSink) -> str:
        self.pushed.append(image)
        if self.refusals:
            raise WorkFailed(JobReason.PUSH_FAILED, self.refusals.pop(0))
        await log.write(f"pushed {image}\n")
        return DIGEST

    async def remove(self, images: Sequence[str]) -> None:
        self.removed.extend(images)


class MemoryImages:
    """A registry that has every image, or those that it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.bytes: int | None = 4_567
        self.down = False
        self.tags: dict[str, str] = {}
        self.pause_seconds = 0.0
        self.paused = 0

    async def size(self, host: str, name: str, digest: str) -> int | None:
        self.asked.append((host, name, digest))
        if self.down:
            raise RegistryDown("it does not answer")
        return self.bytes

    async def digest(self, host: str, name: str, tag: str) -> str | None:
        if self.down:
            raise RegistryDown("it does not answer")
        return self.tags.get(tag, DIGEST)

    async def pause(self, host: str) -> float:
        self.paused += 1
        return self.pause_seconds


class MemoryAppHost:
    """An agent that puts everything live at once."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, DeployApp]] = []
        self.warmed: list[str] = []
        self.cooled: list[str] = []
        self.failure: WorkFailed | None = None

    async def deploy(self, agent_url: str, order: DeployApp) -> None:
        self.orders.append((agent_url, order))
        if self.failure:
            raise self.failure

    async def warm(self, agent_url: str, order: WarmImage) -> str:
        self.warmed.append(order.image)
        return "the node begins to fetch it"

    async def cool(self, agent_url: str, order: WarmImage) -> None:
        self.cooled.append(order.image)


class MemorySpool:
    """A log in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.full = False
        self.finished = False
        self.delivered = False

    async def append(self, data: bytes) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        self.data += data
        return len(self.data)

    async def read(self, offset: int, most: int) -> bytes:
        return bytes(self.data[offset : offset + most])

    async def finish(self) -> None:
        self.finished = True


class MemorySpools:
    """Logs in memory; `kill` is a crash of the runner."""

    def __init__(self, runner_id: str = "r1") -> None:
        self.news = asyncio.Event()
        self.place = "memory"
        self.age = 0.0
        self._runner_id = runner_id
        self._spools: dict[str, tuple[Attempt, MemorySpool]] = {}
        self._in_use: set[str] = set()

    def opened(self, attempt: Attempt) -> AbstractAsyncContextManager[MemorySpool]:
        return self._opened(replace(attempt, runner_id=attempt.runner_id or self._runner_id))

    @asynccontextmanager
    async def _opened(self, attempt: Attempt) -> AsyncIterator[MemorySpool]:
        name, spool = f"{attempt.folder_name}-{attempt.lease_token}", MemorySpool()
        self._spools[name] = attempt, spool
        self._in_use.add(name)
        try:
            yield spool
        finally:
            if spool.delivered:
                self._spools.pop(name)
            self._in_use.discard(name)
            self.news.set()

    def kill(self) -> None:
        self._in_use.clear()

    async def left(self) -> Sequence[Leftover]:
        return [
            Leftover(name, attempt, len(self._closed(spool)), self.age)
            for name, (attempt, spool) in self._spools.items()
            if name not in self._in_use
        ]

    async def read(self, left: Leftover, offset: int, most: int) -> bytes:
        return await self._spools[left.name][1].read(offset, most)

    async def remove(self, left: Leftover) -> None:
        self._spools.pop(left.name, None)

    def _closed(self, spool: MemorySpool) -> bytes:
        if not spool.finished and spool.data:
            spool.data += b"\n[stopped] the runner was ended here, in the middle of its work\n"
        spool.finished = True
        return bytes(spool.data)


class MemoryWorkplace:
    """Folders that exist in name only."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.failure: NoFolder | None = None

    def folder(self, name: str) -> AbstractAsyncContextManager[WorkFolder]:
        return self._folder(name)

    @asynccontextmanager
    async def _folder(self, name: str) -> AsyncIterator[WorkFolder]:
        if self.failure:
            raise self.failure
        self.opened.append(name)
        try:
            yield WorkFolder(Path("/nowhere") / name)
        finally:
            self.closed.append(name)


class MemoryMeter:
    """Counts in plain sight."""

    def __init__(self) -> None:
        self.most_busy = 0
        self.results: list[str] = []
        self.steps: list[JobPhase] = []

    def busy(self, slots: int) -> None:
        self.most_busy = max(self.most_busy, slots)

    def finished(self, result: str) -> None:
        self.results.append(result)

    def step(self, phase: JobPhase, seconds: float) -> None:
        self.steps.append(phase)


class Here:
    """Work that is not done aside, but here."""

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await work()


class MemoryLeash:
    """Nothing is on it; says whether it was cut."""

    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


class MemoryLeashes:
    """The leashes of all attempts."""

    def __init__(self) -> None:
        self.made: list[MemoryLeash] = []

    def held(self, name: str) -> AbstractAsyncContextManager[MemoryLeash]:
        return self._held()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[MemoryLeash]:
        self.made.append(MemoryLeash())
        yield self.made[-1]


class Bench:
    """An executor on twins."""

    def __init__(self, *jobs: ClaimedJob, registry: str = "", secrets: tuple[str, ...] = ()) -> None:
        self.control = MemoryControlPlane(*jobs)
        self.repository = MemoryRepository()
        self.builder = MemoryBuilder()
        self.hosts = MemoryAppHost()
        self.images = MemoryImages()
        self.workplace = MemoryWorkplace()
        self.spools = MemorySpools()
        self.pacer = FakePacer()
        self.meter = MemoryMeter()
        self.leashes = MemoryLeashes()
        self.roster = Roster()
        self.executor = Executor(
            self.control,
            Tools(self.repository, self.builder, self.hosts, self.images, self.pacer, self.meter),
            self.workplace,
            RegistryPolicy(registry, "funaistudio"),
            spools=self.spools,
            lease_seconds=30,
            redactor=lambda more: Redactor((*secrets, *more), shapes=True),
            holding=Holding(self.control, Here(), self.leashes, self.roster),
        )
        self.leftovers = Leftovers(self.spools, self.control, self.pacer, Keeping())

    async def run_next(self) -> None:
        """Carry out the job that is queued, and deliver what is left of its log."""
        await self.executor.run(await self.control.queue.get())
        await self.leftovers.round()

    @property
    def report(self) -> Outcome:
        """The one report."""
        (only,) = self.control.reports
        return only[1]


class MemoryLayers:
    """Layers of one size on a disk of a hundred of them."""

    size = 10

    def __init__(self) -> None:
        self.images: list[Layer] = []
        self.down = False
        self.stuck: set[str] = set()
        self.drops: list[list[str]] = []

    def made(self, image_id: str, created: int, parent: str = "", *, named: bool = False) -> str:
        """One more; answers what a builder prints of it."""
        self.images.append(Layer(image_id, created, parent, named=named))
        return f" ---> {image_id}\n"

    async def room(self) -> Room:
        if self.down:
            raise NoLayers("it is down")
        return Room(1000 - self.size * len(self.images), 1000)

    async def layers(self) -> Sequence[Layer]:
        if self.down:
            raise NoLayers("it is down")
        return tuple(self.images)

    async def drop(self, ids: Sequence[str]) -> None:
        self.drops.append(list(ids))
        for image_id in ids:
            if image_id not in self.stuck and all(layer.parent != image_id for layer in self.images):
                self.images = [layer for layer in self.images if layer.id != image_id]


class MemoryNotes:
    """Notes that are gone with the process."""

    def __init__(self) -> None:
        self.uses: dict[str, Use] = {}

    async def add(self, uses: Mapping[str, Use]) -> None:
        self.uses.update(uses)

    async def keep(self, keys: Collection[str]) -> None:
        self.uses = {each: use for each, use in self.uses.items() if each in keys}


class LayerTally:
    """What was counted."""

    def __init__(self) -> None:
        self.free = 0
        self.gone = 0

    def room(self, free_bytes: int) -> None:
        self.free = free_bytes

    def dropped(self, layers: int) -> None:
        self.gone += layers
