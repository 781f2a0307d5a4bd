"""Programs in users' containers by the engine's exec calls, each in a control group of its own.

Order of a start: the gate (a pipe that the container can only read), the exec, its process into the group, the gate
opens. The user's program does not run before it is in hand.
"""

import array
import asyncio
import fcntl
import logging
import os
import termios
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiodocker import Docker
from aiodocker.exceptions import DockerError
from aiodocker.execs import Exec
from aiodocker.stream import Stream

from daemons.kit.engine.calls import checked
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.terminal import CALL_SECONDS, DETACH_KEYS, FAILURES, DockerTerminal, broken
from daemons.workspace.adapters.groups import Ended, Groups, NoGroup, number_inside
from daemons.workspace.domain.programs import Program, checked_tag, gated
from daemons.workspace.domain.workspaces import container_name

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.005
_SETTLE_SECONDS: Final = 5.0
_TERMINAL_GRACE_SECONDS: Final = 0.5
_GONE: Final = (404, 409)


class DockerRunning:
    """A program whose process has this number on this machine."""

    def __init__(self, name: str, execution: Exec, pid: int) -> None:
        self._name = name
        self._exec = execution
        self._pid = pid
        self._inside: int | None = None

    @property
    def id(self) -> str:
        """The exec's id."""
        return str(self._exec.id)

    async def inside(self) -> int | None:
        """Its number in the container."""
        if self._inside is None:
            self._inside = await asyncio.to_thread(number_inside, self._pid)
        return self._inside

    async def ended(self) -> int | None:
        """Raises EngineError. The kernel tells the end; the engine is asked for the status only."""
        await process_end(self._pid)
        loop = asyncio.get_running_loop()
        until = loop.time() + _SETTLE_SECONDS
        while True:
            found = await _inspected(self._name, self._exec)
            if found is None:
                return None
            if not found["Running"]:
                code = found.get("ExitCode")
                return code if isinstance(code, int) else None
            if loop.time() > until:
                return None
            await asyncio.sleep(_LOOK_SECONDS * 4)


@dataclass(frozen=True, slots=True)
class Attached:
    """A program whose output is read here, and which takes its input from the gate; `pid` is the number of its first
    process on this machine."""

    running: DockerRunning
    stream: Stream
    pid: int
    gate: "Pipe"

    async def read(self) -> tuple[int, bytes] | None:
        """Raises EngineError."""
        try:
            message = await self.stream.read_out()
        except FAILURES as error:
            raise broken(self.running.id, error) from error
        return (message.stream, message.data) if message is not None else None

    async def write(self, data: bytes) -> None:
        """Its input, as fast as it is read."""
        await self.gate.write(data)

    def close_input(self) -> None:
        """There is no more input."""
        self.gate.close()

    async def gone(self) -> None:
        """Wait for the end of its first process."""
        await process_end(self.pid)

    async def exit_code(self) -> int | None:
        """Raises EngineError."""
        return await self.running.ended()

    async def feed(self, data: bytes) -> None:
        """Give it all of its input, and then the end. Returns when it has read it."""
        await self.gate.write(data)
        await self.gate.taken()
        self.gate.close()


