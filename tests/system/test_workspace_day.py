"""A user's day over the whole platform, as the user lives it: an ordinary account, and one address for everything.

The two paths of the system: develop (open the workspace, write, install, look at it live, commit and push) and publish
(order a deployment, visit what it made). After that come a move to another node, and the app's end.
"""

import asyncio
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
from pydantic import TypeAdapter

from daemons.supervisor.domain.credentials import parse
from protocol.accounts import AccountView, CreateAccount
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import ClientError, Transport
from protocol.client.workspace import WorkspaceClient
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.headers import ADMIN_TOKEN
from protocol.jobs import JobStatus
from protocol.workspace_git import CommitMessage, GitResult
from protocol.workspace_moves import WorkspaceMoveState
from protocol.workspace_runs import RunState, RunType
from tests.support import engines, entries, git_image, node_image, preview_gateway, real, workspace_node
from tests.support.eventually import eventually
from tests.support.gateways import Backends
from tests.support.platform import Up, free_base

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(800)]
SECOND = "ws-node-02"
WORKSPACE = "/api/fun-ai/workspace"
FILES = f"{WORKSPACE}/files"
NAME, PASSWORD = "somebody", "correct horse battery staple"
_MOVED = (WorkspaceMoveState.KEEPING, WorkspaceMoveState.DONE)
_STAYED = (WorkspaceMoveState.FAILED, WorkspaceMoveState.CANCELLED)
_SERVER = """import { createServer } from 'node:http';
import { text } from './text.mjs';
import { value } from 'part0';
createServer((_, answer) => answer.end(`${text} ${value}`)).listen(Number(process.env.PORT ?? 3000), '0.0.0.0');
"""


@pytest.fixture(scope="module")
def up(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    real.program("haproxy", "haproxy")
    real.busybox_image(docker_url)
    name = f"day-{secrets.token_hex(4)}"
    node_image.build(docker_url, f"{name}/node:1")
    git_image.build(docker_url, f"{name}/studio:1", base=f"{name}/node:1")
    settings = {"RUNNER_NODE_IMAGE": f"{name}/node:1", "FUNAI_WORKSPACE_IMAGE": f"{name}/studio:1"}
    platform = Up(tmp_path_factory.mktemp("day") / "data", free_base(7), docker_url, settings=settings)
    platform.remove_containers()
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()
        platform.remove_containers()
        workspace_node.swept(docker_url, "ws-node-01", platform.folder)
        engines.forget(docker_url, "ws-node-01")
        argv = ["docker", "-H", docker_url, "rmi", "-f", f"{name}/studio:1", f"{name}/node:1"]
        subprocess.run(argv, check=False, capture_output=True)


@dataclass
class User:
    """Somebody in front of the gateway who has logged in and has an app of their own. `visitor` has no account."""

    api: ApiClient
    workspace: WorkspaceClient
    raw: httpx.AsyncClient
    visitor: httpx.AsyncClient
    user_id: str
    app_id: str

    async def preview(self) -> str:
        """What a visitor of the preview sees."""
        return (await self.visitor.get(f"/preview/{self.app_id}/")).text

    async def sees(self, text: str) -> None:
        """The preview shows it, sooner or later."""
        seen = ""

        async def shown() -> bool:
            nonlocal seen
            try:
                seen = await self.preview()
            except httpx.RemoteProtocolError as error:
                # The server began anew in the middle of a request over an open connection: browsers ask again.
                seen = str(error)
            return seen == text

        try:
            await eventually(shown)
        except TimeoutError:
            run = await self.workspace.run_status()
            pytest.fail(f"{seen}\n{run}\n{await self.workspace.run_log(self.app_id, RunType.DEV)}")

    async def write(self, path: str, text: str) -> None:
        """Save a file in the editor."""
        order = {"appId": self.app_id, "path": path, "content": text}
        (await self.raw.post(f"{FILES}/content", json=order)).raise_for_status()

    async def ended(self, kind: RunType) -> None:
        """A run of this kind, to its end, which its events tell as it comes."""
        query = {"appId": self.app_id}
        async with self.raw.stream("GET", f"{WORKSPACE}/realtime/events", params=query) as events:
            assert events.headers["Content-Type"].startswith("text/event-stream")
            told = (json.loads(line[5:])["state"] async for line in events.aiter_lines() if line.startswith("data:"))
            async with asyncio.timeout(120):
                assert await anext(told)
                await self.workspace.run(kind, self.app_id)
                assert "SUCCESS" in [state async for state in until(told, {"SUCCESS", "FAILED"})]
        found = await self.workspace.run_status()
        log = await self.workspace.run_log(self.app_id, kind)
        assert (found.type, found.exit_code) == (kind, 0), log

    async def types(self, command: str, answer: str) -> None:
        """A command in the app's terminal says so."""
        url = str(self.raw.base_url.join(f"{WORKSPACE}/terminal?appId={self.app_id}"))
        headers = {"Authorization": self.raw.headers["Authorization"]}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers) as socket,
            asyncio.timeout(60),
        ):
            assert json.loads((await socket.receive()).data)["type"] == "ready"
            await socket.send_bytes(f"{command}\n".encode())
            said = b""
            while answer.encode() not in said:
                message = await socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, message
                said += message.data
            await socket.send_str('{"type":"close"}')


