"""An in-memory control plane: the console's own ports, with events that a test publishes when it wants."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta

from protocol.client.transport import Refused, Unreachable
from protocol.events import AnyEvent, AppEvent, BeatEvent, JobEvent, NodeEvent, ResetEvent, Snapshot
from protocol.jobs import CreateJob, JobStatus, JobView, StoredPayload
from protocol.nodes import NodeHealth
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery, OutputStream
from tests.console.samples import NOW, job, snapshot
from tests.console.twin_books import Shelves
from tests.console.twin_entry import Entry
from tests.console.twin_workspaces import Houses


class SetClock:
    """A clock that stands until a test moves it."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds


class Plane(Shelves):
    """The control plane's twin. `calls` holds what it was asked to change, in order."""

    def __init__(self, state: Snapshot | None = None) -> None:
        super().__init__()
        self.state = state or snapshot()
        self.orders: list[tuple[CreateJob, str | None]] = []
        self.logs: dict[str, bytes] = {}
        self.outputs: dict[str, list[AppLogEvent]] = {}
        self.down = False
        self.snapshots = 0
        self.resumed: list[int] = []
        self._watchers: set[asyncio.Queue[AnyEvent | None]] = set()
        self.watched = asyncio.Event()
        self._grown = asyncio.Condition()
        self.houses = Houses(self._reached, self.calls)
        self.entry = Entry(self._reached, self.calls, self.publish)

    @property
    def api_plane(self) -> Entry:
        """The API entry, as it knows users."""
        return self.entry

    @property
    def workspace_plane(self) -> Houses:
        """The API entry."""
        return self.houses

    def furnish(self) -> None:
        """Something of everything."""
        super().furnish()
        self.houses.furnish()
        self.entry.furnish()

    async def snapshot(self) -> Snapshot:
        self._reached()
        self.snapshots += 1
        return self.state

    async def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        self._reached()
        self.resumed.append(after)
        queue: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._watchers.add(queue)
        self.watched.set()
        try:
            while (event := await queue.get()) is not None:
                yield event
            raise Unreachable("http://127.0.0.1:7002 does not answer: connection lost")
        finally:
            self._watchers.discard(queue)
            if not self._watchers:
                self.watched.clear()

    async def log(self, job_id: str, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        self._reached()
        if job_id not in {known.id for known in self.state.jobs}:
            raise Refused(404, f"there is no job {job_id}", "not_found")
        while True:
            data = self.logs.get(job_id, b"")
            if len(data) > offset:
                yield data[offset:]
                offset = len(data)
            if not follow or self._job(job_id).status.terminal:
                return
            async with self._grown:
                await self._grown.wait()
            self._reached()

    async def app_log(self, app_id: str, wanted: AppLogQuery | None = None) -> AsyncGenerator[AppLogEvent, None]:
        self._reached()
        asked = wanted or AppLogQuery()
        if app_id not in self.outputs:
            raise Refused(404, f"app {app_id} runs on no runtime node", "not_found")
        done = int(asked.cursor.rpartition(":")[2]) if asked.cursor else 0
        while True:
            for event in self.outputs[app_id][done:]:
                done += 1
                yield event.model_copy(update={"cursor": f"r1:1:{done}"})
            async with self._grown:
                await self._grown.wait()
            self._reached()

    async def get(self, job_id: str) -> JobView:
        self._reached()
        return self._job(job_id)

    async def create(self, order: CreateJob, *, idempotency_key: str | None = None) -> JobView:
        self._asked(None)
        self.orders.append((order, idempotency_key))
        payload = StoredPayload.model_validate(order.payload.model_dump())
        made = job(f"new{len(self.orders):05}-0000", app=payload.app_id, payload=payload, created=NOW)
        self.publish(made)
        return made

    async def cancel(self, job_id: str, *, expected: str | None = None) -> JobView:
        self._asked(expected)
        self.calls.append(("cancel", job_id))
        done = self._job(job_id).model_copy(update={"status": JobStatus.CANCELLED, "reason": "cancelled"})
        self.publish(done)
        return done

    async def set_enabled(self, name: str, *, enabled: bool, expected: str | None = None) -> str:
        self._asked(expected)
        self.calls.append(("set_enabled", name, str(enabled)))
        node = next(known for known in self.state.nodes if known.name == name)
        health = NodeHealth.HEALTHY if enabled else NodeHealth.DISABLED
        changed = node.model_copy(update={"enabled": enabled, "health": health})
        nodes = tuple(changed if known.name == name else known for known in self.state.nodes)
        self.state = self.state.model_copy(update={"nodes": nodes, "seq": self.state.seq + 1})
        self._send(NodeEvent(seq=self.state.seq, at=self.state.at, change="enabled", actor="admin", node=changed))
        return "enabled" if enabled else "disabled"

    def publish(self, changed: JobView, change: str = "changed") -> None:
        """A job changed (or appeared)."""
        jobs = (*(known for known in self.state.jobs if known.id != changed.id), changed)
        self.state = self.state.model_copy(update={"jobs": jobs, "seq": self.state.seq + 1})
        self._send(JobEvent(seq=self.state.seq, at=self.state.at, change=change, actor="test", job=changed))

    def gone(self, job_id: str) -> None:
        """A job is no more, as when its app was purged; the other jobs of the app stay."""
        left = tuple(known for known in self.state.jobs if known.id != job_id)
        app_id = f"purged-{job_id}"
        self.publish(self._job(job_id).model_copy(update={"app_id": app_id}), "moved")
        self.state = self.state.model_copy(update={"jobs": left, "seq": self.state.seq + 1})
        self._send(AppEvent(seq=self.state.seq, at=self.state.at, change="purged", actor="test", app_id=app_id))

    def beat(self, seconds: float = 0) -> None:
        """Time passes at the server."""
        self.state = self.state.model_copy(update={"at": self.state.at + timedelta(seconds=seconds)})
        self._send(BeatEvent(at=self.state.at))

    def reset(self) -> None:
        """What a watcher asks for is no longer there."""
        self._send(ResetEvent(seq=self.state.seq))

    def lose(self) -> None:
        """The line breaks, and stays broken."""
        self.down = True
        self.cut()

    def cut(self) -> None:
        """The line breaks once."""
        self._send(None)

    async def grow(self, job_id: str, data: bytes) -> None:
        """More log."""
        self.logs[job_id] = self.logs.get(job_id, b"") + data
        async with self._grown:
            self._grown.notify_all()

    async def write(self, app_id: str, text: str, at: int, stream: OutputStream = OutputStream.STDOUT) -> None:
        """An app writes."""
        said = AppLogEvent(kind=AppLogKind.OUTPUT, container="c1", stream=stream, at=at, text=text)
        self.outputs.setdefault(app_id, []).append(said)
        async with self._grown:
            self._grown.notify_all()

    def _send(self, event: AnyEvent | None) -> None:
        for queue in tuple(self._watchers):
            queue.put_nowait(event)

    def _job(self, job_id: str) -> JobView:
        return next(known for known in self.state.jobs if known.id == job_id)

    def _reached(self) -> None:
        if self.down:
            raise Unreachable("http://127.0.0.1:7002 does not answer: connection refused")
