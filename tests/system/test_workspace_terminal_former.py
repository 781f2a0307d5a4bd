"""Terminals as existing clients speak to them, in a real container."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import Node, user_with_app

pytestmark = pytest.mark.real


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


@pytest.fixture
async def user(node: Node) -> str:
    """One with the app 5."""
    return await user_with_app(node, "5")


@dataclass
class Former:
    """An existing client's end of the line, and all that it was told."""

    socket: aiohttp.ClientWebSocketResponse
    told: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, kind: str, data: str | None = None, **more: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, "data": data, **more}))

    def text(self, kind: str) -> str:
        return "".join(one["data"] for one in self.told if one["type"] == kind)

    async def until(self, kind: str, text: str = "") -> dict[str, Any]:
        """The message of the kind that comes next, or the one that completes the text."""
        async with asyncio.timeout(60):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, (message, self.told[-5:])
                self.told.append(json.loads(message.data))
                if self.told[-1]["type"] == kind and text in self.text(kind):
                    return self.told[-1]

    async def end(self) -> None:
        async with asyncio.timeout(60):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                self.told.append(json.loads(message.data))


def _path(user_id: str) -> str:
    return f"/api/fun-ai/workspace/ws/terminal?userId={user_id}&appId=5"


async def _sleepers(node: Node, user_id: str) -> int:
    argv = ["docker", "-H", node.docker_url, "top", f"ws-u-{user_id}", "-o", "pid,args"]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=True)
    return len([line for line in done.stdout.splitlines() if " sleep 84" in line])


async def test_lines_for_the_shell_are_answered_without_prompt_and_echo(node: Node, user: str) -> None:
    async with node.socket(_path(user)) as socket:
        line = Former(socket)
        await line.until("ready")
        await line.say("stdin", "cd /tmp; pwd; echo $((6*7)) 你\n")
        await line.until("stdout", "42 你\n")
        await socket.send_str("echo plain-$((1+1))")
        await line.until("stdout", "plain-2\n")
        await line.say("whatever", "pwd\n")
        await line.until("stdout", "plain-2\n/tmp\n")
        assert line.text("stdout") == "/tmp\n42 你\nplain-2\n/tmp\n"
        await line.say("stdin", f"echo {'x' * 9000} | wc -c\n")
        await line.until("stdout", "9001\n")
        await line.say("stdin", "exit 7\n")
        ended = await line.until("exit")
        assert (ended["data"], ended["code"]) == ("7", 7)


async def test_commands_run_beside_the_shell_one_at_a_time(node: Node, user: str) -> None:
    async with node.socket(_path(user)) as socket:
        line = Former(socket)
        await line.say("exec", "pwd; echo $FUNAI_APP_ID; exit 3")
        assert (await line.until("exec_start"))["data"].startswith("pwd")
        ended = await line.until("exec_exit")
        assert (line.text("exec_stdout"), ended["code"], ended["data"]) == ("/workspace/apps/5\n5\n", 3, "3")
        await line.say("exec", "trap '' TERM HUP INT; sleep 8411 & echo go; wait")
        await line.until("exec_stdout", "go\n")
        await line.say("exec", "echo no")
        assert "runs already" in (await line.until("error"))["data"]
        await line.say("stdin", "echo beside\n")
        await line.until("stdout", "beside\n")
        await line.say("cancel")
        await line.until("exec_cancel")
        await line.until("exec_exit")
        assert await _sleepers(node, user) == 0
        await line.say("exec", "echo again")
        await line.until("exec_stdout", "again\n")


async def test_an_interrupt_ends_what_runs_and_leaves_the_shell(node: Node, user: str) -> None:
    async with node.socket(_path(user)) as socket:
        line = Former(socket)
        await line.until("ready")
        await line.say("stdin", "echo begin; sleep 8421; echo after-$?\n")
        await line.until("stdout", "begin\n")
        await eventually(lambda: _is(node, user, 1))
        await line.say("ctrl_c")
        await line.until("ctrl_c")
        await line.until("stdout", "after-130\n")
        await line.say("resize", cols=101, rows=33)
        assert (await line.until("resize"))["cols"] == 101
        await line.say("exec", "stty size")
        await line.until("exec_stdout", "33 101")


async def _is(node: Node, user_id: str, wanted: int) -> bool:
    return await _sleepers(node, user_id) == wanted


async def _closed(node: Node, user_id: str) -> bool:
    return node.services.terminals.of(user_id) == ()


@pytest.mark.parametrize("how", ["close", "broken"])
async def test_everything_ends_with_the_connection(node: Node, user: str, how: str) -> None:
    async with node.socket(_path(user)) as socket:
        line = Former(socket)
        await line.until("ready")
        await line.say("stdin", "trap '' HUP TERM; (setsid sleep 8431 &); echo one\n")
        await line.say("exec", "(setsid sleep 8432 &); sleep 8433")
        await line.until("stdout", "one\n")
        await eventually(lambda: _is(node, user, 3))
        if how == "close":
            await line.say("close")
            await line.end()
    await eventually(lambda: _is(node, user, 0))
    await eventually(lambda: _closed(node, user))


async def test_another_sites_page_and_a_stranger_are_refused(node: Node, user: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with node.socket(_path(user), origin="https://evil.example"):
            pass
    assert refusal.value.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with aiohttp.ClientSession() as session, session.ws_connect(node.url + _path(user)):
            pass
    assert refusal.value.status == 401
    assert node.services.terminals.of(user) == ()
