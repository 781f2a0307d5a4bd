"""Something that runs in a user's workspace, on this terminal or between these streams."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from pydantic import ValidationError

from console.cli.outcome import FAILED, RETRYABLE, USAGE, Failure
from console.cli.terminal import leaving, raw, read_piece, resized, write_out
from console.live.plain import line as one_line
from protocol.client.socket import ClientLine
from protocol.client.transport import Unreachable
from protocol.client.workspace_operators import WorkspaceCalls
from protocol.shell import SHELL_WORD, ShellEnd, ShellEndReason
from protocol.workspace_operators import ExecEof, ExecStart

#: Ctrl-], as of telnet: leaves, whatever runs.
_LEAVE: Final = b"\x1d"
_ERRORS: Final = 2
#: Takes the bytes of a stream (1 output, 2 errors).
Sink = Callable[[int, bytes], Awaitable[None]]


async def attached(calls: WorkspaceCalls, user_id: str, app_id: str | None, command: tuple[str, ...]) -> int:
    """Run it until it ends; its exit code. Raises Failure, ClientError."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    async with calls.workspace_exec(user_id, app_id) as line:
        await line.send(_start(command, terminal=terminal).to_json().decode())
        if not terminal:
            async with _meanwhile(_given(line)):
                end = await shown(line, to_streams)
        else:
            sys.stderr.write(f"workspace of user {user_id}: Ctrl-] leaves it\n")
            sys.stderr.flush()
            with raw(sys.stdin.fileno()):
                end = await _on_terminal(line)
            if end.reason is ShellEndReason.LEFT:
                sys.stderr.write("\nfunai: left; what ran there was ended\n")
                return 0
    return code_of_end(end, user_id)


def code_of_end(end: ShellEnd | None, user_id: str) -> int:
    """What to exit with. Raises Failure with the words of an end that the program itself did not choose."""
    if end is None:
        raise Failure(f"the line to the workspace of user {user_id} was cut off; try it again", RETRYABLE)
    if end.reason is ShellEndReason.EXITED:
        return end.exit_code if end.exit_code is not None else FAILED
    raise Failure(f"what ran in the workspace of user {user_id} was ended: {one_line(end.text) or end.reason.value}")


async def shown(line: ClientLine, sink: Sink) -> ShellEnd | None:
    """Hand on what comes of streams until the end; None when the line broke before it was told."""
    while (frame := await line.receive()) is not None:
        if isinstance(frame, bytes):
            if frame:
                await sink(frame[0], frame[1:])
            continue
        if (end := _end_of(frame)) is not None:
            return end
    return None


async def to_streams(stream: int, data: bytes) -> None:
    """To standard output or errors of this process."""
    await asyncio.to_thread(write_out, data, (sys.stderr if stream == _ERRORS else sys.stdout).fileno())


def _start(command: tuple[str, ...], *, terminal: bool) -> ExecStart:
    size = shutil.get_terminal_size()
    try:
        start = ExecStart(command=command, cols=size.columns, rows=size.lines, terminal=terminal)
    except ValidationError as error:
        rule = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise Failure(f"the command cannot be run: it {rule}", USAGE) from None
    try:
        return ExecStart.model_validate({**start.to_data(), "term": os.environ.get("TERM", start.term)})
    except ValidationError:
        return start


async def _on_terminal(line: ClientLine) -> ShellEnd:
    left = asyncio.Event()

    async def gone() -> ShellEnd:
        await left.wait()
        return ShellEnd(reason=ShellEndReason.LEFT)

    async def written() -> ShellEnd:
        end = await _terminal_shown(line)
        return end or ShellEnd(reason=ShellEndReason.LOST, text="the line was cut off")

    async with leaving("the workspace"), _meanwhile(_typed(line, left)), _meanwhile(resized(line)):
        tasks = [asyncio.ensure_future(work()) for work in (written, gone)]  # noqa: TID251 - both are awaited below
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _terminal_shown(line: ClientLine) -> ShellEnd | None:
    while (frame := await line.receive()) is not None:
        if isinstance(frame, bytes):
            try:
                await asyncio.to_thread(write_out, frame, sys.stdout.fileno())
            except OSError:
                return ShellEnd(reason=ShellEndReason.FAILED, text="nobody takes what it writes any more")
        elif (end := _end_of(frame)) is not None:
            return end
    return None


async def _typed(line: ClientLine, left: asyncio.Event) -> None:
    try:
        while data := await read_piece(sys.stdin.fileno()):
            before, leave, _ = data.partition(_LEAVE)
            if before:
                await line.send(before)
            if leave:
                break
    except Unreachable:
        return  # Whoever waits for what is written notices it too, and says so.
    left.set()


async def _given(line: ClientLine) -> None:
    """Standard input, and its end."""
    try:
        while data := await read_piece(sys.stdin.fileno()):
            await line.send(data)
        await line.send(ExecEof().to_json().decode())
    except Unreachable:
        return


def _end_of(frame: str) -> ShellEnd | None:
    try:
        word = SHELL_WORD.validate_json(frame)
    except ValidationError:
        return None
    return word if isinstance(word, ShellEnd) else None


@asynccontextmanager
async def _meanwhile(work: Awaitable[None]) -> AsyncIterator[None]:
    """Work that goes on beside the block and ends with it."""
    task = asyncio.ensure_future(work)  # noqa: TID251 - awaited below
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
