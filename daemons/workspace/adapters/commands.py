"""Programs in users' containers that end by themselves, or are ended: the port `Commands` over one engine."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiodocker.stream import Stream

from daemons.kit.engine.terminal import FAILURES
from daemons.workspace.adapters.programs import DockerPrograms, process_end
from daemons.workspace.domain.programs import Program
from daemons.workspace.ports.git import Outcome, TooSlow

#: What is told to end first, so that it takes its locks away.
_GRACE_SECONDS: Final = 2.0
#: What was written before the end may still be on its way.
_LAST_SECONDS: Final = 5.0
_ERRORS: Final = 2


@dataclass
class _Written:
    """What came so far: the beginning of the output, the beginning and the end of the errors."""

    most: int
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    whole: bool = True
    count: int = 0

    def take(self, stream: int, data: bytes) -> None:
        kept = self.errors if stream == _ERRORS else self.output
        self.count += len(data)
        kept += data
        if len(kept) > self.most:
            self.whole = False
            # The reason of a failure is what is said last.
            del kept[slice(0, len(kept) - self.most) if stream == _ERRORS else slice(self.most, len(kept))]


class DockerCommands:
    """Runs each in a control group of its own."""

    def __init__(self, programs: DockerPrograms) -> None:
        self._programs = programs

    async def run(
        self, user_id: str, program: Program, *, given: bytes, seconds: float, most_bytes: int, tag: str
    ) -> Outcome:
        """Raises TooSlow, EngineError."""
        written, over = _Written(most_bytes), False
        try:
            async with asyncio.timeout(seconds), self._programs.attached(user_id, program, tag) as found:
                async with _beside(_read(found.stream, written), found.feed(given if program.fed else b"")) as reading:
                    await process_end(found.pid)
                    # What it left running would hold its output open.
                    await self._programs.end(user_id, tag, 0.0)
                    over = True
                    await asyncio.wait({reading}, timeout=_LAST_SECONDS)
                status = await found.running.ended()
        except TimeoutError:
            raise TooSlow(f"it took longer than {seconds:.0f} s and was ended") from None
        finally:
            if not over:
                await self._programs.end(user_id, tag, _GRACE_SECONDS)
        return Outcome(status, bytes(written.output), bytes(written.errors), written.whole, written.count)


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Works that go on meanwhile, and the task of the first; errors of the body stay what they are."""
    tasks = [asyncio.ensure_future(work) for work in works]  # noqa: TID251 - owned here: all are awaited
    try:
        yield tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(stream: Stream, written: _Written) -> None:
    try:
        while (message := await stream.read_out()) is not None:
            written.take(message.stream, message.data)
    except FAILURES:
        # How the program ended tells more than the way in which its output did.
        written.whole = False
