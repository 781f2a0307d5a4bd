"""The threads that touch users' files, as the users themselves.

The node runs as root; these threads do not: each takes the workspaces' user and group for everything about files, no
further groups and no capability. The kernel keeps them from what the user could not do, counts what they write as the
user's, and leaves nothing of root's behind. Credentials are a thread's own on Linux; libc would change them for the
whole process, so the calls go past it.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar

_THREADS: Final = 8
_CAPABILITY_VERSION_3: Final = 0x20080522
#: setgroups, capset: by machine, as the kernel's tables have them.
_NUMBERS: Final = {"x86_64": (116, 126), "aarch64": (159, 91)}

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

Given = ParamSpec("Given")
Result = TypeVar("Result")


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class Workers:
    """A bounded number of threads. `uid` is also the group's; None leaves them as the node is."""

    def __init__(self, uid: int | None, threads: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, "files", initializer=_become, initargs=(uid,))

    async def run(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """What the work returns. A cancelled caller waits for its end: it holds descriptors that the caller closes."""
        return await self._awaited(lambda: work(*given, **named), None)

    async def open(self, work: Callable[[], Result], close: Callable[[Result], None]) -> Result:
        """What the work opens; closed again when nobody waits for it any more."""
        return await self._awaited(work, close)

    async def _awaited(self, work: Callable[[], Result], close: Callable[[Result], None] | None) -> Result:
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({future})
            if not future.cancelled() and future.exception() is None and close is not None:
                close(future.result())
            raise

    def close(self) -> None:
        """No more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _become(uid: int | None) -> None:
    """Raises OSError, and then no work is taken at all."""
    if uid is None or os.geteuid() != 0:
        return
    setgroups, capset = _NUMBERS[os.uname().machine]
    _must(_syscall(setgroups, ctypes.c_long(0), None))
    for change in (_libc.setfsgid, _libc.setfsuid):
        change(uid)
        if change(uid) != uid:
            raise PermissionError(f"files cannot be handled as user {uid}")
    nothing = (_Data * 2)()
    _must(_syscall(capset, ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(nothing)))


def _must(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
