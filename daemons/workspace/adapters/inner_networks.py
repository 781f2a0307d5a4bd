"""Sockets in the networks of users' containers, made and served from outside of them.

A socket belongs to the network it was made in. So a thread that has stepped into the container's network makes it, and
the node serves it. No process runs in the container for it.
"""

import asyncio
import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

Result = TypeVar("Result")

BACKLOG: Final = 256
PIECE_BYTES: Final = 64 * 1024
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


async def inside(pid: int, make: Callable[[], Result]) -> Result:
    """What is made in the network of the process. A thread of its own steps into it and ends there. Raises OSError, and
    what `make` raises."""
    made: Future[Result] = Future()

    def step_in() -> None:
        try:
            handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _LIBC.setns(handle, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(handle)
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            made.set_exception(error)

    threading.Thread(target=step_in, name="workspace-network", daemon=True).start()
    return await asyncio.wrap_future(made)


async def joined(
    left: tuple[asyncio.StreamReader, asyncio.StreamWriter], right: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Two connections are one until both directions have ended."""
    with contextlib.closing(left[1]), contextlib.closing(right[1]):
        await asyncio.gather(_copy(left[0], right[1]), _copy(right[0], left[1]))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(PIECE_BYTES):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except (ConnectionError, OSError):
        sink.close()
