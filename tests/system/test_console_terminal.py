"""The console in a real terminal (tmux) against the real control plane: the keys, the bytes, the lost line."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.jobs import JobStatus
from tests.console.plane_server import Served, seed, served
from tests.support.real import program, wait_until

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """One tmux server of its own with one window."""

    def __init__(self, socket: Path, columns: int, rows: int) -> None:
        self._tmux = [program("tmux", "tmux"), "-S", str(socket), "-f", "/dev/null"]
        self._size = ["-x", str(columns), "-y", str(rows)]

    def start(self, argv: list[str], environ: dict[str, str]) -> None:
        assignments = [f"{key}={value}" for key, value in environ.items()]
        self._run(
            "new-session", "-d", *self._size, "env", *assignments, *argv, ";", "set", "-g", "remain-on-exit", "on"
        )
        self._run("set", "-s", "escape-time", "0")

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def shown(self) -> str:
        return self._run("capture-pane", "-p")

    def answer(self, question: str, key: str) -> None:
        """Press the key until the question is gone: one pressed while it is still opening is not heard by it."""

        def gone() -> bool:
            if question not in self.shown():
                return True
            self.press(key)
            return False

        self.until(question)
        wait_until(gone, f"the answer to {question!r}")

    def ended(self) -> bool:
        return self._run("list-panes", "-F", "#{pane_dead}").strip() == "1"

    def until(self, text: str) -> str:
        wait_until(lambda: text in self.shown(), f"{text!r} on the screen")
        return self.shown()

    def stop(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, check=True, env={**os.environ, "LANG": "C.UTF-8"}
        )
        return done.stdout.decode()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        yield plane


@pytest.fixture
def terminal(plane: Served, real_parts: Path) -> Iterator[Terminal]:
    terminal = Terminal(real_parts / "tmux.sock", 80, 24)
    environ = {**plane.environ, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    terminal.start([sys.executable, "-m", "console"], environ)
    try:
        yield terminal
    finally:
        terminal.stop()


async def status(plane: Served, job_id: str) -> JobStatus:
    admin = plane.admin()
    async with admin.transport:
        return (await admin.get(job_id)).status


def test_an_operator_at_a_terminal(plane: Served, terminal: Terminal) -> None:
    terminal.until("● live")
    ids = asyncio.run(seed(plane))
    screen = terminal.until("build_failed")
    assert "▶ RUNNING" in screen and "20001" in screen

    terminal.press("End", "Enter")
    terminal.until("cloning")
    assert "\x1b" not in terminal.shown()
    terminal.press("l")
    wait_until(lambda: "cloning" not in terminal.shown(), "the log closing")
    terminal.press("Home")
    terminal.until(f"▸ ○ PENDING    {ids['20003'][:8]}")

    terminal.press("c")
    terminal.answer("Keep it", "Enter")
    assert asyncio.run(status(plane, ids["20003"])) is JobStatus.PENDING
    terminal.press("c")
    terminal.answer("Keep it", "y")
    terminal.until("is CANCELLED")
    assert asyncio.run(status(plane, ids["20003"])) is JobStatus.CANCELLED

    terminal.press("2")
    terminal.until("███│██│")
    terminal.press("d")
    terminal.answer("Drain node rt-node-01?", "y")
    terminal.until("DISABLED")
    terminal.press("q")
    wait_until(terminal.ended, "the console's end")
    assert "Traceback" not in terminal.shown()


@pytest.mark.slow
def test_the_control_plane_goes_and_the_console_stays(plane: Served, terminal: Terminal) -> None:
    terminal.until("● live")
    plane.stop()
    terminal.until("reconnecting")
    terminal.until("STALE")
    assert not terminal.ended()
    terminal.press("c", "n")
    assert "Deploy an app" not in terminal.shown()
    terminal.press("q")
    wait_until(terminal.ended, "the console's end")
