"""`funai app-shell` on a real pseudo-terminal, into a real container, through control plane and agent."""

import asyncio
import fcntl
import os
import pty
import secrets
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import orjson
import pytest
from aiodocker import Docker

from daemons.agent.adapters.docker_terminal import DockerTerminals
from daemons.agent.domain.shell import Run
from daemons.agent.ports import Terminal
from tests.console.plane_server import AGENT, Served, served
from tests.console.test_app_logs import place
from tests.console.test_one_shot import clean, funai
from tests.support.agent_served import agent_served
from tests.support.real import wait_until
from tests.support.runtime_node import docker

pytestmark = pytest.mark.real
_NAME = f"applogs-{secrets.token_hex(3)}"


class InOne:
    """Terminals in the one real container, whatever the agent calls it."""

    def __init__(self, docker: Docker) -> None:
        self._terminals = DockerTerminals(docker)

    def open(self, name: str, run: Run, mark: str) -> AbstractAsyncContextManager[Terminal]:
        return self._terminals.open(_NAME, run, mark)

    async def tidy(self, name: str, spared: str) -> None:
        await self._terminals.tidy(_NAME, spared)


class Screen:
    """The program on a pseudo-terminal of its own."""

    def __init__(self, plane: Served, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(31, 97)
        self.before = termios.tcgetattr(slave)
        environ = clean(plane.environ) | {"TERM": "xterm"}
        for name in ("COLUMNS", "LINES"):
            environ.pop(name, None)
        # Only who is at home on a terminal is told of its new size.
        argv = ["setsid", "--ctty", sys.executable, "-m", "console", "app-shell", "20001", *words]
        self.program = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd="/")
        self.slave = slave
        self.seen = b""

    def resize(self, rows: int, cols: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def until(self, word: bytes) -> None:
        """Returns once the word was shown; what was shown up to it is forgotten."""
        deadline = time.monotonic() + 90
        while word not in self.seen:
            assert time.monotonic() < deadline, f"{word!r} is not in {self.seen!r}"
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += os.read(self.master, 65536)
        self.seen = self.seen.partition(word)[2]

    def close(self) -> None:
        self.program.kill()
        self.program.wait(90)
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def node(docker_url: str) -> Iterator[str]:
    """An agent in a thread of its own, with app 20001 on it; its address."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    found: list[str] = []

    async def serve() -> None:
        async with Docker(url=docker_url) as client, agent_served(AGENT, InOne(client)) as agent:
            await agent.deploy("20001", "1", 1)
            found.append(agent.url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(90)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="module")
def plane(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--init")
    docker(docker_url, "run", "-d", "--name", _NAME, *options, "busybox:1.36", "sleep", "600")
    folder: Path = tmp_path_factory.mktemp("shell")
    try:
        with served(folder) as plane, node(docker_url) as url:
            asyncio.run(place(plane, url))
            yield plane
    finally:
        docker(docker_url, "rm", "-f", _NAME)


@pytest.fixture
def screen(plane: Served) -> Iterator[Screen]:
    screen = Screen(plane)
    try:
        yield screen
    finally:
        screen.close()


def left(docker_url: str) -> bool:
    """Whether anything of a shell runs in the container."""
    script = "grep -lz ^FUNAI_SHELL= /proc/[0-9]*/environ 2>/dev/null | wc -l"
    return int(docker(docker_url, "exec", _NAME, "sh", "-c", script)) > 0


def runs(docker_url: str, program: str) -> bool:
    """Whether it runs in the container."""
    script = f"grep -lxz {program} /proc/[0-9]*/cmdline 2>/dev/null | wc -l"
    return int(docker(docker_url, "exec", _NAME, "sh", "-c", script)) > 0


def test_a_terminal_is_carried_whole(plane: Served, screen: Screen, docker_url: str) -> None:
    screen.until(b"# ")
    screen.type(b"stty size; echo size $?\r")
    screen.until(b"31 97\r\n")
    screen.resize(40, 120)
    screen.until(b"# ")
    # The shell hears of a new size when it is told, which is not when we tell the terminal.
    screen.type(b"until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo now; sleep 300\r")
    screen.until(b"now\r\n")
    # A key that comes before its program does interrupts nothing.
    wait_until(lambda: runs(docker_url, "300"), "the long program")
    screen.type(b"\x03")
    screen.until(b"# ")
    screen.type(b"exit 3\r")
    assert screen.program.wait(90) == 3
    assert termios.tcgetattr(screen.slave) == screen.before, "the terminal is as it was"
    wait_until(lambda: not left(docker_url), "its end in the container")
    entries = orjson.loads(funai(plane.environ, "audit", "--kind", "shell", "-o", "json").stdout)
    assert [entry["change"] for entry in entries[:2]] == ["closed", "opened"]
    assert entries[0]["after"]["exitCode"] == 3 and entries[0]["sourceAddress"] == "127.0.0.1"
    assert "sleep 300" not in str(entries)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_client_that_is_killed_leaves_nothing_behind(screen: Screen, docker_url: str, number: signal.Signals) -> None:
    screen.until(b"# ")
    screen.type(b"sleep 301 &\rsleep 302\r")
    screen.until(b"sleep 302\r\n")
    assert left(docker_url)
    os.kill(screen.program.pid, number)
    if number is not signal.SIGKILL:
        assert screen.program.wait(90) == 128 + number
        assert termios.tcgetattr(screen.slave) == screen.before, "the terminal is as it was"
    wait_until(lambda: not left(docker_url), "the end of what it had begun")


def test_a_command_runs_without_a_terminal_too(plane: Served, docker_url: str) -> None:
    argv = [sys.executable, "-m", "console", "app-shell", "20001", "--", "sh", "-c", "read a; echo got $a; exit 5"]
    done = subprocess.run(
        argv, input=b"word\n", capture_output=True, env=clean(plane.environ), cwd="/", timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (5, b"") and b"got word\r\n" in done.stdout
    assert not left(docker_url)
