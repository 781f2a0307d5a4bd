"""A whole platform, started with bin/up the way a person would, in a folder and on ports of its own."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support import engines, real

ROOT = Path(__file__).resolve().parents[2]
_NODE = "rt-node-01"
CHILDREN = ("gateway", "deploy", "git", "api", "agent", "runner")


def free_base(count: int = 6) -> int:
    """The first of `count` ports in a row that nobody listens on right now."""
    for base in range(21_000, 29_000, count):
        if all(_bindable(port) for port in range(base, base + count)):
            return base
    pytest.fail("no six free ports in a row")


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@dataclass
class Up:
    """One data folder, and the bin/up process that runs from it."""

    folder: Path
    base: int
    docker_url: str
    ready: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, without anything that would lead to another platform."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("FUNAI_", "DEPLOY_", "API_"))}
        return {
            **kept,
            "DOCKER_HOST": self.docker_url,
            "FUNAI_DATA_DIR": str(self.folder),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "RUNTIME_WATCH_SECONDS": "1",
            **self.settings,
        }

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def page(self) -> str:
        """The demo app's page."""
        return f"{self.ready['gateway']}/runtime/{self.ready['demoApp']}/"

    @property
    def said(self) -> str:
        """Everything on standard error so far."""
        return (self.folder.parent / "stderr").read_text("utf-8", "replace")

    def argv(self, *extra: str) -> list[str]:
        """The command line."""
        return [str(ROOT / "bin" / "up"), "--headless", "--port-base", str(self.base), *extra]

    def start(self, seconds: float = 240) -> None:
        """Until the ready line; the test fails with what was said when none comes."""
        with (self.folder.parent / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(
                self.argv(), env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
            )
        assert self._process.stdout is not None
        watchdog = threading.Timer(seconds, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            pytest.fail(f"bin/up ended with {self._process.wait()} before it was ready:\n{self.said[-4000:]}")
        self.ready = json.loads(line)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None and self._process.stdout is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._process.stdout.close()
        return code

    def child(self, name: str) -> int | None:
        """The process id of a child, None while it is not running."""
        words = "haproxy" if name == "gateway" else f"daemons.{name}"
        for process in psutil.Process(self.pid).children():
            try:
                if any(words in word for word in process.cmdline()):
                    return int(process.pid)
            except psutil.NoSuchProcess:
                continue
        return None

    def answers(self) -> bool:
        """Whether the demo page is served."""
        try:
            return httpx.get(self.page, timeout=5, trust_env=False, verify=False).status_code == 200
        except httpx.HTTPError:
            return False

    def containers(self) -> list[str]:
        """Ids of the demo user's running app containers."""
        argv = ["docker", "-H", self.docker_url, "ps", "-q", "--filter", "name=^rt-u-1-"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()

    def remove_containers(self) -> None:
        """What outlives the platform on purpose, and must not outlive the test."""
        for container in self.containers():
            argv = ["docker", "-H", self.docker_url, "rm", "-f", container]
            subprocess.run(argv, check=False, capture_output=True)
        engines.clear(self.docker_url, _NODE)


def children_are_back(up: Up, name: str, killed: int) -> None:
    """Wait until a killed child runs again, as another process."""
    real.wait_until(lambda: up.child(name) not in (None, killed), f"the restart of {name}")