@pytest.fixture
def credentials(up: Up) -> dict[str, str]:
    return parse(Path(up.ready["credentials"]).read_text())


async def until(told: AsyncIterator[str], last: set[str]) -> AsyncIterator[str]:
    """What is told, to the first of these and with it."""
    async for word in told:
        yield word
        if word in last:
            return


@pytest.fixture
async def account(up: Up, credentials: dict[str, str]) -> str:
    """The id of an account that an admin has made."""
    async with Transport(up.ready["api"], {ADMIN_TOKEN: credentials["API_ADMIN_TOKEN"]}) as transport:
        order = CreateAccount(user_name=NAME, password=PASSWORD)
        made = await transport.call("POST", "/api/fun-ai/admin/users/create", TypeAdapter(AccountView), body=order)
    return str(made.user_id)


@pytest.fixture
async def entry(up: Up, credentials: dict[str, str], tmp_path: Path) -> AsyncIterator[str]:
    """The platform's one public address."""
    backends = Backends()
    try:
        async with entries.before(up.ready, credentials, tmp_path / "entry", await backends.serve("agent")) as url:
            yield url
    finally:
        await backends.close()


@pytest.fixture
async def user(up: Up, entry: str, account: str) -> AsyncIterator[User]:
    options: dict[str, Any] = {"timeout": 60, "trust_env": False}
    async with httpx.AsyncClient(base_url=entry, **options) as visitor:
        login = {"userName": NAME, "password": PASSWORD}
        session = (await visitor.post("/api/fun-ai/auth/login", json=login)).raise_for_status().json()["data"]
        headers = bearer(session["accessToken"])
        async with (
            Transport(entry, headers) as transport,
            httpx.AsyncClient(base_url=entry, headers=headers, **options) as raw,
        ):
            api = ApiClient(transport)
            app, me = await api.create_app(), await api.me()
            assert (str(me.user_id), session["role"]) == (account, "user")
            yield User(api, WorkspaceClient(transport, account), raw, visitor, account, str(app.id))
    argv = f"docker -H {up.docker_url} ps -aq --filter name=^rt-u-{account}-"
    for container in (await said(*argv.split())).split():
        await said("docker", "-H", up.docker_url, "rm", "-f", container)


