"""`funai app-logs` as a program: against the real control plane, with an agent over twins."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from protocol.jobs import ClaimJob, CreateJob, JobType
from protocol.nodes import NodeHeartbeat
from protocol.running import OutputStream
from tests.console.plane_server import AGENT, Served, payload, served
from tests.console.test_one_shot import ROOT, clean, funai
from tests.support.agent_served import AgentServed, agent_served
from tests.support.mongo_twin import TwinDatabases


@contextmanager
def node(databases: TwinDatabases | None = None) -> Iterator[tuple[AgentServed, asyncio.AbstractEventLoop, str]]:
    """An agent in a thread of its own, with app 20001 on it; with `databases` it has a database server."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    found: list[tuple[AgentServed, str]] = []

    async def serve() -> None:
        async with agent_served(AGENT, None, databases) as agent:
            container = await agent.deploy("20001", "1", 1)
            await agent.outputs.write(container, "one\n", "two\n")
            await agent.outputs.write(container, "\x1b[2Jwarned\n", stream=OutputStream.STDERR)
            found.append((agent, container))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(90)
        yield (found[0][0], loop, found[0][1])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


async def place(plane: Served, agent_url: str) -> None:
    admin, runner, nodes = plane.admin(), plane.runner(), plane.node()
    async with admin.transport, runner.transport, nodes.transport:
        beat = NodeHeartbeat(
            node_name="n1", agent_base_url=agent_url, gateway_base_url="http://127.0.0.1:1", disk_free_pct=60.0
        )
        await nodes.heartbeat(beat)
        await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload("20001")))
        assert await runner.claim(ClaimJob(runner_id="build-a", lease_seconds=600)) is not None


def heed_interrupts() -> None:
    """What a shell starts in the background ignores them, and so would what is started here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_apps_log_is_written_and_followed(tmp_path: Path) -> None:
    with served(tmp_path) as plane, node() as (agent, loop, container):
        asyncio.run(place(plane, agent.url))
        once = funai(plane.environ, "app-logs", "20001", "--tail", "2")
        assert (once.returncode, once.stdout, once.stderr) == (0, b"two\n", b"\x1b[2Jwarned\n")
        used = funai(plane.environ, "app-stats", "--node", "n1")
        assert used.returncode == 0 and container.encode() in used.stdout and b"not running" in used.stdout
        assert funai(plane.environ, "app-stats").returncode == 2
        argv = [sys.executable, "-m", "console", "app-logs", "20001", "-f", "--tail", "0"]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, env=clean(plane.environ), cwd=ROOT, preexec_fn=heed_interrupts
        ) as follower:
            assert follower.stdout is not None
            lines = []
            for number in (1, 2):
                while agent.outputs.opened < 2:
                    os.sched_yield()
                writing = agent.outputs.write(container, f"later {number}\n")
                asyncio.run_coroutine_threadsafe(writing, loop).result(10)
                lines.append(follower.stdout.readline())
            follower.send_signal(signal.SIGINT)
            assert (lines, follower.wait(90)) == ([b"later 1\n", b"later 2\n"], 130)


@pytest.mark.parametrize(
    ("app", "code", "says"), [("20009", 4, b"on no runtime node"), ("../x", 2, b"not an app's id")]
)
def test_what_cannot_be_read_is_said(tmp_path: Path, app: str, code: int, says: bytes) -> None:
    with served(tmp_path) as plane:
        done = funai(plane.environ, "app-logs", app)
        assert done.returncode == code and says in done.stderr and done.stdout == b""
