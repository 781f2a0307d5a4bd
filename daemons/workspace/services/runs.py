"""One run for each workspace: development server, preview, build or installation; its end and its log.

A server that ends because its workspace goes to sleep is not over: the next visit starts it again.
"""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final
from weakref import WeakValueDictionary

from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.launch import Surroundings, launch
from daemons.workspace.domain.runs import Run, Sight, log_name, serves, state, superfluous
from daemons.workspace.domain.sockets import Listener, way_in
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.ports import HomeError, RecordError, Use
from daemons.workspace.ports.programs import Programs, Running
from daemons.workspace.ports.runs import Listeners, ProjectFiles, RunLogs, RunRecords
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_runs import RunState, RunType

logger = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 2.0
_ASLEEP: Final = (Phase.STOPPING, Phase.STOPPED, Phase.ABSENT, Phase.MOVED)


class NoApp(Exception):
    """The user has no such app on this node."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it is now; `listeners` are the sockets of its container."""

    state: RunState
    run: Run | None
    listeners: tuple[Listener, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """What runs are made of."""

    programs: Programs
    records: RunRecords
    projects: ProjectFiles
    logs: RunLogs
    listeners: Listeners


@dataclass(frozen=True, slots=True)
class Rules:
    """How runs go: what they are told, how long a server may take to listen, how many logs of a type are kept."""

    around: Surroundings
    starting_seconds: float = 300.0
    logs_kept: int = 3


class Runs:
    """The runs of one node."""

    def __init__(self, workspaces: Workspaces, outside: Outside, rules: Rules, clock: Clock) -> None:
        self._workspaces = workspaces
        self._outside = outside
        self._rules = rules
        self._clock = clock
        self._known: dict[str, Run] = {}
        self._alive: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._watches: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()

    async def run(self) -> None:
        """Owns the tasks that wait for the ends of runs."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(await self._watches.get())

    async def recover(self) -> None:
        """Take up the runs of the last process. Raises EngineError, RecordError."""
        for run in await self._outside.records.load():
            self._known[run.user_id] = run
            # Without a name its start was not finished.
            if run.finished_at_ms is None and run.program:
                found = await self._outside.programs.found(run.user_id, run.program)
                if found is not None:
                    self._watch(run, found)

    def find(self, user_id: str) -> Run | None:
        """The user's run."""
        return self._known.get(user_id)

    def alive(self, run: Run) -> bool:
        """Whether its first process lives."""
        return run.tag in self._alive

    def of_app(self, app_id: str) -> Run | None:
        """The run that serves the app, whoever's it is."""
        return next((run for run in self._known.values() if run.app_id == app_id and serves(run)), None)

    async def look(self, user_id: str) -> Seen:
        """How the user's run goes; nothing is started or woken. Raises EngineError."""
        run = self._known.get(user_id)
        if run is None:
            return Seen(RunState.IDLE, None)
        alive = run.tag in self._alive
        listeners = await self._outside.listeners.listening(user_id) if alive else ()
        way = way_in(listeners, self._rules.around.container_port)
        sight = Sight(alive, (way.port,) if way else ())
        found = state(run, sight, self._now(), int(self._rules.starting_seconds * 1000))
        return Seen(found, run, listeners, self._message(run, found))

    async def start(self, user_id: str, app_id: str, kind: RunType, epoch: int | None = None) -> Seen:
        """Begin it, in place of whatever ran; the same development server goes on. Raises as `Workspaces.ensure`;
        NoApp, NotRunnable."""
        async with self._turn(user_id):
            now = await self.look(user_id)
            same = now.run is not None and (now.run.app_id, now.run.type) == (app_id, kind) and kind is RunType.DEV
            if same and now.state in (RunState.STARTING, RunState.RUNNING):
                return replace(now, message="already running")
            await self._start(user_id, app_id, kind, epoch)
            return await self.look(user_id)

    async def resume(self, user_id: str) -> Run | None:
        """The user's server runs again, if it slept with its workspace. Raises as `start`."""
        async with self._turn(user_id):
            run = self._known.get(user_id)
            if run is None or not serves(run):
                return None
            if run.tag not in self._alive:
                await self._start(user_id, run.app_id, run.type, None)
            return self._known.get(user_id)

    async def stop(self, user_id: str) -> None:
        """Nothing of it runs afterwards, and it is forgotten. Raises EngineError, RecordError."""
        async with self._turn(user_id):
            await self._stop(user_id)

    async def _start(self, user_id: str, app_id: str, kind: RunType, epoch: int | None) -> None:
        project = await self._outside.projects.project(user_id, app_id)
        if project is None:
            raise NoApp("there is no folder of this app in the workspace; create or clone it first")
        name = log_name(kind, app_id, self._now())
        found = launch(kind, user_id, app_id, project, self._rules.around, f"{WORKDIR}/run/{name}")
        await self._stop(user_id)
        framework = found.framework.value if found.framework else ""
        tag = f"run{secrets.token_hex(8)}"
        run = Run(user_id, app_id, kind, tag, name, self._now(), "", framework, found.keeps_prefix)
        async with self._workspaces.awake(user_id, epoch):
            await self._keep(run)
            await self._prune(user_id)
            try:
                running = await self._outside.programs.start(user_id, found.program, tag)
            except EngineError:
                await self._stop(user_id)
                raise
            await self._keep(replace(run, program=running.id))
        self._watch(self._known[user_id], running)

    async def _stop(self, user_id: str) -> None:
        run = self._known.get(user_id)
        if run is None:
            return
        async with self._workspaces.thawed(user_id):
            await self._outside.programs.end(user_id, run.tag, _GRACE_SECONDS)
        self._alive.discard(run.tag)
        del self._known[user_id]
        await self._outside.records.forget(user_id)

    async def _prune(self, user_id: str) -> None:
        try:
            old = superfluous(await self._outside.logs.names(user_id), self._rules.logs_kept)
            await self._outside.logs.remove(user_id, old)
        except HomeError as error:
            logger.warning("old logs could not be removed", extra={"user_id": user_id, "error": str(error)})

    def _watch(self, run: Run, running: Running) -> None:
        self._alive.add(run.tag)
        self._watches.put_nowait(self._until_end(run, running))

    async def _until_end(self, run: Run, running: Running) -> None:
        try:
            code = await running.ended()
        except EngineError as error:
            logger.warning("nobody knows how a run ended", extra={"user_id": run.user_id, "error": str(error)})
            code = None
        self._alive.discard(run.tag)
        self._workspaces.touch(run.user_id, Use.RUN)
        if self._known.get(run.user_id) != run:
            return
        workspace = self._workspaces.find(run.user_id)
        if serves(run) and (workspace is None or workspace.phase in _ASLEEP):
            return
        try:
            await self._keep(replace(run, exit_code=code, finished_at_ms=self._now()))
        except RecordError as error:
            logger.warning("the end of a run was not written down", extra={"error": str(error)})

    async def _keep(self, run: Run) -> None:
        self._known[run.user_id] = run
        await self._outside.records.save(run)

    def _message(self, run: Run, found: RunState) -> str:
        if found is RunState.DEAD and run.finished_at_ms is None and run.tag not in self._alive:
            return "asleep with its workspace: the next visit starts it again"
        if found in (RunState.DEAD, RunState.FAILED) and run.exit_code is not None:
            return f"ended with exit status {run.exit_code}; its log says why"
        return ""

    def _turn(self, user_id: str) -> asyncio.Lock:
        lock = self._turns.get(user_id)
        if lock is None:
            lock = self._turns[user_id] = asyncio.Lock()
        return lock

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
