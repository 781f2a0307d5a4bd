"""On a terminal, bin/up shows its progress, opens the console in front, and stops everything when it is left."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import real
from tests.support.platform import ROOT, Up, free_base

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(180)]


class Terminal:
    """A tmux session of 120 x 40 cells with one program in it."""

    def __init__(self, name: str) -> None:
        self._tmux = [real.program("tmux", "tmux"), "-L", name]

    def open(self, command: str, environment: dict[str, str]) -> None:
        argv = [*self._tmux, "new-session", "-d", "-x", "120", "-y", "40", f"{command}; echo EXIT=$?; sleep 120"]
        subprocess.run(argv, env=environment, check=True)

    def text(self) -> str:
        argv = [*self._tmux, "capture-pane", "-p", "-S", "-500"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def press(self, key: str) -> None:
        subprocess.run([*self._tmux, "send-keys", key], check=True)

    def shows(self, text: str, seconds: float = 90) -> None:
        real.wait_until(lambda: text in self.text(), f"{text!r} on the terminal", seconds)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(f"funai-{os.getpid()}")
    yield terminal
    terminal.close()


def test_the_console_opens_in_front_and_takes_the_platform_along(
    terminal: Terminal, docker_url: str, tmp_path: Path
) -> None:
    up = Up(tmp_path / "data", free_base(), docker_url)
    argv = [str(ROOT / "bin" / "up"), "--port-base", str(up.base), "--no-demo"]
    terminal.open(shlex.join(argv), {**up.environment, "TERM": "xterm-256color"})
    terminal.shows("1 Jobs")
    assert f"127.0.0.1:{up.base + 2}" in terminal.text()
    supervisor = int((up.folder / "supervisor.lock").read_text())
    terminal.press("q")
    terminal.shows("EXIT=0")
    assert "stopping the platform" in terminal.text()
    assert not psutil.pid_exists(supervisor)
