"""What terminals cost, and a workspace node at rest: a node in a process of its own over a real engine.

    python -m bench.workspaces                       # three minutes
    python -m bench.workspaces --breaks 300 --closes 300 --asleep 50

- from a key to its echo, alone and while another tab runs `yes`, against 10 and 50 ms;
- bytes that a viewer lost or got twice whose line broke again and again, and what is left running of closed terminals;
- memory and processor of the node while so many workspaces are frozen.
"""

import argparse
import asyncio
import hashlib
import json
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop
from aiohttp import WSMsgType

from bench.figures import Figure, median, percentile, show
from daemons.kit.daemon import collect_garbage_less_often
from daemons.workspace.app import GARBAGE
from protocol.client.signed import Signed, signed_headers
from protocol.client.transport import Transport
from protocol.client.workspace import WorkspaceClient
from protocol.signing import EMPTY_DIGEST
from tests.support import real, workspace_node
from tests.support.workspace_node import SECRET, new_user

APP = "bench"
KEYS = 500
REST_SECONDS = 30.0
#: Whoever does not hear that the terminal is gone is killed within it.
GRACE_SECONDS = 15.0
LINES = 400_000
_WRITES = (
    f"stty -echo; PS1=; printf 'be''gin\\n'; awk 'BEGIN{{for(i=1;i<={LINES};i++)print \"line \" i}}'; echo =e''nd=\n"
)


