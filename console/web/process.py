"""One console as a process: what it draws goes to whichever browser looks, and nowhere while none does.

Speaks with Textual's web driver (`textual.drivers.web_driver`): a line `__GANGLION__`, then packets of a letter (D for
what a terminal would get, M for JSON), a length of four bytes and the payload, both ways.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

logger = logging.getLogger(__name__)
_GREETING: Final = b"__GANGLION__\n"
_MOST_LINES: Final = 10
_MOST_BYTES: Final = 16 * 1024 * 1024
_LEAVE_SECONDS: Final = 5.0
#: What the driver told the terminal that it wrote to first: other screen, mouse, no cursor, pasting in brackets.
_MODES: Final = b"\x1b[?1049h\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h\x1b[?25l\x1b[?2004h"
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TERM_PROGRAM": "textual",
}
Send = Callable[[bytes], Awaitable[None]]


class ConsoleProcess:
    """Started once, looked at by one browser at a time."""

    def __init__(self, arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._send: Send | None = None
        self.ended = False

    async def start(self, width: int, height: int) -> None:
        """Start it at that size, in columns and rows. Raises OSError."""
        size = {"COLUMNS": str(width), "ROWS": str(height)}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "console",
            "console",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT, **self._environ, **size},
        )

    async def show(self, send: Send, width: int, height: int) -> None:
        """From now on this browser gets what is drawn, beginning with everything."""
        await send(_MODES)
        self._send = send
        # A size that differs makes the console draw every cell; the right one follows at once.
        await self.resize(width, max(1, height - 1))
        await self.resize(width, height)

    def watched_first(self, send: Send) -> None:
        """The browser that it was started for gets everything from its first byte."""
        self._send = send

    def hide(self) -> None:
        """Nobody looks."""
        self._send = None

    async def relay(self) -> None:
        """Hand on what it draws until it ends."""
        reader = self._running().stdout
        try:
            if reader is not None and await _greeted(reader):
                await self._packets(reader)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            logger.debug("A console in a browser closed its output.", extra={"problem": str(error)})
        finally:
            self.ended = True

    async def type(self, text: str) -> None:
        """What was typed."""
        await self._write(b"D", text.encode())

    async def resize(self, width: int, height: int) -> None:
        """The browser's terminal has another size."""
        await self._tell({"type": "resize", "width": width, "height": height})

    async def focus(self, *, on: bool) -> None:
        """The browser's window came to the front, or went."""
        await self._tell({"type": "focus" if on else "blur"})

    async def leave(self) -> None:
        """Ask it to end, and see to it that it does."""
        process = self._running()
        await self._tell({"type": "quit"})
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _packets(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, size = await reader.readexactly(1), int.from_bytes(await reader.readexactly(4), "big")
            if size > _MOST_BYTES:
                logger.warning("A console in a browser sent a packet that is too large.", extra={"bytes": size})
                return
            payload = await reader.readexactly(size)
            if kind == b"D":
                await self._draw(payload)
            elif kind == b"M" and json.loads(payload).get("type") == "exit":
                return

    async def _draw(self, payload: bytes) -> None:
        if self._send is None:
            return
        try:
            await self._send(payload)
        except ConnectionError:
            self._send = None

    async def _tell(self, message: Mapping[str, object]) -> None:
        await self._write(b"M", json.dumps(message).encode())

    async def _write(self, kind: bytes, payload: bytes) -> None:
        stdin = self._running().stdin
        if stdin is None or self.ended:
            return
        with contextlib.suppress(ConnectionError):
            stdin.write(kind + len(payload).to_bytes(4, "big") + payload)
            await stdin.drain()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the console was not started")
        return self._process


async def _greeted(reader: asyncio.StreamReader) -> bool:
    for _ in range(_MOST_LINES):
        line = await reader.readline()
        if line == _GREETING:
            return True
        if not line:
            break
    return False
