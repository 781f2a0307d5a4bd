"""`funai app-shell`: a one-off shell in the container of an app, on this terminal."""

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from console.cli.outcome import FAILED, RETRYABLE, USAGE, Failure, run
from console.cli.releases import AppArgument
from console.live.plain import line as one_line
from protocol.client.deploy import AdminClient
from protocol.client.socket import ClientLine
from protocol.client.transport import Unreachable
from protocol.shell import SHELL_WORD, ShellEnd, ShellEndReason, ShellResize, ShellStart

app = typer.Typer(rich_markup_mode=None)
_PIECE_BYTES: Final = 32 * 1024
#: What a terminal sends for "no more input".
_END_OF_INPUT: Final = b"\x04"
_LEAVING: Final = (signal.SIGTERM, signal.SIGHUP)


@app.command("app-shell", context_settings={"ignore_unknown_options": True})
def app_shell(
    app_id: AppArgument,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Instead of a shell.", show_default=False)
    ] = None,
) -> None:
    """Open a shell in the container of an app that runs, or run a command there; its exit code becomes this one's.

    It sees all that the app does. The audit log keeps who opened it, when and what was run, not what was typed.
    """
    codes: list[int] = []

    async def work(client: AdminClient) -> None:
        start = _start(command or [])
        async with client.app_shell(app_id) as line:
            await line.send(start.to_json().decode())
            with _raw(sys.stdin.fileno()):
                end = await _carried(line)
        codes.append(_outcome(end, app_id))

    run(work, f"there is no shell in app {app_id}")
    raise typer.Exit(codes[0])


def _start(command: list[str]) -> ShellStart:
    size = shutil.get_terminal_size()
    try:
        start = ShellStart(command=tuple(command), cols=size.columns, rows=size.lines)
    except ValidationError as error:
        rule = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise Failure(f"the command cannot be run: it {rule}", USAGE) from None
    try:
        return ShellStart.model_validate({**start.to_data(), "term": os.environ.get("TERM", start.term)})
    except ValidationError:
        return start


def _outcome(end: ShellEnd | None, app_id: str) -> int:
    """What to exit with. Raises Failure with the words of an end that the command itself did not choose."""
    if end is None:
        raise Failure(f"the shell in app {app_id} was cut off: the control plane is gone", RETRYABLE)
    if end.reason is ShellEndReason.EXITED:
        return end.exit_code if end.exit_code is not None else FAILED
    raise Failure(f"the shell in app {app_id} was closed: {one_line(end.text) or end.reason.value}")


async def _carried(line: ClientLine) -> ShellEnd | None:
    """Carry what is typed and written until the end; None when the line broke before it was told."""
    async with _leaving(), asyncio.TaskGroup() as group:
        tasks = [group.create_task(_type(line)), group.create_task(_resize(line))]
        try:
            return await _show(line)
        finally:
            for task in tasks:
                task.cancel()


async def _show(line: ClientLine) -> ShellEnd | None:
    while (frame := await line.receive()) is not None:
        if isinstance(frame, bytes):
            try:
                await asyncio.to_thread(_write, frame)
            except OSError:
                return ShellEnd(reason=ShellEndReason.LEFT, text="nobody takes what it writes any more")
            continue
        try:
            word = SHELL_WORD.validate_json(frame)
        except ValidationError:
            continue
        if isinstance(word, ShellEnd):
            return word
    return None


async def _type(line: ClientLine) -> None:
    """Standard input, until it ends; a terminal's does not."""
    fd = sys.stdin.fileno()
    try:
        while data := await _read(fd):
            await line.send(data)
        await line.send(_END_OF_INPUT)
    except Unreachable:
        return  # Whoever waits for what is written notices it too, and says so.


async def _read(fd: int) -> bytes:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except PermissionError:
        # A regular file is always ready.
        return os.read(fd, _PIECE_BYTES)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    try:
        return os.read(fd, _PIECE_BYTES)
    except OSError:
        return b""  # The terminal hung up.


async def _resize(line: ClientLine) -> None:
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


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


@contextmanager
def _raw(fd: int) -> Iterator[None]:
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
async def _leaving() -> AsyncIterator[None]:
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
        raise Failure(f"the shell was left: {received[0].name}", 128 + received[0]) from None
    finally:
        for number in _LEAVING:
            loop.remove_signal_handler(number)
