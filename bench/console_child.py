"""What `bench.console` runs inside a terminal: the console, or Textual's own DataTable, with the same rows.

    python -m bench.console_child console|datatable ROWS NODES COMMANDS ANSWERS

COMMANDS and ANSWERS are the numbers of two inherited pipes. Each line of the first is a command, answered with a line:
`rate N` (changes a second), `one` (a change of a cell in view), `cpu` (seconds of processor time), `lag on`, `lag off`
(milliseconds that the event loop was late, the 99th percentile), `quit`.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from bench.figures import percentile
from console.app import ConsoleApp
from console.live.model import Live, World
from console.live.reduce import load
from console.live.table import Table
from console.live.views.jobs import JOBS
from protocol.events import AnyEvent, BeatEvent, JobEvent, Snapshot
from protocol.jobs import JobStatus, JobType, JobView, StoredPayload
from protocol.nodes import NodeHealth, NodeView, PlacementView, RunnerHealth, RunnerView
from tests.console import twin

_BATCH_SECONDS = 0.02
_BEAT_SECONDS = 5.0
_STEP_SECONDS = 0.01


def _job(number: int, now: datetime) -> JobView:
    """Newest first: 200 run, as many wait, all others ended."""
    app = f"{20_000 + number % 500}"
    created = now - timedelta(seconds=700 + number)
    status = JobStatus.RUNNING if number < 200 else JobStatus.PENDING if number < 400 else JobStatus.SUCCEEDED
    status = JobStatus.FAILED if number % 17 == 16 and number >= 400 else status
    more: dict[str, object] = {}
    if status is JobStatus.RUNNING:
        more = {"started_at": created, "lease_expire_at": now + timedelta(hours=9), "runner_id": f"build-{number % 20}"}
    elif status.terminal:
        more = {"started_at": created, "finished_at": created + timedelta(seconds=30), "runner_id": "build-1"}
    return JobView.model_validate(
        {
            "id": f"{number:08x}-{number % 7}b-4c1d-9d1a",
            "type": JobType.BUILD_AND_DEPLOY,
            "status": status,
            "payload": StoredPayload.model_validate(
                {
                    "app_id": app,
                    "user_id": str(number % 90 + 1),
                    "git_ref": "main",
                    "repo_ssh_url": f"ssh://git@127.0.0.1:2222/funai/u1-app{app}.git",
                    "phase": "BUILD",
                    "phase_message": "step 1 of 7",
                }
            ),
            "created_at": created,
            "updated_at": created,
            "app_id": app,
            "user_id": str(number % 90 + 1),
            "attempt": 1,
            "error_message": "npm ci ended with exit code 1" if status is JobStatus.FAILED else None,
            "deploy_url": f"http://127.0.0.1:8088/runtime/{app}/" if status is JobStatus.SUCCEEDED else None,
        }
        | more
    )


def _snapshot(rows: int, nodes: int) -> Snapshot:
    now = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    every = range(1, nodes + 1)
    return Snapshot(
        seq=1,
        at=now,
        jobs=tuple(_job(number, now) for number in range(rows)),
        nodes=tuple(
            NodeView(
                node_id=number,
                name=f"rt-node-{number:04}",
                agent_base_url=f"http://10.0.0.1:{number}",
                gateway_base_url=f"http://10.0.0.1:{number}",
                enabled=True,
                weight=100,
                last_heartbeat_at=now,
                health=NodeHealth.HEALTHY,
                disk_free_pct=40.0 + number % 50,
                disk_free_bytes=80_000_000_000,
                disk_total_bytes=200_000_000_000,
                container_count=12,
            )
            for number in every
        ),
        runners=tuple(
            RunnerView(
                runner_id=f"build-{number}",
                last_seen_at_ms=int(now.timestamp() * 1000),
                health=RunnerHealth.HEALTHY,
                slots=12,
            )
            for number in range(20)
        ),
        placements=tuple(
            PlacementView(app_id=str(20_000 + number), node_id=number, last_active_at=0) for number in every
        ),
    )


class Changes:
    """So many random changes a second, each of one cell of one job."""

    def __init__(self, rows: int, nodes: int) -> None:
        self.state = _snapshot(rows, nodes)
        self.jobs = list(self.state.jobs)
        self.rate = 0
        self._random = random.Random(7)
        self._number = 1
        self._due = 0.0

    def batch(self) -> list[JobView]:
        """What changed in one batch."""
        self._due += self.rate * _BATCH_SECONDS
        count, self._due = int(self._due), self._due % 1
        return [self.change(self._random.randrange(len(self.jobs))) for _ in range(count)]

    def change(self, number: int) -> JobView:
        """One job, with another message while it runs and another attempt when not."""
        job = self.jobs[number]
        if job.status is JobStatus.RUNNING:
            said = f"step {self._random.randrange(10, 99)} of 99"
            update: dict[str, object] = {"payload": job.payload.model_copy(update={"phase_message": said})}
        else:
            update = {"attempt": self._random.randrange(1, 99)}
        self.jobs[number] = job.model_copy(update=update)
        return self.jobs[number]

    def event(self, job: JobView) -> JobEvent:
        """As the control plane tells it."""
        self._number += 1
        return JobEvent.model_construct(
            seq=self._number, at=self.state.at, change="phase", actor="build-1", job=job, kind="job"
        )


class Plane(twin.Plane):
    """The console's control plane, in its own process."""

    def __init__(self, changes: Changes) -> None:
        super().__init__(changes.state)
        self._changes = changes
        self.extra: list[AnyEvent] = []

    async def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        """Changes at their rate, and a beat every five seconds."""
        beat = time.monotonic()
        while True:
            await asyncio.sleep(_BATCH_SECONDS if self._changes.rate else 0.1)
            for job in self._changes.batch():
                yield self._changes.event(job)
            taken, self.extra = self.extra, []
            for event in taken:
                yield event
            if time.monotonic() - beat > _BEAT_SECONDS:
                beat = time.monotonic()
                yield BeatEvent(at=self._changes.state.at)