@pytest.fixture
async def second(up: Up, credentials: dict[str, str], tmp_path: Path) -> AsyncIterator[str]:
    """The gateway of another workspace node, which the platform comes to know."""
    port = real.free_port()
    async with preview_gateway.haproxy(f"http://127.0.0.1:{port}", tmp_path / "gateway") as gateway:
        registry = "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_"
        given = {
            **up.environment,
            "WORKSPACE_HOST": "127.0.0.1",
            "WORKSPACE_PORT": str(port),
            "WORKSPACE_NODE_INTERNAL_SHARED_SECRET": credentials["WORKSPACE_NODE_INTERNAL_SHARED_SECRET"],
            "FUNAI_WORKSPACE_NGINXAUTHTOKEN": workspace_node.GATEWAY_TOKEN,
            "FUNAI_WORKSPACE_HOSTROOT": str(tmp_path / "node" / "root"),
            "FUNAI_WORKSPACE_STATEROOT": str(tmp_path / "node" / "state"),
            "FUNAI_WORKSPACE_HOSTPORTBASE": "26000",
            "FUNAI_WORKSPACE_PREVIEWBASEURL": gateway,
            "FUNAI_WORKSPACE_GIT_ENABLED": "true",
            "FUNAI_WORKSPACE_GIT_SSH_PORT": up.ready["git"].rpartition(":")[2],
            "FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH": str(up.folder / "keys" / "known_hosts"),
            "FUNAI_WORKSPACE_GIT_LOANS_DIR": str(up.folder / "git" / "loans"),
            f"{registry}NODE_NAME": SECOND,
            f"{registry}API_BASE_URL": up.ready["api"],
            f"{registry}NODE_API_BASE_URL": f"http://127.0.0.1:{port}",
            f"{registry}NGINX_BASE_URL": gateway,
            f"{registry}TOKEN": credentials["FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET"],
            f"{registry}INTERVAL_SECONDS": "1",
        }
        argv = [sys.executable, "-m", "daemons.workspace"]
        try:
            with real.process(argv, tmp_path / "node.log", env=given):
                yield gateway
        finally:
            await asyncio.to_thread(workspace_node.swept, up.docker_url, SECOND, tmp_path)


def project(folder: Path, base: str) -> bytes:
    """A Node project with a dependency, as an archive."""
    node_image.project(folder, base, packages=1, files=3)
    (folder / "server.mjs").write_text(_SERVER)
    package = json.loads((folder / "package.json").read_text())
    package["scripts"]["dev"] = "node --watch server.mjs"
    (folder / "package.json").write_text(json.dumps(package))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return stream.getvalue()


async def test_a_users_day(up: Up, user: User, second: str, credentials: dict[str, str], tmp_path: Path) -> None:
    # The editor opens the workspace, and the project comes into it.
    opened = await user.api.open_editor(user.app_id)
    assert (opened.project_dir, opened.has_package_json) == (f"/workspace/apps/{user.app_id}", False)
    assert (await user.workspace.status()).container_status == "RUNNING"
    archive = await asyncio.to_thread(project, tmp_path / "project", up.settings["RUNNER_NODE_IMAGE"])
    uploaded = await user.raw.post(
        f"{FILES}/upload-zip", params={"appId": user.app_id}, files={"file": ("project.zip", archive)}
    )
    assert uploaded.status_code == 200, uploaded.text
    tree = (await user.raw.get(f"{FILES}/tree", params={"appId": user.app_id})).json()["data"]["nodes"]
    assert {"package.json", "server.mjs", "text.mjs", "vendor"} <= {node["name"] for node in tree}

    # Install, look around, run, look, change, look again.
    await user.ended(RunType.INSTALL)
    await user.types("ls; echo $((6 * 7))=$FUNAI_USER_ID", f"42={user.user_id}")
    await user.workspace.run(RunType.DEV, user.app_id)
    await user.sees("first of a package")
    assert (await user.visitor.get(f"/ws/{user.user_id}/")).text == "first of a package"
    await user.write("text.mjs", "export const text = 'second';\n")
    await user.sees("second of a package")
    assert (await user.workspace.run_status()).state is RunState.RUNNING

    # What is there goes into the app's repository, and from there to its visitors.
    refused = await user.workspace.git(user.app_id, "ensure")
    assert refused.result in (GitResult.NEED_CONFIRM, GitResult.CLONED), refused
    adopted = await user.workspace.git(user.app_id, "ensure", confirm="adopt")
    assert adopted.result in (GitResult.CLONED, GitResult.NEED_COMMIT), adopted
    pushed = await user.workspace.git(user.app_id, "commit-push", CommitMessage(message="Second"))
    assert pushed.result is GitResult.SUCCESS, pushed
    assert not (await user.workspace.git_status(user.app_id)).dirty
    job = await user.api.deploy(user.app_id)

    async def done() -> bool:
        return (await user.api.job(job.id)).status.terminal

    await eventually(done, seconds=120)
    assert (await user.api.job(job.id)).status is JobStatus.SUCCEEDED
    published = await user.visitor.get(f"/runtime/{user.app_id}/")
    assert (published.status_code, published.text) == (200, "second of a package")
    assert (await user.visitor.get(f"/apps/{user.app_id}/")).text == "second of a package"
    ready = await user.api.app(user.app_id)
    assert (ready.app_status, urlsplit(ready.deploy_access_url or "").path) == (3, f"/runtime/{user.app_id}/")
    assert await user.preview() == "second of a package"

    # The workspace moves to another node, and everything goes on there.
    await moved(up, user, credentials["API_ADMIN_TOKEN"])
    lookup = f"{WORKSPACE}/internal/gateway/node?appId={user.app_id}"
    assert (await user.raw.get(lookup)).status_code in (403, 404)
    token = {"X-WS-Token": credentials["FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"]}
    where = await user.visitor.get(up.ready["api"] + lookup, headers=token)
    assert where.headers["X-WS-Node"] == second
    await user.sees("second of a package")
    await user.write("text.mjs", "export const text = 'third';\n")
    await user.sees("third of a package")
    assert (await user.workspace.git_status(user.app_id)).dirty
    pushed = await user.workspace.git(user.app_id, "commit-push", CommitMessage(message="Third"))
    assert pushed.result is GitResult.SUCCESS, pushed
    assert (await user.visitor.get(f"/runtime/{user.app_id}/")).text == "second of a package"
    await deleted(up, user)