@dataclass
class Tab:
    """A terminal as its viewer has it: every byte so far, and which terminal it is."""

    url: str
    user_id: str
    session: str = ""
    data: bytearray = field(default_factory=bytearray)
    resets: int = 0

    @asynccontextmanager
    async def line(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A connection that goes on where the former one broke."""
        query = f"userId={self.user_id}&appId={APP}"
        query += f"&session={self.session}&offset={len(self.data)}" if self.session else ""
        path = "/api/fun-ai/workspace/terminal"
        headers = signed_headers(SECRET, "GET", path, query, EMPTY_DIGEST)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.url}{path}?{query}", headers=headers, max_msg_size=0) as socket,
        ):
            yield socket

    async def take(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """One message; whether more may come."""
        message = await socket.receive()
        if message.type is WSMsgType.BINARY:
            self.data += message.data
            await socket.send_str(json.dumps({"type": "ack", "offset": len(self.data)}))
        elif message.type is WSMsgType.TEXT:
            said = json.loads(message.data)
            self.session = said.get("session") or self.session
            self.resets += said["type"] == "reset"
        return message.type in (WSMsgType.BINARY, WSMsgType.TEXT)

    async def until(self, socket: aiohttp.ClientWebSocketResponse, text: bytes) -> None:
        """Everything up to this text, in what came last."""
        while text not in self.data[-4096:]:
            if not await self.take(socket):
                raise SystemExit(f"the terminal ended; its last words: {bytes(self.data[-300:])!r}")


@dataclass
class Served:
    """The node's process; whoever holds this may give it orders."""

    url: str
    process: asyncio.subprocess.Process

    async def freeze(self, user_id: str) -> None:
        """As the node itself does after a while."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{user_id}\n".encode())
        if await self.process.stdout.readline() != b"true\n":
            raise SystemExit(f"the workspace of {user_id} did not freeze")

    @asynccontextmanager
    async def client(self, user_id: str) -> AsyncIterator[WorkspaceClient]:
        """Calls for the user."""
        async with Transport(self.url, {}, auth=Signed(SECRET)) as transport:
            yield WorkspaceClient(transport, user_id)


async def measure(docker_url: str, folder: Path, breaks: int, closes: int, asleep: int) -> list[Figure]:
    """All figures."""
    await asyncio.to_thread(real.busybox_image, docker_url)
    async with served(docker_url, folder) as node:
        user = new_user()
        async with node.client(user) as client:
            await client.ensure()
        alone = _below(user)
        figures = [*await _echoes(node, user), *await _broken(node, user, breaks)]
        figures.append(await _closed(node, user, closes, alone))
        await node.freeze(user)
        return figures + await _at_rest(node, asleep)


async def _echoes(node: Served, user: str) -> list[Figure]:
    alone = await _typed(node, user)
    other = Tab(node.url, user)
    async with other.line() as socket:
        await other.until(socket, b"$ ")
        await socket.send_bytes(b"yes\n")
        reading = asyncio.create_task(_read(other, socket))
        beside = await _typed(node, user)
        reading.cancel()
        await socket.send_str('{"type":"close"}')
    return [
        Figure("a key until its echo, p99", percentile(alone, 0.99), "ms", "limit", 10.0, 1.0),
        Figure("a key until its echo, median", median(alone), "ms", "limit", 10.0, 1.0),
        Figure("... while another tab runs yes, p99", percentile(beside, 0.99), "ms", "limit", 50.0, 1.0),
    ]


async def _read(tab: Tab, socket: aiohttp.ClientWebSocketResponse) -> None:
    while await tab.take(socket):
        tab.data = bytearray(len(tab.data)) if len(tab.data) < 2**20 else tab.data


async def _typed(node: Served, user: str) -> list[float]:
    """Milliseconds from each key to what the terminal says of it."""
    tab, found = Tab(node.url, user), []
    # What the one who measures collects is no part of an echo.
    collect_garbage_less_often()
    async with tab.line() as socket:
        await tab.until(socket, b"$ ")
        await socket.send_bytes(b"PS1=; stty raw -echo; printf 're''ady'; exec cat\n")
        await tab.until(socket, b"ready")
        for number in range(KEYS):
            began, key = time.perf_counter(), b"%d." % number
            await socket.send_bytes(key)
            await tab.until(socket, key)
            found.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.02)
        await socket.send_str('{"type":"close"}')
    return found


async def _broken(node: Served, user: str, breaks: int) -> list[Figure]:
    """The same bytes, whoever breaks off where."""
    wanted = b"".join(b"line %d\r\n" % number for number in range(1, LINES + 1))
    tab, step = Tab(node.url, user), len(wanted) // (breaks + 1)
    for turn in range(breaks + 1):
        async with tab.line() as socket:
            if turn == 0:
                await tab.until(socket, b"$ ")
                await socket.send_bytes(_WRITES.encode())
                await tab.until(socket, b"begin\r\n")
            while b"=end=" not in tab.data[-64:] and (turn == breaks or len(tab.data) < step * (turn + 1)):
                if not await tab.take(socket):
                    raise SystemExit("the terminal ended")
            if turn == breaks:
                await socket.send_str('{"type":"close"}')
    found = bytes(tab.data).split(b"begin\r\n", 1)[1].split(b"=end=")[0]
    same = hashlib.sha256(found).digest() == hashlib.sha256(wanted).digest()
    lost = 0 if same else max(1, abs(len(found) - len(wanted)))
    return [Figure(f"{breaks} broken lines: bytes lost or doubled", lost + tab.resets, "bytes", "limit", 0, 0.0)]


async def _closed(node: Served, user: str, closes: int, alone: int) -> Figure:
    """Terminals that leave programs which want to stay."""
    for _ in range(closes):
        tab = Tab(node.url, user)
        async with tab.line() as socket:
            await socket.send_bytes(b"trap '' HUP TERM; setsid sh -c 'trap \"\" HUP TERM; sleep 5000' & echo re''ady\n")
            await tab.until(socket, b"ready")
            await socket.send_str('{"type":"close"}')
            while await tab.take(socket):
                pass
    until = time.monotonic() + GRACE_SECONDS
    while (left := _below(user) - alone) and time.monotonic() < until:
        await asyncio.sleep(0.1)
    return Figure(f"programs left of {closes} closed terminals", left, "", "limit", 0, 0.0)


def _below(user: str) -> int:
    """How many processes say of themselves that they are this user's."""
    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get("FUNAI_USER_ID") == user
        except psutil.Error:
            continue
    return found


async def _at_rest(node: Served, asleep: int) -> list[Figure]:
    for _ in range(asleep):
        user = new_user()
        async with node.client(user) as client:
            await client.ensure()
        await node.freeze(user)
    process = psutil.Process(node.process.pid)
    began, used = time.monotonic(), sum(process.cpu_times()[:2])
    await asyncio.sleep(REST_SECONDS)
    share = 100 * (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    memory = process.memory_info().rss / 2**20
    return [
        Figure(f"{asleep} frozen workspaces: memory of the node", memory, "MiB", "limit", 100.0, 1.0),
        Figure(f"{asleep} frozen workspaces: processor of the node", share, "%", "limit", 1.0, 1.0),
    ]


@asynccontextmanager
async def served(docker_url: str, folder: Path) -> AsyncIterator[Served]:
    """A node in a process of its own."""
    argv = [sys.executable, "-m", "bench.workspaces", "--serve", str(folder), "--engine", docker_url]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    try:
        yield Served(json.loads(await process.stdout.readline()), process)
    finally:
        process.stdin.close()
        await process.wait()


async def serve(folder: Path, docker_url: str) -> int:
    """A node that freezes the users whose ids come in, until standard input ends."""
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_HOSTPORTSCANSIZE": 200}
    async with workspace_node.node(docker_url, folder / "node", **settings) as node:
        # As the daemon does when it begins.
        collect_garbage_less_often(GARBAGE)
        print(json.dumps(node.url), flush=True)
        while user_id := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print(json.dumps(await node.services.workspaces.freeze(user_id)), flush=True)
    return 0


def main(breaks: int, closes: int, asleep: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    with (
        tempfile.TemporaryDirectory(prefix=f"funai-{secrets.token_hex(2)}-") as name,
        real.docker_engine(Path(name) / "engine") as docker_url,
    ):
        title = "workspaces: terminals, and a node at rest"
        return show(title, uvloop.run(measure(docker_url, Path(name), breaks, closes, asleep)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.workspaces", description=__doc__.partition("\n")[0])
    parser.add_argument("--breaks", type=int, default=300, help="how often a viewer's line breaks")
    parser.add_argument("--closes", type=int, default=300, help="how many terminals are closed")
    parser.add_argument("--asleep", type=int, default=50, help="how many workspaces are frozen")
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--engine")
    told = parser.parse_args()
    if told.serve:
        raise SystemExit(uvloop.run(serve(told.serve, told.engine)))
    raise SystemExit(main(told.breaks, told.closes, told.asleep))
