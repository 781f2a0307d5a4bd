"""Servers of previews that break off: what is safe to repeat is repeated, and what may be done already is done once.

nginx always answers. HAProxy closes a visitor's connection that has carried a request before, so that their client
repeats what is safe to repeat."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from protocol.workspace_runs import RunType
from tests.support import node_image, preview_gateway, workspace_node
from tests.support.preview_projects import put
from tests.support.workspace_node import new_user

pytestmark = pytest.mark.real
_IMAGE = "funai-test-node:1"
#: Notes what reaches it. Whatever comes second over a connection meets its end, as with a server that tires of waiting
#: at that very moment; `/once/` breaks off the first time, `/never/` each time, `/leave` lets nobody in any more.
_SERVER: Final = """const { createServer } = require('node:net');
const { appendFileSync } = require('node:fs');
const broken = new Set();
const listener = createServer((socket) => {
  let held = '', served = 0;
  const leave = (path) => (path.endsWith('reset') ? socket.resetAndDestroy() : socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (data) => {
    held += data.toString('latin1');
    for (;;) {
      const end = held.indexOf('\\r\\n\\r\\n') + 4;
      const length = Number(/content-length: *(\\d+)/i.exec(held.slice(0, end))?.[1] ?? 0);
      if (end < 4 || held.length < end + length) return;
      const [method, path] = held.split(' ');
      held = held.slice(end + length);
      appendFileSync('seen', `${method} ${path}\\n`);
      if (served++ || path.startsWith('/never/')) return leave(path);
      if (path.startsWith('/once/') && !broken.has(path)) return broken.add(path), leave(path);
      if (path === '/leave') listener.close();
      socket.write('HTTP/1.1 200 OK\\r\\nconnection: keep-alive\\r\\n');
      socket.write(method === 'HEAD' ? 'content-length: 2\\r\\n\\r\\n' : 'content-length: 2\\r\\n\\r\\nok');
    }
  });
});
listener.listen(Number(process.env.PORT), process.env.HOST);
setInterval(() => {}, 1000);
"""
_WAYS: Final = ("close", "reset")
_AT: Final = "/preview/fragile"
_SAFE: Final = ("GET", "HEAD")


@dataclass
class Fragile:
    """A preview of that server, and where it notes what reaches it."""

    gateway: str
    noted: Path
    closes: bool

    def visitor(self) -> httpx.AsyncClient:
        """Somebody with one connection, whose client repeats nothing by itself."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return httpx.AsyncClient(base_url=self.gateway, timeout=60, limits=limits, trust_env=False)

    async def ask(self, visitor: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response | None:
        """The answer; None where a connection that had carried a request before was closed instead."""
        try:
            return await visitor.request(method, f"{_AT}{path}", **more)
        except httpx.RemoteProtocolError:
            assert self.closes
            return None

    def seen(self, request: str) -> int:
        """How often that reached the server."""
        return self.noted.read_text().splitlines().count(request)


@pytest.fixture(params=preview_gateway.GATEWAYS)
async def fragile(docker_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Fragile]:
    await asyncio.to_thread(node_image.build, docker_url, _IMAGE)
    settings: dict[str, Any] = {"FUNAI_WORKSPACE_IMAGE": _IMAGE, "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "10"}
    package = {"name": "fragile", "version": "1.0.0", "scripts": {"dev": "node server.js"}}
    files = {"package.json": json.dumps(package), "server.js": _SERVER, "node_modules/.keep": "", "seen": ""}
    user = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path / "node", **settings) as node,
        preview_gateway.GATEWAYS[request.param](node.url, tmp_path / "gateway") as gateway,
        node.client(user) as owner,
    ):
        await owner.ensure()
        folder = await asyncio.to_thread(put, node, user, "fragile", files)
        await owner.run(RunType.START, "fragile")
        yield Fragile(gateway, folder / "seen", request.param == "haproxy")


def interrupted(answer: httpx.Response) -> None:
    """It says what happened, and the page tries again."""
    said = answer.headers
    assert (answer.status_code, said["cache-control"], said["retry-after"]) == (502, "no-store", "2")
    assert said["content-type"].startswith("text/html")
    assert "The preview was interrupted" in answer.text
    assert "http-equiv='refresh'" in answer.text


@pytest.mark.parametrize("way", _WAYS)
async def test_a_connection_that_is_closed_as_a_request_arrives_is_no_visitors_trouble(
    fragile: Fragile, way: str
) -> None:
    async with fragile.visitor() as visitor:
        for number in range(5):
            for method in ("GET", "POST", "HEAD", "PUT", "DELETE"):
                path = f"/{number}/{way}"
                answer = await fragile.ask(visitor, method, path)
                if answer is None:
                    assert method not in _SAFE
                else:
                    assert answer.status_code == 200, (method, answer.text)
                assert 1 <= fragile.seen(f"{method} {path}") <= (2 if method in _SAFE else 1)


@pytest.mark.parametrize("way", _WAYS)
async def test_what_is_safe_to_repeat_is_sent_again(fragile: Fragile, way: str) -> None:
    async with fragile.visitor() as visitor:
        for method in ("GET", "HEAD"):
            # The first of a connection, and one that is not.
            for number in range(2):
                path = f"/once/{method}{number}/{way}"
                assert (await visitor.request(method, f"{_AT}{path}")).status_code == 200
                assert 2 <= fragile.seen(f"{method} {path}") <= 3


@pytest.mark.parametrize("way", _WAYS)
async def test_what_may_be_done_already_is_answered_and_never_sent_again(fragile: Fragile, way: str) -> None:
    for before in range(2):
        async with fragile.visitor() as visitor:
            for number in range(before):
                assert (await visitor.get(f"{_AT}/{number}/{way}")).status_code == 200
            path = f"/once/{before}/{way}"
            answer = await fragile.ask(visitor, "POST", path, content=b"an order" * 1000)
            if answer is None:
                assert before
            else:
                interrupted(answer)
            assert fragile.seen(f"POST {path}") == 1
    async with fragile.visitor() as visitor:
        document = await visitor.put(f"{_AT}/never/{way}", content=b"x", headers={"Accept": "application/json"})
        assert (document.status_code, document.headers["content-type"]) == (502, "application/json")
        assert document.json()["reason"] == "app_interrupted"


@pytest.mark.parametrize("way", _WAYS)
async def test_repeating_has_an_end(fragile: Fragile, way: str) -> None:
    async with fragile.visitor() as visitor:
        interrupted(await visitor.get(f"{_AT}/never/{way}"))
    assert 2 <= fragile.seen(f"GET /never/{way}") <= 4


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_that_lets_nobody_in_for_a_moment(fragile: Fragile, method: str) -> None:
    """The gateway may not know it yet; the node takes the connection and has nobody to give it to."""
    async with fragile.visitor() as visitor:
        assert (await visitor.get(f"{_AT}/leave")).status_code == 200
        answer = await fragile.ask(visitor, method, "/x")
        if answer is None:
            return
        assert (answer.status_code, answer.headers["retry-after"]) in ((502, "2"), (503, "2"))
        assert "This page retries" in answer.text and "http-equiv='refresh'" in answer.text