class Asked(ModalScreen[None]):
    """The peer's question."""

    def compose(self) -> ComposeResult:
        yield Static("Keep it")

    def key_escape(self) -> None:
        self.dismiss()


class Peer(App[None]):
    """Textual's own table with the same cells."""

    CSS: ClassVar[str] = "DataTable { height: 1fr; }"
    BINDINGS: ClassVar = [("c", "ask", "Cancel")]

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self._changes = changes
        self._rows: Table[JobView] = Table(JOBS)
        self._columns: list[object] = []
        self.extra: list[JobView] = []

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row", zebra_stripes=False)

    def on_mount(self) -> None:
        rows, table = self._rows, self.query_one(DataTable)
        rows.follow(World({"": Live(load(self._changes.state, time.monotonic()))}), time.monotonic())
        widths = [field.column.width or 50 for field in JOBS.fields]
        for field, width in zip(JOBS.fields, widths, strict=True):
            self._columns.append(table.add_column(field.column.title, width=width, key=field.name))
        for key in rows.shown():
            table.add_row(*(cell.text for cell in rows.drawn(key).cells), key=key)
        self.set_interval(0.05, self._apply)

    def _apply(self) -> None:
        table = self.query_one(DataTable)
        taken, self.extra = self.extra, []
        jobs = [*taken, *self._changes.batch(), *self._changes.batch()]
        for job in jobs:
            running = job.status is JobStatus.RUNNING
            table.update_cell(
                job.id, "why" if running else "try", job.payload.phase_message if running else str(job.attempt)
            )

    def action_ask(self) -> None:
        self.push_screen(Asked())


class Control:
    """Answers the commands of the other side of the terminal."""

    def __init__(self, changes: Changes, commands: int, answers: int, one: Callable[[], None]) -> None:
        self._changes, self._one = changes, one
        self._commands, self._answers = os.fdopen(commands, "r"), os.fdopen(answers, "w", buffering=1)
        self._lags: list[float] | None = None

    async def serve(self) -> None:
        """Until `quit`."""
        loop = asyncio.get_running_loop()
        self._say({"ready": True})
        async with asyncio.TaskGroup() as group:
            while (line := await loop.run_in_executor(None, self._commands.readline)).strip() not in ("", "quit"):
                word, _, rest = line.strip().partition(" ")
                if word == "rate":
                    self._changes.rate = int(rest)
                elif word == "one":
                    self._one()
                elif line.strip() == "lag on":
                    self._lags = []
                    group.create_task(self._sample(self._lags))
                found, self._lags = (self._lags, None) if line.strip() == "lag off" else (None, self._lags)
                self._say({"cpu": time.process_time(), "lag": percentile(found, 0.99) if found else None})

    async def _sample(self, lags: list[float]) -> None:
        while self._lags is lags:
            began = time.perf_counter()
            await asyncio.sleep(_STEP_SECONDS)
            lags.append(max(0.0, time.perf_counter() - began - _STEP_SECONDS) * 1000)

    def _say(self, answer: dict[str, object]) -> None:
        self._answers.write(json.dumps(answer) + "\n")


def main(kind: str, rows: int, nodes: int, commands: int, answers: int) -> None:
    """Run until told to quit."""
    changes = Changes(rows, nodes)
    app: App[None]
    if kind == "console":
        plane = Plane(changes)
        app = console = ConsoleApp(plane, "bench", most_jobs=2 * rows + 1000)

        def one() -> None:
            target = console.main.table.cursor.row + 3
            plane.extra.append(changes.event(changes.change(target)))
    else:
        app = peer = Peer(changes)

        def one() -> None:
            peer.extra.append(changes.change(3))

    control = Control(changes, commands, answers, one)

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            shown = group.create_task(app.run_async())
            group.create_task(_serve(control, app))
            await shown

    asyncio.run(run())


async def _serve(control: Control, app: App[None]) -> None:
    while not app.is_running:
        await asyncio.sleep(0.01)
    await control.serve()
    app.exit()


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:6]))
