"""Shells of operators in apps: carried from their terminals to the agents of the apps' nodes, and audited."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.shells import Shell, closed, event
from daemons.deploy.ports import RunningApps, Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.running import Host, Running, in_words
from daemons.kit.lines import Line, LineLost
from daemons.kit.seats import NoSeat, Seats
from daemons.kit.tasks import first, shielded
from protocol.shell import (
    SHELL_ORDER,
    SHELL_WORD,
    ShellBegun,
    ShellEnd,
    ShellEndReason,
    ShellOrder,
    ShellQuery,
    ShellResize,
    ShellStart,
    ShellWord,
)

logger = logging.getLogger(__name__)

_MOST: Final = 64
_START_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 4.0
_RECORD_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Way:
    """The line to the agent of an app's node."""

    app_id: str
    host: Host
    line: Line


class Shells:
    """`room` admits and opens the way, `serve` carries one shell from its first frame to its last."""

    def __init__(self, store: Store, bells: Bells, running: Running, agents: RunningApps) -> None:
        self._store = store
        self._bells = bells
        self._running = running
        self._agents = agents
        self._seats = Seats("shells", _MOST, _MOST)
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def room(self, app_id: str) -> AsyncIterator[Way]:
        """Raises AppNotPlaced, AppNotRunning, AppDown, NoSeat and AgentFailed."""
        if self._closing.is_set():
            raise NoSeat("the control plane is being stopped; try again in a moment")
        with self._seats.take(f"app {app_id}"):
            host = await self._running.host(app_id)
            asked = ShellQuery(user_id=host.user_id, app_id=app_id)
            with in_words(host.node, f"a shell in app {app_id}"):
                async with self._agents.shell(host.node.agent_base_url or "", asked) as line:
                    yield Way(app_id, host, line)

    async def serve(self, way: Way, near: Line, actor: Actor) -> None:
        """One shell. It is begun once the audit log has it."""
        try:
            order = await _order(near)
            end = (
                await self._audited(way, near, order, actor) if order else _failed("the first frame says what to start")
            )
            await near.send(end.to_json().decode())
        except LineLost:
            return

    async def close(self) -> None:
        """End every shell, telling why, and wait for that."""
        self._closing.set()
        if not await self._seats.left(_CLOSE_SECONDS):
            logger.warning("shells did not end in time", extra={"shells": self._seats.taken})

    async def _audited(self, way: Way, near: Line, order: ShellStart, actor: Actor) -> ShellEnd:
        shell = Shell(str(uuid4()), way.app_id, way.host.node.name, actor, order.command, opened_at=0)
        try:
            shell = await self._record(shell)
        except StoreUnavailable as error:
            logger.warning("a shell was not opened", extra={"app_id": way.app_id, "error": str(error)})
            return _failed("the audit log cannot be written now, and without it no shell is opened; try again")
        relay = _Relay(near, way.line, shell)
        end = ShellEnd(reason=ShellEndReason.SHUTDOWN, text="the control plane is being stopped; try again in a moment")
        try:
            end = await first(relay.begin(order), relay.typed(), self._closed(end))
        finally:
            await shielded(self._remember(relay.shell, end), seconds=_RECORD_SECONDS)
        return end

    async def _closed(self, end: ShellEnd) -> ShellEnd:
        await self._closing.wait()
        return end

    async def _remember(self, shell: Shell, end: ShellEnd) -> None:
        try:
            await self._record(shell, end)
        except StoreUnavailable as error:
            # The log of the control plane is then the only place that tells of the end.
            facts = {"shell": shell.id, "app_id": shell.app_id, "reason": end.reason.value, "exit_code": end.exit_code}
            logger.warning("the end of a shell is not in the audit log", extra=facts | {"error": str(error)})

    async def _record(self, shell: Shell, end: ShellEnd | None = None) -> Shell:
        """The shell as it was written. Raises StoreUnavailable."""

        async def work(tx: Transaction) -> Shell:
            now = await tx.now()
            after = closed(shell, now, end) if end is not None else replace(shell, opened_at=now)
            await tx.append(event(after))
            return after

        written = await self._store.transact(work)
        self._bells.feed.ring()
        return written


class _Relay:
    """Carries frames both ways and counts bytes. Text is understood, so that only what is known goes on."""

    def __init__(self, near: Line, far: Line, shell: Shell) -> None:
        self.shell = shell
        self._near = near
        self._far = far

    async def begin(self, order: ShellStart) -> ShellEnd:
        """Have it started, and pass on what it writes; how it ended."""
        try:
            await self._far.send(order.to_json().decode())
        except LineLost:
            return _lost()
        while (frame := await self._far.receive()) is not None:
            if isinstance(frame, str):
                word = _word(frame)
                if not isinstance(word, ShellBegun):
                    return word or _failed("the app's node said something that is not understood")
                self.shell = replace(self.shell, container=word.container)
            try:
                await self._near.send(frame)
            except LineLost:
                return ShellEnd(reason=ShellEndReason.LEFT)
            self.shell = replace(self.shell, written=self.shell.written + _size(frame))
        return _lost()

    async def typed(self) -> ShellEnd:
        """Pass on what is typed; how it ended."""
        while (frame := await self._near.receive()) is not None:
            if isinstance(frame, str) and not isinstance(_read(frame), ShellResize):
                return _failed("a frame was not understood")
            try:
                await self._far.send(frame)
            except LineLost:
                return _lost()
            self.shell = replace(self.shell, typed=self.shell.typed + _size(frame))
        return ShellEnd(reason=ShellEndReason.LEFT)


async def _order(near: Line) -> ShellStart | None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            frame = await near.receive()
    except TimeoutError:
        return None
    order = _read(frame) if isinstance(frame, str) else None
    return order if isinstance(order, ShellStart) else None


def _read(frame: str) -> ShellOrder | None:
    try:
        return SHELL_ORDER.validate_json(frame)
    except ValidationError:
        return None


def _word(frame: str) -> ShellWord | None:
    try:
        return SHELL_WORD.validate_json(frame)
    except ValidationError:
        return None


def _size(frame: bytes | str) -> int:
    return len(frame) if isinstance(frame, bytes) else 0


def _failed(text: str) -> ShellEnd:
    return ShellEnd(reason=ShellEndReason.FAILED, text=text)


def _lost() -> ShellEnd:
    return ShellEnd(reason=ShellEndReason.LOST, text="the connection to the app's node was lost")
