"""The console in a real terminal (tmux) against the real control plane: the keys, the bytes, the lost line."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.jobs import JobStatus
from tests.console.plane_server import Served, seed, served
from tests.support.console_terminal import Terminal

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]


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

    terminal.press("1")
    terminal.until("▸")
    terminal.press("End", "Enter")
    terminal.until("cloning")
    assert "\x1b" not in terminal.shown()
    terminal.press("Escape", "Escape")
    terminal.waits(lambda: "cloning" not in terminal.shown(), "the way back to the list")
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
    terminal.press("o")
    terminal.answer("Cordon node rt-node-01?", "y")
    terminal.until("DISABLED")
    terminal.press("q")
    terminal.waits(terminal.ended, "the console's end")
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
    terminal.waits(terminal.ended, "the console's end")
