"""A user's terminal over WebSocket, in a real container: what is typed and written, lines that break, the end."""

import asyncio
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import Node, user_with_app

pytestmark = pytest.mark.real
_BREAKS = 12


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


@pytest.fixture
async def user(node: Node) -> str:
    """One with the app 5."""
    return await user_with_app(node, "5")


@dataclass
class Screen:
    """What a viewer has of a terminal: all its bytes, and which terminal it is."""

    node: Node
    user_id: str
    session: str = ""
    data: bytearray = field(default_factory=bytearray)
    said: list[dict[str, object]] = field(default_factory=list)

    def path(self) -> str:
        query = f"userId={self.user_id}&appId=5"
        if self.session:
            query += f"&session={self.session}&offset={len(self.data)}"
        return f"/api/fun-ai/workspace/terminal?{query}"

    async def take(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        """One message; whether more may come."""
        message = await socket.receive()
        if message.type is WSMsgType.BINARY:
            self.data += message.data
        elif message.type is WSMsgType.TEXT:
            document = json.loads(message.data)
            self.said.append(document)
            self.session = document.get("session") or self.session
        return message.type in (WSMsgType.BINARY, WSMsgType.TEXT)

    async def until(self, socket: aiohttp.ClientWebSocketResponse, text: bytes) -> None:
        async with asyncio.timeout(60):
            while text not in self.data:
                assert await self.take(socket), bytes(self.data[-300:])


async def test_what_is_typed_runs_where_the_app_is_and_the_size_is_told(node: Node, user: str) -> None:
    screen = Screen(node, user)
    async with node.socket(screen.path()) as socket:
        await socket.send_bytes(b"pwd; echo a-$((6*7)) \xe4\xbd\xa0\n")
        await screen.until(socket, "a-42 你".encode())
        assert b"/workspace/apps/5" in screen.data
        await socket.send_str('{"type":"resize","cols":101,"rows":33}')
        await socket.send_bytes(b"sleep 0.2; stty size\n")
        await screen.until(socket, b"33 101")
        await socket.send_bytes(b"exit 7\n")
        while await screen.take(socket):
            pass
    assert screen.said[-1] == {"type": "exit", "code": 7}


async def test_a_terminal_opens_before_the_app_has_a_folder(node: Node, user: str) -> None:
    screen = Screen(node, user)
    async with node.socket(screen.path().replace("appId=5", "appId=6")) as socket:
        await socket.send_bytes(b"pwd; echo e''nd\n")
        await screen.until(socket, b"end")
        assert b"\n/workspace\r" in screen.data
        await socket.send_str('{"type":"close"}')
        while await screen.take(socket):
            pass


async def test_lines_that_break_lose_and_double_no_byte(node: Node, user: str) -> None:
    """The program writes on while nobody is there; its output is the same whoever breaks off where."""
    screen, lines = Screen(node, user), 60_000
    wanted = b"".join(b"line %d\r\n" % number for number in range(1, lines + 1)) + b"=end=\r\n"
    program = b"awk 'BEGIN{for(i=1;i<=60000;i++)print \"line \" i}'"
    # Words of what is typed are broken, so that its echo is not taken for the output.
    command = b"stty -echo; PS1=; printf 'be''gin\\n'; " + program + b"; echo =e''nd=\n"
    for turn in range(_BREAKS + 1):
        async with node.socket(screen.path()) as socket:
            if turn == 0:
                await socket.send_bytes(command)
                await screen.until(socket, b"begin\r\n")
            goal = len(wanted) * (turn + 1) // (_BREAKS + 1) if turn < _BREAKS else None
            while goal is None or len(screen.data) < goal:
                assert await screen.take(socket)
                await socket.send_str(json.dumps({"type": "ack", "offset": len(screen.data)}))
                if b"=end=\r\n" in screen.data[-200:]:
                    break
    found = bytes(screen.data).split(b"begin\r\n", 1)[1].split(b"=end=\r\n")[0] + b"=end=\r\n"
    assert not [said for said in screen.said if said["type"] == "reset"]
    at = next((at for at, (one, other) in enumerate(zip(found, wanted, strict=False)) if one != other), -1)
    near = slice(max(0, at - 60), at + 60)
    assert hashlib.sha256(found).hexdigest() == hashlib.sha256(wanted).hexdigest(), (
        f"{len(found)} bytes instead of {len(wanted)}; from byte {at} on {found[near]!r} instead of {wanted[near]!r}"
    )


async def test_a_closed_terminal_leaves_nothing_running(node: Node, user: str) -> None:
    screen = Screen(node, user)
    async with node.socket(screen.path()) as socket:
        await socket.send_bytes(
            b"trap '' HUP TERM; (setsid sh -c 'trap \"\" HUP TERM; sleep 4321' &) ; env -i setsid sleep 4322 & "
            b"echo re''ady\n"
        )
        await screen.until(socket, b"ready")
        await eventually(lambda: _sleepers(node, user, 2))
        await socket.send_str('{"type":"close"}')
        while await screen.take(socket):
            pass
    await eventually(lambda: _sleepers(node, user, 0))


async def test_another_users_terminal_and_another_sites_page_are_refused(node: Node, user: str) -> None:
    screen = Screen(node, user)
    async with node.socket(screen.path()) as socket:
        await screen.take(socket)
        stranger = f"/api/fun-ai/workspace/terminal?userId=1&appId=5&session={screen.session}"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with node.socket(stranger):
                pass
        assert refusal.value.status == 404
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with node.socket(screen.path(), origin="https://evil.example"):
                pass
        assert refusal.value.status == 403
        await socket.send_str('{"type":"close"}')


async def _sleepers(node: Node, user_id: str, wanted: int) -> bool:
    argv = ["docker", "-H", node.docker_url, "top", f"ws-u-{user_id}", "-o", "pid,args"]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    found = [line for line in done.stdout.splitlines() if " sleep 432" in line]
    return len(found) == wanted