class Pipe:
    """A named pipe with an end that is open here, so that neither side waits for the other to come."""

    def __init__(self, number: int) -> None:
        self._number: int | None = number

    async def write(self, data: bytes) -> None:
        """All of it, as fast as it is read."""
        rest = memoryview(data)
        while rest and self._number is not None:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:
                await asyncio.sleep(_LOOK_SECONDS)

    async def taken(self) -> None:
        """Nothing of what was written waits in it any more."""
        # A pipe tells nobody that it was read.
        while self._number is not None and _unread(self._number):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Whoever reads has come to the end; closing it twice is closing it once."""
        number, self._number = self._number, None
        if number is not None:
            os.close(number)


class DockerPrograms:
    """The port `Programs` over one engine; `gates` is the folder of the users' gates on this machine."""

    def __init__(self, docker: Docker, gates: Path) -> None:
        self._docker = docker
        self._gates = gates

    async def start(self, user_id: str, program: Program, tag: str) -> DockerRunning:
        """Raises EngineError."""
        name = checked(container_name(user_id))
        async with _calls(name), self._gate(user_id, tag) as gate:
            execution = await self._exec(name, program, tag, tty=False)
            await execution.start(detach=True)
            return DockerRunning(name, execution, await self._in_hand(name, execution, tag, gate))

    @asynccontextmanager
    async def open(
        self, user_id: str, program: Program, tag: str, size: tuple[int, int]
    ) -> AsyncIterator[DockerTerminal]:
        """Entering it raises EngineError."""
        name = checked(container_name(user_id))
        async with AsyncExitStack() as stack:
            async with _calls(name), self._gate(user_id, tag) as gate:
                execution = await self._exec(name, program, tag, tty=True)
                stream = execution.start()
                stack.push_async_callback(self.end, user_id, tag, _TERMINAL_GRACE_SECONDS)
                stack.push_async_callback(stream.close)
                await stream.__aenter__()
                terminal = DockerTerminal(name, execution, stream)
                await terminal.resize(*size)
                await self._in_hand(name, execution, tag, gate)
            yield terminal

    @asynccontextmanager
    async def attached(self, user_id: str, program: Program, tag: str) -> AsyncIterator[Attached]:
        """The program with what it writes and, if it is fed, with its input. Entering it raises EngineError. Whoever
        opened it ends it."""
        name = checked(container_name(user_id))
        async with self._gate(user_id, tag) as gate:
            async with _calls(name):
                execution = await self._exec(name, program, tag, tty=False)
                stream = execution.start()
            try:
                async with _calls(name):
                    await stream.__aenter__()
                    pid = await self._in_hand(name, execution, tag, gate)
                yield Attached(DockerRunning(name, execution, pid), stream, pid, gate)
            finally:
                await stream.close()

    async def found(self, user_id: str, program_id: str) -> DockerRunning | None:
        """Raises EngineError."""
        name = container_name(user_id)
        execution = Exec(self._docker, program_id, tty=False)
        found = await _inspected(name, execution)
        if found is None or not found["Running"] or not found.get("Pid"):
            return None
        return DockerRunning(name, execution, int(found["Pid"]))

    async def end(self, user_id: str, tag: str, grace_seconds: float) -> None:
        """Raises EngineError."""
        name = container_name(user_id)
        groups = await self._groups(name)
        if groups is not None and not await asyncio.to_thread(groups.end, checked_tag(tag), grace_seconds):
            raise EngineError(f"a program in container {name} could not be ended; stop the container")

    async def sweep(self, user_id: str, kept: Collection[str]) -> None:
        """Raises EngineError."""
        groups = await self._groups(container_name(user_id))
        for tag in groups.tags() if groups is not None else ():
            if tag not in kept:
                await self.end(user_id, tag, 0.0)

    async def _exec(self, name: str, program: Program, tag: str, *, tty: bool) -> Exec:
        return await self._docker.containers.container(name).exec(
            cmd=list(gated(program, tag)),
            stdin=tty,
            tty=tty,
            environment=dict(program.variables),
            workdir=program.folder,
            detach_keys=DETACH_KEYS,
        )

    async def _in_hand(self, name: str, execution: Exec, tag: str, gate: Pipe) -> int:
        """The process is in its group, and the gate open; its number. Raises EngineError."""
        while True:
            found = await _inspected(name, execution)
            if found is None or (not found["Running"] and found.get("ExitCode") is not None):
                raise EngineError(f"a program in container {name} ended before it began; does its image have a shell?")
            if found.get("Pid"):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        pid = int(found["Pid"])
        groups = await self._groups(name)
        if groups is None:
            raise EngineError(f"container {name} ended while a program was started in it")
        try:
            await asyncio.to_thread(groups.take, tag, pid)
        except NoGroup as error:
            raise EngineError(f"a program could not be put in hand, so it was not started: {error}") from error
        await gate.write(b"\n")
        # The pipe must stay until the shell, which may not have come to it yet, has read from it.
        async with asyncio.timeout(CALL_SECONDS):
            await gate.taken()
        return pid

    async def _groups(self, name: str) -> Groups | None:
        """Those of the container; None when it does not run, so that nothing of it does. Raises EngineError."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                document = await self._docker.containers.container(name).show()
        except FAILURES as error:
            if isinstance(error, DockerError) and error.status in _GONE:
                return None
            raise broken(name, error) from error
        pid = int(document["State"].get("Pid") or 0)
        if not pid:
            return None
        try:
            return await asyncio.to_thread(Groups, pid)
        except Ended:
            return None
        except NoGroup as error:
            raise EngineError(f"the node cannot hold programs of container {name}: {error}") from error

    @asynccontextmanager
    async def _gate(self, user_id: str, tag: str) -> AsyncIterator[Pipe]:
        """The pipe that the program waits at."""
        path = self._gates / user_id / checked_tag(tag)
        gate = Pipe(await asyncio.to_thread(_made, path))
        try:
            yield gate
        finally:
            gate.close()
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _made(path: Path) -> int:
    os.mkfifo(path)
    path.chmod(0o644)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _unread(pipe: int) -> int:
    """Bytes that wait in it."""
    found = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, found)
    return found[0]


async def process_end(pid: int) -> None:
    """Wait until the process is gone, told by the kernel."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _inspected(name: str, execution: Exec) -> dict[str, Any] | None:
    """What the engine says of it; None when it has forgotten it. Raises EngineError."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await execution.inspect()
    except FAILURES as error:
        if isinstance(error, DockerError) and error.status in _GONE:
            return None
        raise broken(name, error) from error


@asynccontextmanager
async def _calls(name: str) -> AsyncIterator[None]:
    try:
        yield
    except FAILURES as error:
        raise broken(name, error) from error
