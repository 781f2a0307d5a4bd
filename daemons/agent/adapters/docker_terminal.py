"""Processes on terminals in containers, by the engine's exec calls.

The engine ends nothing when its caller goes away: what is left is found by its mark and killed from inside the
container, as the same user, which needs no rights on this machine; where the image has no shell to do that with, by the
process's number on this machine, if the agent may.
Format: Docker Engine API 1.41, ContainerExec and ExecStart (a terminal's stream is raw).
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.adapters.docker_logs import itself
from daemons.agent.domain.shell import Run, sweep, sweep_others
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.terminal import CALL_SECONDS, DETACH_KEYS, FAILURES, DockerTerminal, broken

logger = logging.getLogger(__name__)


class DockerTerminals:
    """The port `Terminals` over one engine; `locate` tells the engine's name of an instance's container."""

    def __init__(self, docker: Docker, locate: Callable[[str], Awaitable[str]] = itself) -> None:
        self._docker = docker
        self._locate = locate

    @asynccontextmanager
    async def open(self, name: str, run: Run, mark: str) -> AsyncIterator[DockerTerminal]:
        """Entering it raises EngineError."""
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    terminal = await self._begin(await self._locate(name), run, mark, stack)
            except FAILURES as error:
                raise broken(name, error) from error
            await terminal.resize(run.cols, run.rows)
            yield terminal

    async def tidy(self, name: str, spared: str) -> None:
        """Raises EngineError."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                container = await self._locate(name)
                document = await self._docker.containers.container(container).show()
        except FAILURES as error:
            if isinstance(error, DockerError) and error.status == HTTPStatus.NOT_FOUND:
                return
            raise broken(name, error) from error
        # The engine forgets those that have ended: mostly there is none.
        if document.get("ExecIDs"):
            await self._sweep(container, sweep_others(spared))

    async def _begin(self, name: str, run: Run, mark: str, stack: AsyncExitStack) -> DockerTerminal:
        execution = await self._docker.containers.container(name).exec(
            cmd=list(run.command),
            stdin=True,
            tty=True,
            environment=dict(run.variables),
            detach_keys=DETACH_KEYS,
        )
        stream = execution.start()
        terminal = DockerTerminal(name, execution, stream)
        stack.push_async_callback(self._end, name, terminal, mark)
        stack.push_async_callback(stream.close)
        await stream.__aenter__()
        return terminal

    async def _end(self, name: str, terminal: DockerTerminal, mark: str) -> None:
        """Also what the process left running: its jobs in the background carry its mark too."""
        try:
            await self._sweep(name, sweep(mark))
            found = await terminal.inspect()
            if found is not None and found["Running"]:
                await asyncio.to_thread(_kill, int(found.get("Pid") or 0), str(found.get("ContainerID") or ""))
                if await terminal.exit_code() is None:
                    logger.error("a shell's process could not be ended", extra={"container": name})
        except EngineError as error:
            logger.warning("nobody knows whether a shell's process ended", extra={"error": str(error)})

    async def _sweep(self, name: str, command: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                sweeper = await self._docker.containers.container(name).exec(cmd=list(command))
                async with sweeper.start() as stream:
                    while await stream.read_out() is not None:
                        pass
        except FAILURES as error:
            if not (isinstance(error, DockerError) and error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)):
                raise broken(name, error) from error


def _kill(pid: int, container_id: str) -> None:
    """Kill a process of this machine, if it is the container's: numbers are given out again."""
    if pid <= 1 or not container_id:
        return
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if container_id in Path(f"/proc/{pid}/cgroup").read_text("utf-8"):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError as error:
        logger.warning("a shell's process could not be killed", extra={"pid": pid, "error": str(error)})
    finally:
        os.close(handle)
