"""One git process between two ends of an SSH channel, pumped by hand.

Every direction moves one block at a time and waits until it is taken, so a slow client costs a block of memory. The
exit status is sent after the last byte of output. However the transfer ends, no process of its group outlives it.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final, Protocol

import asyncssh

_BLOCK_BYTES: Final = 65536
_GONE: Final = (OSError, asyncssh.Error, asyncssh.SignalReceived, asyncssh.BreakReceived)


class Channel(Protocol):
    """The part of an SSH process that a transfer uses."""

    @property
    def stdin(self) -> asyncssh.SSHReader[bytes]: ...

    @property
    def stdout(self) -> asyncssh.SSHWriter[bytes]: ...

    @property
    def stderr(self) -> asyncssh.SSHWriter[bytes]: ...

    async def wait_closed(self) -> None: ...


async def transfer(channel: Channel, argv: Sequence[str], environment: dict[str, str], *, seconds: float) -> int:
    """Run the process until it ends and answer its exit code. Raises TimeoutError after `seconds`."""
    child = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            aside = (group.create_task(_feed(channel, child)), group.create_task(_end_with(channel, child)))
            outputs = (
                group.create_task(_drain(child, child.stdout, channel.stdout)),
                group.create_task(_drain(child, child.stderr, channel.stderr)),
            )
            await asyncio.wait(outputs)
            code = await child.wait()
            for task in aside:
                task.cancel()
        return code
    finally:
        _kill(child)
        await child.wait()


async def _feed(channel: Channel, child: asyncio.subprocess.Process) -> None:
    """Client to process, until the client ends its side or the process stops reading."""
    if child.stdin is None:
        return
    try:
        while block := await channel.stdin.read(_BLOCK_BYTES):
            child.stdin.write(block)
            await child.stdin.drain()
    except asyncssh.SignalReceived:
        _kill(child)
    except _GONE:
        return
    finally:
        child.stdin.close()


async def _drain(
    child: asyncio.subprocess.Process, source: asyncio.StreamReader | None, target: asyncssh.SSHWriter[bytes]
) -> None:
    """Process to client; a client that is gone ends the process."""
    try:
        while source is not None and (block := await source.read(_BLOCK_BYTES)):
            target.write(block)
            await target.drain()
    except _GONE:
        _kill(child)


async def _end_with(channel: Channel, child: asyncio.subprocess.Process) -> None:
    await channel.wait_closed()
    _kill(child)


def _kill(child: asyncio.subprocess.Process) -> None:
    """End the process and whatever it started: its group has its number, because it leads a session of its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
