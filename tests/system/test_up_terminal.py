"""On a terminal, bin/up shows its progress, opens the console in front, and stops everything when it is left."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.console_terminal import Terminal
from tests.support.platform import ROOT, Up, free_base

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
_LONG = 90


@pytest.fixture
def terminal(real_parts: Path) -> Iterator[Terminal]:
    terminal = Terminal(real_parts / "tmux.sock", 120, 40)
    yield terminal
    terminal.stop()


def test_the_console_opens_in_front_and_takes_the_platform_along(
    terminal: Terminal, docker_url: str, tmp_path: Path
) -> None:
    up = Up(tmp_path / "data", free_base(), docker_url)
    terminal.start_alone([str(ROOT / "bin" / "up"), "--port-base", str(up.base), "--no-demo"], up.environment)
    assert f"127.0.0.1:{up.base + 2}" in terminal.until("1 Jobs", _LONG)
    supervisor = int((up.folder / "supervisor.lock").read_text())
    terminal.press("q")
    terminal.waits(terminal.ended, "the platform's end", _LONG)
    assert terminal.exit_code() == 0
    assert "stopping the platform" in terminal.history()
    assert not psutil.pid_exists(supervisor)