async def deleted(up: Up, user: User) -> None:
    """The app is gone everywhere, although parts of the platform die meanwhile."""
    repository = up.folder / "git" / "repositories" / "funai" / f"u{user.user_id}-app{user.app_id}.git"
    containers = ("docker", "-H", up.docker_url, "ps", "-aq", "--filter", f"name=^rt-u-{user.user_id}-{user.app_id}")
    folders = ("docker", "-H", up.docker_url, "exec", f"ws-u-{user.user_id}", "ls", "-A", "/workspace/apps")
    assert await asyncio.to_thread(repository.is_dir) and await said(*containers)
    assert user.app_id in await said(*folders)
    kill(up, "deploy")
    begun = await user.api.delete_app(user.app_id)
    assert not begun.complete and begun.problem is not None and "deployments: " in begun.problem
    kill(up, "api")

    async def over() -> bool:
        try:
            return (await user.api.delete_app(user.app_id)).complete
        except ClientError:
            return False

    await eventually(over)
    assert not await asyncio.to_thread(repository.exists)
    assert not await said(*containers)
    assert user.app_id not in await said(*folders)
    assert (await user.visitor.get(f"/runtime/{user.app_id}/")).status_code == 404
    assert user.app_id not in {str(app.id) for app in await user.api.apps()}


def kill(up: Up, name: str) -> None:
    """A part of the platform dies; the supervisor starts it again."""
    pid = up.child(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def said(*argv: str) -> str:
    """What a command says."""
    done = await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True, text=True)
    return done.stdout


async def moved(up: Up, user: User, admin_token: str) -> None:
    """The workspace lives on the second node."""
    async with Transport(up.ready["api"], {ADMIN_TOKEN: admin_token}) as transport:
        admin = WorkspaceAdminClient(transport)

        async def known() -> bool:
            return SECOND in {node.name for node in (await admin.nodes()).nodes}

        await eventually(known)
        target = next(node.node_id for node in (await admin.nodes()).nodes if node.name == SECOND)
        move = await admin.start_move(user.user_id, target)

        async def over() -> bool:
            return (await admin.move(move.move_id)).state in (*_MOVED, *_STAYED)

        await eventually(over)
        found = await admin.move(move.move_id)
        assert (found.state in _MOVED, found.error) == (True, "")
