"""The gateway's access log, as one bounded file of JSON lines per app.

The gateway sends `{appId} {json}` as datagrams, nginx with the head of a syslog message before it; what comes
while nobody listens, or faster than it is taken, is lost rather than waited for. A file that is full becomes
`{appId}.1.jsonl`, in place of the one before, so an app has at most twice the bound.
"""

import asyncio
import logging
import re
import socket
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemons.agent.ports import StateError
from daemons.kit.clock import SystemClock

logger = logging.getLogger(__name__)

#: RFC 3164, without a host.
_HEAD: Final = rb"(?:<[0-9]{1,3}>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} funai: )?"
_LINE: Final = re.compile(_HEAD + rb"([a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?) (\{.*\})")
_WRITE_SECONDS: Final = 0.25
#: Lines that wait to be written; more are lost.
_MOST_LINES: Final = 20_000
_LONGEST_LINE: Final = 8192
_RETRY_SECONDS: Final = 10.0
_SWEEP_SECONDS: Final = 3600.0
_DAY: Final = 86400


class AccessLogs:
    """`FOLDER/access/`; files that nobody wrote to for `kept_days` are removed."""

    def __init__(self, socket_path: Path, folder: Path, file_bytes: int, kept_days: int) -> None:
        self._socket = socket_path
        self._folder = folder / "access"
        self._file_bytes = file_bytes
        self._kept_days = kept_days
        self._problem: str | None = None
        #: What came and is not written yet. Whoever writes or removes has the lock.
        self._lines: list[bytes] = []
        self._receiver: socket.socket | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Take lines for ever; a socket that cannot be made is tried again, because apps are served without it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_for_ever())
            while True:
                try:
                    receiver = await asyncio.to_thread(self._open)
                except OSError as error:
                    self._note(f"the access log's socket {self._socket} cannot be made: {error}")
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                with receiver:
                    await self._take(receiver)

    async def tail(self, app_id: str, lines: int) -> str:
        """The newest lines, oldest first. Raises StateError when they cannot be read."""
        return await asyncio.to_thread(self._tail, app_id, lines)

    async def remove(self, app_id: str) -> None:
        """Both files, and what is not written yet. Raises StateError."""
        async with self._lock:
            if self._receiver is not None:
                _receive(self._receiver, self._lines)
            self._lines[:] = [line for line in self._lines if app_id not in _by_app([line])]
            try:
                await asyncio.to_thread(self._remove, app_id)
            except OSError as error:
                words = f"the access log of app {app_id} cannot be removed: {error.strerror or error}"
                raise StateError(words) from error

    async def _take(self, receiver: socket.socket) -> None:
        """For ever: what comes is taken at once, because the queue of a socket is short, and written now and then."""
        loop = asyncio.get_running_loop()
        self._receiver = receiver
        loop.add_reader(receiver, _receive, receiver, self._lines)
        try:
            while True:
                await asyncio.sleep(_WRITE_SECONDS)
                async with self._lock:
                    await self._write()
        finally:
            loop.remove_reader(receiver)
            self._receiver = None

    async def _write(self) -> None:
        taken, self._lines[:] = _by_app(self._lines), []
        try:
            await asyncio.to_thread(self._append, taken)
            self._note(None)
        except OSError as error:
            self._note(f"access logs cannot be written to {self._folder}: {error.strerror or error}")

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._sweep)
            except OSError as error:
                self._note(f"old access logs cannot be removed from {self._folder}: {error.strerror or error}")
            await asyncio.sleep(_SWEEP_SECONDS)

    def _open(self) -> socket.socket:
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            receiver.bind(str(self._socket))
            self._socket.chmod(0o600)
        except OSError:
            receiver.close()
            raise
        return receiver

    def _append(self, lines: Mapping[str, bytes]) -> None:
        if lines:
            self._folder.mkdir(parents=True, exist_ok=True)
        for app_id, text in lines.items():
            path = self._folder / _names(app_id)[0]
            with path.open("ab") as file:
                file.write(text)
                full = file.tell() >= self._file_bytes
            if full:
                path.replace(self._folder / _names(app_id)[1])

    def _tail(self, app_id: str, lines: int) -> str:
        text = b""
        for name in _names(app_id):
            if text.count(b"\n") >= lines:
                break
            try:
                text = (self._folder / name).read_bytes() + text
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StateError(f"the access log of app {app_id} cannot be read: {error.strerror or error}") from error
        return b"".join(text.splitlines(keepends=True)[-lines:]).decode("utf-8", "replace")

    def _remove(self, app_id: str) -> None:
        for name in _names(app_id):
            (self._folder / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        if not self._folder.is_dir():
            return
        oldest = SystemClock().now().timestamp() - self._kept_days * _DAY
        for path in self._folder.glob("*.jsonl"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("requests are not logged", extra={"error": problem})
        self._problem = problem


class NoAccessLog:
    """For a gateway that keeps its own."""

    async def run(self) -> None:
        """Nothing comes."""
        await asyncio.Event().wait()

    async def tail(self, _app_id: str, _lines: int) -> str:
        """Nothing came."""
        return ""

    async def remove(self, _app_id: str) -> None:
        """Nothing is kept."""


def _names(app_id: str) -> tuple[str, str]:
    """The file that is written, and the one before."""
    return f"{app_id}.jsonl", f"{app_id}.1.jsonl"


def _receive(receiver: socket.socket, lines: list[bytes]) -> None:
    while True:
        try:
            line = receiver.recv(_LONGEST_LINE)
        except BlockingIOError:
            return
        if len(lines) < _MOST_LINES:
            lines.append(line)


def _by_app(lines: list[bytes]) -> Mapping[str, bytes]:
    texts: defaultdict[str, list[bytes]] = defaultdict(list)
    for line in lines:
        if found := _LINE.fullmatch(line.strip()):
            texts[found[1].decode()].append(found[2] + b"\n")
    return {app_id: b"".join(parts) for app_id, parts in texts.items()}
