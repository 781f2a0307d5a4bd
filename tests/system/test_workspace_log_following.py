"""`funai workspaces logs -f` as an operator runs it: the real command, a real API, and a run in a real container."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from protocol.client.workspace import WorkspaceClient
from protocol.workspace_runs import RunState, RunType
from tests.console.test_one_shot import clean
from tests.support import node_image, workspace_node
from tests.support.eventually import eventually
from tests.support.preview_projects import put
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
TOKEN = "token-of-the-user-012345"
_IMAGE = "funai-test-node:1"
_NOBODY = "http://127.0.0.1:9"
_SECONDS: Final = 120.0
#: Says something, and something more when it is told to; `serve` goes on for ever.
_SPEAKER = """const { existsSync } = require('node:fs');
console.log('first line');
const looking = setInterval(() => {
  if (!existsSync('go')) return;
  clearInterval(looking);
  console.log('\\u001b]0;evil\\u0007later line');
  if (process.argv[2] === 'serve') require('node:http').createServer().listen(process.env.PORT, process.env.HOST);
}, 50);
"""


@dataclass
class Speaking:
    """A user whose app says something, and an operator who listens."""

    node: Node
    user_id: str
    app_id: str
    workspace: WorkspaceClient
    api_url: str

    def go_on(self) -> None:
        """It says more."""
        (self.node.home(self.user_id) / "apps" / self.app_id / "go").touch()

    @asynccontextmanager
    async def followed(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The command. It asks the API alone."""
        where = {
            "FUNAI_API_URL": self.api_url,
            "API_ADMIN_TOKEN": ADMIN,
            "FUNAI_DEPLOY_URL": _NOBODY,
            "DEPLOY_ADMIN_TOKEN": ADMIN,
        }
        # Whoever runs this test in the background ignores the key, and so would the command.
        argv = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "console",
            "workspaces",
            "logs",
            self.user_id,
            "-f",
            *words,
        ]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe, env=clean(where), cwd="/")
        try:
            async with asyncio.timeout(_SECONDS):
                yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


@pytest.fixture
async def speaking(docker_url: str, tmp_path: Path) -> AsyncIterator[Speaking]:
    await asyncio.to_thread(node_image.build, docker_url, _IMAGE)
    user_id = new_user()
    scripts = {"build": "node speaker.js", "dev": "node speaker.js serve"}
    package = {"name": "sample", "version": "1.0.0", "scripts": scripts}
    files = {"package.json": json.dumps(package), "speaker.js": _SPEAKER, "node_modules/.keep": ""}
    async with (
        workspace_node.node(docker_url, tmp_path, FUNAI_WORKSPACE_IMAGE=_IMAGE) as node,
        served_api(tmp_path, SECRET, {int(user_id): TOKEN}) as url,
        Transport(url, bearer(TOKEN)) as transport,
    ):
        await hear(url, node.url)
        workspace = WorkspaceClient(transport, user_id)
        await workspace.ensure()
        app_id = str((await ApiClient(transport).create_app()).id)
        await asyncio.to_thread(put, node, user_id, app_id, files)
        yield Speaking(node, user_id, app_id, workspace, url)


async def until(stream: asyncio.StreamReader, text: str) -> str:
    """What was written up to the line with this text."""
    written = ""
    while text not in written:
        line = await stream.readline()
        assert line, f"it ended without {text}: {written}"
        written += line.decode()
    return written


async def test_what_a_build_says_later_is_seen_and_its_end_ends_it(speaking: Speaking) -> None:
    await speaking.workspace.run(RunType.BUILD, speaking.app_id)
    async with speaking.followed() as child:
        assert child.stdout is not None and child.stderr is not None
        assert "later line" not in await until(child.stdout, "first line\n")
        assert child.returncode is None
        speaking.go_on()
        later = await until(child.stdout, "later line\n")
        # The user's program does not get to say anything to the operator's terminal.
        assert "\x1b" not in later and "\x07" not in later
        await child.stdout.read()
        assert (await child.wait(), await child.stderr.read()) == (0, b"")
    ended = await speaking.workspace.run_status()
    assert (ended.state, ended.exit_code) == (RunState.SUCCESS, 0)


async def test_ctrl_c_ends_the_command_and_not_the_run(speaking: Speaking) -> None:
    await speaking.workspace.run(RunType.DEV, speaking.app_id)
    async with speaking.followed("--app", speaking.app_id, "--type", "dev") as child:
        assert child.stdout is not None and child.stderr is not None
        await until(child.stdout, "first line\n")
        speaking.go_on()
        await until(child.stdout, "later line\n")
        child.send_signal(signal.SIGINT)
        assert (await child.wait(), await child.stderr.read()) == (130, b"")

    async def serves() -> bool:
        return (await speaking.workspace.run_status()).state is RunState.RUNNING

    await eventually(serves)


async def test_whose_log_is_not_there_is_said_in_one_line(speaking: Speaking) -> None:
    async with speaking.followed() as child:
        assert child.stdout is not None and child.stderr is not None
        assert await child.stdout.read() == b""
        said = (await child.stderr.read()).decode()
        assert await child.wait() == 2
        assert said.splitlines() == [f"funai: user {speaking.user_id} runs nothing; name an app with --app"]
