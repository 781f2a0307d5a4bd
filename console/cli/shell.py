"""`funai app-shell`: a one-off shell in the container of an app, on this terminal."""

import asyncio
import os
import shutil
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from console.cli.outcome import FAILED, RETRYABLE, USAGE, Failure, run
from console.cli.releases import AppArgument
from console.cli.terminal import END_OF_INPUT, leaving, raw, read_piece, resized, write_out
from console.live.plain import line as one_line
from protocol.client.deploy import AdminClient
from protocol.client.socket import ClientLine
from protocol.client.transport import Unreachable
from protocol.shell import SHELL_WORD, ShellEnd, ShellEndReason, ShellStart

app = typer.Typer(rich_markup_mode=None)


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
            with raw(sys.stdin.fileno()):
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
    async with leaving("the shell"), asyncio.TaskGroup() as group:
        tasks = [group.create_task(_type(line)), group.create_task(resized(line))]
        try:
            return await _show(line)
        finally:
            for task in tasks:
                task.cancel()


async def _show(line: ClientLine) -> ShellEnd | None:
    while (frame := await line.receive()) is not None:
        if isinstance(frame, bytes):
            try:
                await asyncio.to_thread(write_out, frame, sys.stdout.fileno())
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
        while data := await read_piece(fd):
            await line.send(data)
        await line.send(END_OF_INPUT)
    except Unreachable:
        return  # Whoever waits for what is written notices it too, and says so.
