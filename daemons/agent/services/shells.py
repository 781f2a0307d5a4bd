"""Shells in the containers of apps: a bounded number, for a bounded time, ended when whoever asked for it is gone."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from daemons.agent.domain.shell import Bounds, Clocked, overdue, patience, run_of
from daemons.agent.ports import Containers, Terminal, Terminals
from daemons.agent.services.apps import Apps, Standing
from daemons.agent.services.ledger import Ledger
from daemons.kit.engine.errors import EngineError
from daemons.kit.line_terminals import asked_first, typed
from daemons.kit.lines import Line, LineLost
from daemons.kit.seats import NoSeat, Seats
from daemons.kit.tasks import first
from protocol.shell import SHELL_ORDER, ShellBegun, ShellEnd, ShellEndReason, ShellQuery, ShellStart

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 4.0
#: What a process that was killed ends with.
_KILLED: Final = 137
_LOOKS: Final = 10
_LOOK_AGAIN_SECONDS: Final = 0.2


class NotRunning(Exception):
    """The app's container does not run."""


class Shells:
    """`room` admits, `serve` carries one out. `most` is how many may be open on this node."""

    def __init__(
        self,
        terminals: Terminals,
        containers: Containers,
        ledger: Ledger,
        apps: Apps,
        bounds: Bounds,
        most: int,
    ) -> None:
        self._terminals = terminals
        self._ledger = ledger
        self._containers = containers
        self._apps = apps
        self._bounds = bounds
        self._most = most
        self._seats = Seats("shells", most, most)
        #: Marks of this process begin so; all others are those of one before.
        self._ours = f"{secrets.token_hex(4)}-"
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def room(self, asked: ShellQuery) -> AsyncIterator[str]:
        """Room for one shell, in the container that is yielded. Raises NotRunning, NoSeat and EngineError."""
        if self._closing.is_set():
            raise NoSeat("this agent is being stopped; try again in a moment")
        if not self._most:
            raise NoSeat("this node opens no shells (RUNTIME_SHELLS is 0)")
        with self._seats.take(f"app {asked.app_id}"):
            standing = await self._apps.status(asked.user_id, asked.app_id)
            if standing.state is None or not standing.state.running:
                raise NotRunning(f"app {asked.app_id} does not run: {_stands(standing)}")
            yield standing.container

    async def serve(self, container: str, line: Line) -> None:
        """One shell, from its first frame to its last."""
        try:
            end = await self._begun(container, line)
            await line.send(end.to_json().decode())
        except LineLost:
            logger.info("a shell was left", extra={"container": container})

    async def run(self) -> None:
        """Once the node's apps are known: end what shells of a former agent left running when it was killed."""
        while not self._ledger.loaded:  # noqa: ASYNC110 - a file that cannot be read yet gives no event
            await asyncio.sleep(_LOOK_SECONDS)
        for container in [one.container for state in self._ledger.all() for one in state.instances]:
            try:
                await self._terminals.tidy(container, self._ours)
            except EngineError as error:
                logger.warning("what shells left behind could not be looked for", extra={"error": str(error)})

    async def close(self) -> None:
        """End every shell, telling why, and wait for that."""
        self._closing.set()
        if not await self._seats.left(_CLOSE_SECONDS):
            logger.warning("shells did not end in time", extra={"shells": self._seats.taken})

    async def _begun(self, container: str, line: Line) -> ShellEnd:
        """Raises LineLost."""
        order = await asked_first(line, SHELL_ORDER, ShellStart)
        if order is None:
            return ShellEnd(reason=ShellEndReason.FAILED, text="the first frame must say what to start")
        mark = self._ours + secrets.token_hex(8)
        try:
            async with self._terminals.open(container, run_of(order, mark), mark) as terminal:
                await line.send(ShellBegun(container=container).to_json().decode())
                return await self._carry(container, terminal, line)
        except EngineError as error:
            return ShellEnd(reason=ShellEndReason.FAILED, text=str(error))

    async def _carry(self, container: str, terminal: Terminal, line: Line) -> ShellEnd:
        """What ends it. Raises LineLost and EngineError."""
        now = asyncio.get_running_loop().time()
        watch = _Watch(self._bounds, now, self._closing)
        return await first(
            self._written(container, terminal, line, watch),
            typed(terminal, line, SHELL_ORDER, watch.touch),
            watch.ended(),
        )

    async def _written(self, container: str, terminal: Terminal, line: Line, watch: "_Watch") -> ShellEnd:
        while data := await terminal.read():
            await line.send(data)
            watch.touch()
        code = await terminal.exit_code()
        if not await self._stopped(container, looks=_LOOKS if code in (None, _KILLED) else 1):
            return ShellEnd(reason=ShellEndReason.EXITED, exit_code=code)
        text = "the app's container was stopped, as after a redeployment"
        return ShellEnd(reason=ShellEndReason.STOPPED, exit_code=code, text=text)

    async def _stopped(self, container: str, looks: int) -> bool:
        """The engine says of a container that it stopped a moment after its processes are gone."""
        for look in range(looks):
            if look:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            found = await self._containers.state(container)
            if found is None or not found.running:
                return True
        return False


class _Watch:
    """When something was typed or written last, and what that means."""

    def __init__(self, bounds: Bounds, now: float, closing: asyncio.Event) -> None:
        self._bounds = bounds
        self._clocked = Clocked(now, now)
        self._closing = closing

    def touch(self) -> None:
        """Something was typed or written."""
        self._clocked = Clocked(self._clocked.began, asyncio.get_running_loop().time())

    async def ended(self) -> ShellEnd:
        """When the time is over."""
        while True:
            now = asyncio.get_running_loop().time()
            if end := overdue(self._bounds, self._clocked, now):
                return end
            try:
                async with asyncio.timeout(patience(self._bounds, self._clocked, now)):
                    await self._closing.wait()
            except TimeoutError:
                continue
            text = "the agent of the app's node is being stopped; try again in a moment"
            return ShellEnd(reason=ShellEndReason.SHUTDOWN, text=text)


def _stands(standing: Standing) -> str:
    if standing.condition is None:
        return "it has no container on this node"
    return f"it is {standing.condition.value}{f' ({standing.reason})' if standing.reason else ''}"
