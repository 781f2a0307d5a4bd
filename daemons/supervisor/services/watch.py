"""Keeps one child running: starts it, waits for its end, starts it again with back-off, until told to stop."""

import asyncio
import logging
from typing import Final

from daemons.supervisor.domain.backoff import EX_CONFIG, Backoff
from daemons.supervisor.ports import Child, Process, Processes, Ticker

logger = logging.getLogger(__name__)
STOP_SECONDS: Final = 10.0


class Watch:
    """One child and its restarts."""

    def __init__(self, child: Child, processes: Processes, ticker: Ticker) -> None:
        self.child = child
        self.last_exit: int | None = None
        self._processes = processes
        self._ticker = ticker
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop` is called."""
        backoff = Backoff()
        while not self._stopping.is_set():
            started = self._ticker.seconds()
            code = await self._once()
            if self._stopping.is_set():
                return
            self.last_exit = code
            backoff, wait = backoff.after(up_seconds=self._ticker.seconds() - started, exit_code=code)
            logger.warning(_ended(self.child.name, code, wait), extra={"child": self.child.name, "exit_code": code})
            await self._rest(wait)

    async def stop(self) -> None:
        """End the child: politely, and after 10 s without mercy. It is not started again."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            logger.warning("%s did not stop within %g s and is killed", self.child.name, STOP_SECONDS)
            process.kill()
            await process.wait()

    async def _once(self) -> int:
        try:
            self._process = await self._processes.start(self.child)
        except OSError as error:
            logger.error("%s cannot be started: %s", self.child.name, error)  # noqa: TRY400 - the message says it all
            return 127
        if self._stopping.is_set():
            self._process.kill()
        code = await self._process.wait()
        self._process.kill()  # what it may have left in its process group
        self._process = None
        return code

    async def _rest(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            pause = group.create_task(self._ticker.pause(seconds))
            stop = group.create_task(self._stopping.wait())
            await asyncio.wait((pause, stop), return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            stop.cancel()


def _ended(name: str, code: int, wait: float) -> str:
    if code == EX_CONFIG:
        return f"{name} refuses its configuration (see its lines above); it is tried again in {wait:g} s"
    how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
    return f"{name} {how}; it is started again in {wait:g} s"
