"""The operator's own terminal for a shell in a workspace, while the console stands aside.

The shell is `funai workspaces exec` in a process of its own: what it does to the terminal, or fails to undo, is not the
console's. What that process says of a failure comes back as the console's own sentence.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

from textual.app import App, SuspendNotSupported

from console.live.actions.gate import NotSent
from console.live.actions.orders import AttachTerminal
from console.live.plain import line
from console.live.words import t
from console.messages import CommandDone

_OURS: Final = "funai: "


async def attach(app: App[Any], order: AttachTerminal) -> CommandDone:
    """Give the terminal away until the shell is left. Raises NotSent where there is no terminal to give."""
    own = {"FUNAI_CONTEXT": order.plane} if order.plane else {}
    argv = (sys.executable, "-m", "console", "workspaces", "exec", order.user_id)
    try:
        # The console goes on following; only what it would draw waits.
        with app.batch_update(), app.suspend():
            said, code = await _run(argv, {**os.environ, **own})
    except SuspendNotSupported:
        words = t("a browser has no terminal to give: run funai workspaces exec {user} in one", user=order.user_id)
        raise NotSent(f"{words}.") from None
    if code and said:
        return CommandDone(line(said), problem=True)
    return CommandDone(t("Back from the workspace of user {user}.", user=order.user_id))


async def _run(argv: tuple[str, ...], environ: dict[str, str]) -> tuple[str, int]:
    """What it said last of itself, and its exit code. It does not outlive the console."""
    child = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE, env=environ)
    said = ""
    try:
        async for text in _lines(child):
            os.write(2, text)
            found = text.decode(errors="replace").strip()
            said = found.removeprefix(_OURS) if found.startswith(_OURS) else said
        return said, await child.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()


async def _lines(child: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    while child.stderr is not None and (text := await child.stderr.readline()):
        yield text
