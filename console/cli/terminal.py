"""The operator's own terminal, while a program elsewhere has it: raw keys, sizes, and how it is left."""

import asyncio
import os
import shutil
import signal
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from console.cli.outcome import Failure
from protocol.client.socket import ClientLine
from protocol.client.transport import Unreachable
from protocol.shell import ShellResize

PIECE_BYTES: Final = 32 * 1024
#: What a terminal sends for "no more input".
END_OF_INPUT: Final = b"\x04"
_LEAVING: Final = (signal.SIGTERM, signal.SIGHUP)


async def read_piece(fd: int) -> bytes:
    """What comes next; empty at the end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except PermissionError:
        # A regular file is always ready.
        return os.read(fd, PIECE_BYTES)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    try:
        return os.read(fd, PIECE_BYTES)
    except OSError:
        return b""  # The terminal hung up.


async def resized(line: ClientLine) -> None:
    """Tell of every new size of the terminal."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, changed.set)
    try:
        while True:
            await changed.wait()
            changed.clear()
            size = shutil.get_terminal_size()
            await line.send(ShellResize(cols=size.columns, rows=size.lines).to_json().decode())
    except Unreachable:
        return
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


def write_out(data: bytes, fd: int) -> None:
    """All of it, however slowly it is taken. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """Keys go through as bytes, Ctrl-C too, for the duration of the block; nothing to do where there is no terminal."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@asynccontextmanager
async def leaving(what: str) -> AsyncIterator[None]:
    """A signal that ends us lets the terminal be set back first. Raises Failure then."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def leave(number: signal.Signals) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for number in _LEAVING:
        loop.add_signal_handler(number, leave, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Failure(f"{what} was left: {received[0].name}", 128 + received[0]) from None
    finally:
        for number in _LEAVING:
            loop.remove_signal_handler(number)
