"""In-memory twins of what containers write and use. The contract suite runs over it and over the real engine alike."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from daemons.agent.domain.output import Piece
from daemons.agent.domain.usage import Sample
from daemons.kit.engine.errors import EngineError
from protocol.running import OutputStream


@dataclass
class TwinWriting:
    """What a container of the twin wrote, and whether it may write more."""

    pieces: list[Piece] = field(default_factory=list)
    running: bool = True


@dataclass
class TwinAccessLog:
    """Requests by app."""

    kept: dict[str, list[str]] = field(default_factory=dict)

    async def run(self) -> None:
        """Nothing comes but what a test puts there."""
        await asyncio.Event().wait()

    async def tail(self, app_id: str, lines: int) -> str:
        """The newest."""
        return "".join(f"{line}\n" for line in self.kept.get(app_id, [])[-lines:])

    async def remove(self, app_id: str) -> None:
        """All of the app's."""
        self.kept.pop(app_id, None)


@dataclass
class TwinOutputs:
    """Output by container; `broken` is what the engine says instead."""

    written: dict[str, TwinWriting] = field(default_factory=dict)
    given: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: str | None = None
    opened: int = 0
    _now: int = 1_767_323_045_000_000_000
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def run(self, name: str) -> TwinWriting:
        """The container's output; it begins when it is first named."""
        return self.written.setdefault(name, TwinWriting())

    async def write(self, name: str, *lines: str, stream: OutputStream = OutputStream.STDOUT) -> None:
        """The container writes, a line every 100 ms of its clock."""
        for line in lines:
            self._now += 100_000_000
            self.run(name).pieces.append(Piece(stream, self._now, line.encode()))
        async with self._news:
            self._news.notify_all()

    async def stop(self, name: str) -> None:
        """The container stops."""
        self.run(name).running = False
        async with self._news:
            self._news.notify_all()

    @asynccontextmanager
    async def output(self, name: str, *, since: int, tail: int | None, follow: bool) -> AsyncIterator["_TwinOutput"]:
        self.opened += 1
        if self.broken or name not in self.written:
            raise EngineError(self.broken or f"the engine could not read the output of container {name}: none such")
        all_of_it = self.written[name].pieces
        begin = 0 if tail is None else max(0, len(all_of_it) - tail)
        yield _TwinOutput(self, name, begin, since, follow)

    async def variables(self, name: str) -> Mapping[str, str]:
        if self.broken or name not in self.written:
            raise EngineError(self.broken or f"the engine could not read the output of container {name}: none such")
        return self.given.get(name, {})


@dataclass
class _TwinOutput:
    outputs: TwinOutputs
    name: str
    begin: int
    since: int
    follow: bool

    async def read(self, seconds: float) -> Sequence[Piece] | None:
        writing = self.outputs.run(self.name)
        if self.outputs.broken:
            raise EngineError(self.outputs.broken)
        if self.begin == len(writing.pieces):
            if not (self.follow and writing.running):
                return None
            try:
                async with asyncio.timeout(seconds), self.outputs._news:
                    await self.outputs._news.wait()
            except TimeoutError:
                return ()
        found = writing.pieces[self.begin :]
        self.begin = len(writing.pieces)
        return [piece for piece in found if piece.stamp >= self.since]


@dataclass
class TwinUsages:
    """Counters by container; each question is a second later than the one before."""

    samples: dict[str, Sample] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    _at: float = 0

    async def usage(self, name: str) -> Sample | None:
        if (found := self.samples.get(name)) is None:
            return None
        self._at += 1
        now = replace(found, at=self._at, cpu_seconds=(found.cpu_seconds or 0) + 0.5)
        self.samples[name] = now
        return now

    async def disk_bytes(self, name: str) -> int | None:
        return self.disk.get(name)
