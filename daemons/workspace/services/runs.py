"""One run for each workspace: development server, preview, build or installation; its end and its log.

A server that ends because its workspace goes to sleep is not over: the next visit starts it again.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from weakref import WeakValueDictionary

from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.launch import Surroundings, launch
from daemons.workspace.domain.leavings import InUse
from daemons.workspace.domain.runs import Run, Sight, log_name, serves, state, superfluous
from daemons.workspace.domain.sockets import Listener, way_in
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.ports import HomeError, RecordError, Use
from daemons.workspace.ports.databases import Environment
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
    """A run as it is now; `listeners` are the sockets of its container, `pid` and `listen_pid` its first process and
    the one that holds the socket that visitors are led to, as the container numbers them."""

    state: RunState
    run: Run | None
    listeners: tuple[Listener, ...] = ()
    message: str = ""
    pid: int | None = None
    listen_pid: int | None = None


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

    def __init__(
        self, workspaces: Workspaces, outside: Outside, rules: Rules, clock: Clock, environment: Environment
    ) -> None:
        self._workspaces = workspaces
        self._outside = outside
        self._rules = rules
        self._clock = clock
        self._environment = environment
        self._known: dict[str, Run] = {}
        self._alive: dict[str, Running] = {}
        self._holders: dict[str, tuple[Listener, int]] = {}
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

    def living(self) -> tuple[Run, ...]:
        """Those whose first process lives."""
        return tuple(run for run in self._known.values() if run.tag in self._alive)

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
        running = self._alive.get(run.tag)
        alive = running is not None
        listeners = await self._outside.listeners.listening(user_id) if alive else ()
        way = way_in(listeners, self._rules.around.container_port)
        sight = Sight(alive, (way.port,) if way else ())
        found = state(run, sight, self._now(), int(self._rules.starting_seconds * 1000))
        pid = await running.inside() if running is not None else None
        holder = await self._holder(user_id, way) if alive and way is not None else None
        return Seen(found, run, listeners, self._message(run, found), pid, holder)

    async def start(self, user_id: str, app_id: str, kind: RunType, epoch: int | None = None) -> Seen:
        """Begin it, in place of whatever ran; the same development server goes on. Raises as `Workspaces.ensure`;
        NoApp, NotRunnable, AccountError."""
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

    async def adopt(self, user_id: str, app_id: str, kind: RunType) -> None:
        """The server ran where the workspace came from; the next visit starts it here. Raises RecordError."""
        async with self._turn(user_id):
            tag = f"run{secrets.token_hex(8)}"
            run = Run(user_id, app_id, kind, tag, log_name(kind, app_id, self._now()), self._now())
            if serves(run):
                await self._keep(run)

    async def forget(self, user_id: str) -> None:
        """Whatever ran has left with its workspace. Raises RecordError."""
        async with self._turn(user_id):
            run = self._known.pop(user_id, None)
            if run is not None:
                self._alive.pop(run.tag, None)
                await self._outside.records.forget(user_id)

    @asynccontextmanager
    async def without(self, user_id: str, app_id: str, *, ending: bool) -> AsyncIterator[bool]:
        """Nothing of the app runs and nothing of the user's is begun while this is held; whether something of it ran.
        What runs is ended and forgotten, or raises InUse. Entering it raises EngineError, RecordError."""
        async with self._turn(user_id):
            run = self._known.get(user_id)
            its = run is not None and run.app_id == app_id
            if run is not None and its and not ending and run.tag in self._alive:
                raise InUse(f"its {run.type.value.lower()} runs")
            if its:
                await self._stop(user_id)
            yield its

    async def _start(self, user_id: str, app_id: str, kind: RunType, epoch: int | None) -> None:
        project = await self._outside.projects.project(user_id, app_id)
        if project is None:
            raise NoApp("there is no folder of this app in the workspace; create or clone it first")
        name = log_name(kind, app_id, self._now())
        found = launch(kind, user_id, app_id, project, self._rules.around, f"{WORKDIR}/run/{name}")
        given = await self._environment.variables(user_id, app_id)
        program = replace(found.program, variables={**given, **found.program.variables})
        await self._stop(user_id)
        framework = found.framework.value if found.framework else ""
        tag = f"run{secrets.token_hex(8)}"
        run = Run(user_id, app_id, kind, tag, name, self._now(), "", framework, found.keeps_prefix)
        async with self._workspaces.awake(user_id, epoch):
            await self._keep(run)
            await self._prune(user_id)
            try:
                running = await self._outside.programs.start(user_id, program, tag)
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
        self._alive.pop(run.tag, None)
        del self._known[user_id]
        await self._outside.records.forget(user_id)

    async def _prune(self, user_id: str) -> None:
        try:
            old = superfluous(await self._outside.logs.names(user_id), self._rules.logs_kept)
            await self._outside.logs.remove(user_id, old)
        except HomeError as error:
            logger.warning("old logs could not be removed", extra={"user_id": user_id, "error": str(error)})

    def _watch(self, run: Run, running: Running) -> None:
        self._alive[run.tag] = running
        self._watches.put_nowait(self._until_end(run, running))

    async def _until_end(self, run: Run, running: Running) -> None:
        try:
            code = await running.ended()
        except EngineError as error:
            logger.warning("nobody knows how a run ended", extra={"user_id": run.user_id, "error": str(error)})
            code = None
        self._alive.pop(run.tag, None)
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

    async def _holder(self, user_id: str, way: Listener) -> int | None:
        """Looked for once for each socket: status is asked for again and again."""
        known = self._holders.get(user_id)
        if known is not None and known[0] == way:
            return known[1]
        found = await self._outside.listeners.holder(user_id, way)
        if found is not None:
            self._holders[user_id] = (way, found)
        return found

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
