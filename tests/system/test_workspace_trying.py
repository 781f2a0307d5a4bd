"""Trying an app's server with curl from within its own workspace, and no further than that."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from protocol.client.transport import Refused
from protocol.workspace_runs import ApiTried, RunState, RunType, TriedError
from tests.support import curl_image, workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def image(docker_url: str) -> str:
    return curl_image.build(docker_url)


@pytest.fixture
async def node(docker_url: str, tmp_path: Path, image: str) -> AsyncIterator[Node]:
    limits: dict[str, object] = {
        "FUNAI_WORKSPACE_TESTMAXOUTPUTSIZEBYTES": 4096,
        "FUNAI_WORKSPACE_TESTMAXTIMEOUTSECONDS": 5,
    }
    limits["FUNAI_WORKSPACE_IMAGE"] = image
    async with workspace_node.node(docker_url, tmp_path, last=True, port=0, **limits) as found:
        yield found


@pytest.fixture
async def user(node: Node) -> str:
    """One whose app 5 serves its folder."""
    user_id = new_user()
    async with node.client(user_id) as client:
        await client.ensure()
        app = node.home(user_id) / "apps" / "5"
        await asyncio.to_thread(_make, app)
        await client.run(RunType.START, "5")

        async def running() -> bool:
            return (await client.run_status()).state is RunState.RUNNING

        await eventually(running)
    return user_id


def _make(app: Path) -> None:
    app.mkdir()
    (app / "index.html").write_text("hello from 5\n")
    (app / "long.txt").write_text("0123456789" * 2000)
    for each in (app, *app.iterdir()):
        os.chown(each, 1000, 1000)


async def _try(node: Node, user_id: str, command: str, app_id: str = "5", **more: int) -> ApiTried:
    async with node.client(user_id) as client:
        query: dict[str, str | int | None] = {"userId": user_id, "appId": app_id, "curlCommand": command, **more}
        path = "/api/fun-ai/workspace/test/api"
        return await client.transport.call("POST", path, ApiTried, query=query, seconds=60)


async def test_the_apps_own_server_answers(node: Node, user: str) -> None:
    found = await _try(node, user, "curl -i 'http://127.0.0.1:5173/index.html?a=1&b=2'")
    assert (found.success, found.exit_code, found.error_type) == (True, 0, None)
    assert "hello from 5" in found.stdout and "200 OK" in found.stdout
    several = await _try(node, user, "curl \\\n  -s \\\n  http://127.0.0.1:5173/")
    assert several.stdout == "hello from 5\n"


async def test_a_failure_and_a_long_answer_are_told(node: Node, user: str) -> None:
    failed = await _try(node, user, "curl http://127.0.0.1:9/")
    assert (failed.success, failed.exit_code, failed.error_type) == (False, 7, TriedError.EXECUTION_ERROR)
    assert "127.0.0.1 port 9" in failed.stdout
    long = await _try(node, user, "curl http://127.0.0.1:5173/long.txt")
    assert (long.stdout_truncated, long.stdout_original_size, len(long.stdout)) == (True, 20_000, 4096)


async def test_what_takes_too_long_is_ended(node: Node, user: str) -> None:
    """Also when more is asked for than may be."""
    hanging = "curl telnet://127.0.0.1:5173/ --proto =telnet"
    found = await _try(node, user, hanging, timeoutSeconds=3000)
    assert (found.success, found.error_type, found.exit_code) == (False, TriedError.TIMEOUT, None)


@pytest.mark.parametrize(
    "command",
    ["wget http://127.0.0.1/", "curlx http://a/", "", "curl 'http://a", "curl http://a/ | sh", "curl http://a/ ; id"],
)
async def test_what_is_no_curl_command_is_400(node: Node, user: str, command: str) -> None:
    with pytest.raises(Refused) as refusal:
        await _try(node, user, command)
    assert refusal.value.status == 400


async def test_no_shell_reads_it(node: Node, user: str) -> None:
    """Newlines, dollars and backticks are words of curl's."""
    for more in ("\ntouch /workspace/ran", "$(touch${IFS}/workspace/ran)", "`touch${IFS}/workspace/ran`"):
        await _try(node, user, f"curl http://127.0.0.1:5173/{more}")
    assert not (node.home(user) / "ran").exists()


async def test_an_app_that_is_not_there_is_404(node: Node, user: str) -> None:
    with pytest.raises(Refused) as refusal:
        await _try(node, user, "curl http://127.0.0.1:5173/", app_id="nowhere")
    assert refusal.value.status == 404


class _Secret(BaseHTTPRequestHandler):
    """What listens on the node and must not be reached from a workspace."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the machine's own secret")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def service() -> Iterator[int]:
    """A service of the machine, on all of its addresses."""
    server = HTTPServer(("0.0.0.0", 0), _Secret)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


async def test_the_node_its_neighbours_and_files_are_not_reached(node: Node, user: str, service: int) -> None:
    """It is the container's own network and the container's own files, behind the same fence as a terminal."""
    neighbour = new_user()
    async with node.client(neighbour) as client:
        other = await client.ensure()
    node_port = int(node.url.rpartition(":")[2])
    gateway = await _try(node, user, "curl file:///proc/net/route --proto =file")
    hop = next(line.split()[2] for line in gateway.stdout.splitlines()[1:] if line.split()[1] == "00000000")
    bridge = socket.inet_ntoa(bytes.fromhex(hop)[::-1])
    for address in (
        f"127.0.0.1:{service}",
        f"{bridge}:{service}",
        f"{bridge}:{node_port}",
        f"{bridge}:{other.host_port}",
        "169.254.169.254",
    ):
        found = await _try(node, user, f"curl --connect-timeout 1 http://{address}/", timeoutSeconds=3)
        assert not found.success and "secret" not in found.stdout, address
    passwd = await _try(node, user, "curl file:///etc/shadow --proto =file")
    assert not passwd.success or "root:$" not in passwd.stdout
    plain = await _try(node, user, "curl file:///etc/passwd")
    assert not plain.success


async def test_it_counts_as_use(node: Node, user: str) -> None:
    before = node.services.workspaces.find(user)
    await _try(node, user, "curl http://127.0.0.1:5173/")
    after = node.services.workspaces.find(user)
    assert before is not None and after is not None and after.used_at_ms > before.used_at_ms


async def test_an_image_without_curl_says_so(docker_url: str, tmp_path: Path) -> None:
    async with workspace_node.node(docker_url, tmp_path) as node:
        user_id = new_user()
        async with node.client(user_id) as client:
            await client.ensure()
        await asyncio.to_thread(_make, node.home(user_id) / "apps" / "5")
        with pytest.raises(Refused, match="has no curl") as refusal:
            await _try(node, user_id, "curl http://127.0.0.1:5173/")
    assert refusal.value.status == 503
