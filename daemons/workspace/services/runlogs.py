"""Logs of runs, by the byte: read at once, or followed while the run goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final, Self

from daemons.workspace.domain.runs import Run, read_log_name
from daemons.workspace.ports import HomeError
from daemons.workspace.ports.runs import LogPart, RunLogs
from daemons.workspace.services.runs import Runs

logger = logging.getLogger(__name__)

_PIECE_BYTES: Final = 64 * 1024
_WHOLE_BYTES: Final = 8 * 1024 * 1024
_LOOK_SECONDS: Final = 0.1
_BEAT_LOOKS: Final = 200


class NoLog(Exception):
    """No run of this kind has left a log."""


class LogKind(StrEnum):
    """What logs are asked for by; previews are development servers, too."""

    BUILD = "BUILD"
    INSTALL = "INSTALL"
    PREVIEW = "PREVIEW"

    @classmethod
    def of(cls, text: str) -> Self:
        """START and DEV are previews."""
        return cls(text if text in ("BUILD", "INSTALL") else "PREVIEW")

    @property
    def operations(self) -> tuple[str, ...]:
        """What the names of such logs have."""
        return ("dev", "start") if self is LogKind.PREVIEW else (self.value.lower(),)


class RunLogReader:
    """Reads the logs of one node's runs."""

    def __init__(self, logs: RunLogs, runs: Runs) -> None:
        self._logs = logs
        self._runs = runs

    async def text(self, user_id: str, app_id: str, kind: LogKind, run: Run | None, most: int) -> str:
        """The last `most` bytes of the newest log (0: all, up to 8 MiB). Raises NoLog, HomeError."""
        name = await self._newest(user_id, app_id, kind)
        part = await self._logs.read(user_id, name, -(most or _WHOLE_BYTES), most or _WHOLE_BYTES)
        if part is None:
            raise NoLog("the log is gone")
        return part.data.decode("utf-8", "replace")

    async def follow(self, user_id: str, app_id: str, kind: LogKind, offset: int) -> AsyncIterator[LogPart]:
        """Pieces from the offset on until the run's end; an empty one when nothing came for a while. Raises NoLog,
        HomeError."""
        name, quiet = await self._newest(user_id, app_id, kind), 0
        while True:
            run = self._runs.find(user_id)
            going = run is not None and run.log == name and self._runs.alive(run)
            part = await self._logs.read(user_id, name, offset, _PIECE_BYTES)
            if part is None:
                return
            if part.data:
                yield part
                offset, quiet = part.offset + len(part.data), 0
                continue
            if not going:
                return
            quiet += 1
            if quiet % _BEAT_LOOKS == 0:
                yield part
            await asyncio.sleep(_LOOK_SECONDS)

    async def clear(self, user_id: str, app_id: str, kind: LogKind) -> int:
        """The app's logs of the kind are empty; how many there were. Raises HomeError."""
        found = await self._of(user_id, app_id, kind)
        for name in found:
            await self._logs.empty(user_id, name)
        return len(found)

    async def bound(self, most: int) -> None:
        """No log of a program that runs grows without end. A disk that fails is noted, and tried again."""
        for run in self._runs.living():
            try:
                await self._logs.bound(run.user_id, run.log, most)
            except HomeError as error:
                logger.warning("a log could not be bounded", extra={"user_id": run.user_id, "error": str(error)})

    async def _of(self, user_id: str, app_id: str, kind: LogKind) -> list[str]:
        read = {name: read_log_name(name) for name in await self._logs.names(user_id)}
        return [name for name, said in read.items() if said and said.app_id == app_id and said.kind in kind.operations]

    async def _newest(self, user_id: str, app_id: str, kind: LogKind) -> str:
        found = await self._of(user_id, app_id, kind)
        if not found:
            raise NoLog(f"no {kind.value.lower()} of this app has left a log")
        return max(found, key=_stamp)


def _stamp(name: str) -> int:
    said = read_log_name(name)
    return said.at_ms if said else 0
