"""The API as it is run, over Gitea that is played by exchanges that are written down: killed while it lends, it leaves
no key there, and what it lent before is taken back by the process that follows."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest

from protocol.api import GitAccessFile
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from protocol.git_loans import LEND_PATH
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN
from tests.support import real
from tests.support.eventually import eventually
from tests.support.gitea_server import TOKEN, GiteaServer, gitea_server

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

#: Models are completed with their first use, which reads from the disk.
GitAccessFile(keys=())
NODES, NOWHERE = "/api/fun-ai/admin/workspace-nodes", "http://127.0.0.1:9"
ADMIN, USER_TOKEN, OWN_TOKEN = "admin-token-0123456789", "token-of-user-1-0123", "own-node-token-0123456789"
NAME = "funai/u1-app20001"


@dataclass
class World:
    """Gitea, and where the API is whenever it runs."""

    gitea: GiteaServer
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The API's."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def api(self) -> AsyncIterator[subprocess.Popen[bytes]]:
        """A process of it, which the test may kill."""
        with ExitStack() as stack:
            yield await asyncio.to_thread(self._started, stack)

    def _started(self, stack: ExitStack) -> subprocess.Popen[bytes]:
        env = {
            **os.environ,
            "API_PORT": str(self.port),
            "API_DB_URL": f"sqlite:///{self.folder}/api.db",
            "API_ADMIN_TOKEN": ADMIN,
            "API_USER_TOKEN": USER_TOKEN,
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": "deploy-secret-0123456789",
            "FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS": f"ws-own={OWN_TOKEN}",
            "GITEA_ENABLED": "true",
            "GITEA_BASE_URL": self.gitea.url,
            "GITEA_ADMIN_TOKEN": TOKEN,
        }
        argv = [sys.executable, "-m", "daemons.api"]
        process = stack.enter_context(real.process(argv, self.folder / "api.log", env=env))
        real.wait_until(lambda: real.listening(self.port), "the API's start")
        return process

    async def furnish(self) -> None:
        """The user lives on the node and has an app, whose repository is there."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            beat = {"nodeName": "ws-own", "nginxBaseUrl": NOWHERE, "apiBaseUrl": NOWHERE}
            heard = await client.post(f"{NODES}/heartbeat", json=beat, headers={WORKSPACE_NODE_TOKEN: OWN_TOKEN})
            order = {"userId": "1", "targetNodeId": heard.json()["data"]["id"]}
            placed = await client.post(f"{NODES}/reassign", json=order, headers={ADMIN_TOKEN: ADMIN})
            assert placed.status_code == 200, placed.text
        async with Transport(self.url, bearer(USER_TOKEN)) as owner:
            await ApiClient(owner).create_app()
        await eventually(self.ready)

    async def ready(self) -> bool:
        """Whether the app's repository is at Gitea."""
        return NAME in self.gitea.repositories

    async def lend(self, seconds: float) -> httpx.Response:
        """As the node asks."""
        key = asyncssh.generate_private_key("ssh-ed25519", comment="").export_public_key().decode().strip()
        order: dict[str, Any] = {"userId": "1", "appId": "20001", "publicKey": key, "seconds": seconds}
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.post(LEND_PATH, json=order, headers={WORKSPACE_NODE_TOKEN: OWN_TOKEN})

    async def knows(self, keys: int) -> bool:
        """Whether Gitea knows so many keys."""
        return len(self.gitea.repositories[NAME].keys) == keys


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with gitea_server() as server:
        yield World(server, tmp_path, real.free_port())


async def test_what_a_killed_api_lent_is_taken_back_by_the_next(world: World) -> None:
    """When its time is over, and not before."""
    async with world.api() as process:
        await world.furnish()
        assert [(await world.lend(seconds)).status_code for seconds in (600, 2)] == [200, 200]
        assert len(world.gitea.repositories[NAME].keys) == 2
        process.kill()
    async with world.api():
        await eventually(lambda: world.knows(1))


async def test_an_api_that_is_killed_while_it_lends_leaves_no_key(world: World) -> None:
    """Gitea has let the key in, and its answer finds nobody."""
    async with world.api() as process:
        await world.furnish()
        world.gitea.held = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(_cut(world.lend(2)))
            await eventually(lambda: world.knows(1))
            process.kill()
        assert asked.result()
    world.gitea.held.set()
    assert await world.knows(1)
    async with world.api():
        await eventually(lambda: world.knows(0))


async def _cut(asking: Awaitable[httpx.Response]) -> bool:
    """Whether there is no answer."""
    try:
        await asking
    except httpx.TransportError:
        return True
    return False
