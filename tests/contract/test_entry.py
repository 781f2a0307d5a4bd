"""The platform's entry: each documented address reaches what it is for, over several nodes, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx
import pytest
from yarl import URL

from daemons.kit.nginx_entrances import STRIPPED
from tests.support import entries
from tests.support.entries import World

pytestmark = pytest.mark.real


@pytest.fixture(params=entries.ENTRIES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with entries.world(entries.ENTRIES[request.param], tmp_path) as made:
        yield made


async def test_each_address_reaches_its_own(world: World) -> None:
    await world.deployed("7", on="n1")
    await world.deployed("71", on="n2")
    ports = world.services
    world.api.nodes = {
        "appId=7": f"http://127.0.0.1:{ports['w1']}",
        "appId=71": f"http://127.0.0.1:{ports['w2']}",
        "userId=5": f"http://127.0.0.1:{ports['w2']}",
    }
    for path, name, seen in (
        ("/runtime/7/a%2Fb/c%20d?x=%26&y", "7 on n1", "/a%2Fb/c%20d?x=%26&y"),
        ("/apps/7/", "7 on n1", "/"),
        ("/runtime/71/", "71 on n2", "/"),
        ("/preview/7/a%2Fb?x=%26", "w1", "/preview/7/a%2Fb?x=%26"),
        ("/preview/71/", "w2", "/preview/71/"),
        ("/ws/5/x", "w2", "/ws/5/x"),
        ("/api/fun-ai/app/list?userId=5", "api", "/api/fun-ai/app/list?userId=5"),
        ("/api/other", "api", "/api/other"),
        ("/fun-agent/chat?x=1", "agent", "/fun-agent/chat?x=1"),
        ("/doc/a.md", "api", "/doc/a.md"),
        ("/doc-mermaid.js", "api", "/doc-mermaid.js"),
        ("/favicon.ico", "api", "/favicon.ico"),
        ("/", "api", "/"),
        ("/my-shop?x=1", "api", "/my-shop?x=1"),
        *((path, "api", path) for path in entries.PAGES),
    ):
        found = await world.seen(path)
        assert (found["name"], found["path"]) == (name, seen), path
    health = await world.visitor.get("/gateway/health")
    assert (health.status_code, health.text) == (200, "ok")


async def test_root_files_of_a_preview_are_found_by_its_page_or_by_its_cookie(world: World) -> None:
    ports = world.services
    world.api.nodes = {f"appId={app}": f"http://127.0.0.1:{ports[f'w{app}']}" for app in "12"}
    page, cookie = {"Referer": f"{world.url}/preview/1/page"}, {"Cookie": "ws_appid=2"}
    foreign = {"Referer": "http://elsewhere.example/preview/1/page"}
    for path, headers, name in (
        ("/@vite/client", cookie, "w2"),
        ("/src/main.ts?t=1", cookie, "w2"),
        ("/@react-refresh", cookie, "w2"),
        ("/__vite_ping", cookie, "w2"),
        ("/@vite/client", {**page, **cookie}, "w1"),
        ("/assets/x.js", page, "w1"),
        ("/api/todos", page, "w1"),
        ("/@vite/client", {}, "api"),
        ("/assets/x.js", cookie, "api"),
        ("/assets/x.js", foreign, "api"),
        ("/api/todos", cookie, "api"),
        ("/api/fun-ai/app/list", {**page, **cookie}, "api"),
        ("/doc/x", page, "api"),
        # An app's page may well have folders and files of these names, and links to them.
        *((path, {**page, **cookie}, "api") for path in entries.PAGES),
        ("/admin/login", page, "w1"),
        ("/metrics", page, "w1"),
        ("/internal/x", page, "w1"),
        ("/admin/nodes.html.js", page, "w1"),
    ):
        found = await world.seen(path, **headers)
        assert (found["name"], found["path"]) == (name, path), (path, headers)


async def test_a_move_is_followed(world: World) -> None:
    await world.deployed("7", on="n1")
    assert (await world.seen("/runtime/7/"))["name"] == "7 on n1"
    await world.deployed("7", on="n2")
    await entries.forgotten()
    assert (await world.seen("/runtime/7/"))["name"] == "7 on n2"
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
    assert (await world.seen("/preview/1/"))["name"] == "w1"
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w2']}"}
    await entries.forgotten()
    assert (await world.seen("/preview/1/"))["name"] == "w2"


@pytest.mark.parametrize("path", ["/runtime/9/", "/apps/9/x", "/runtime/NO/", "/runtime/", "/preview/9/", "/ws/x/"])
async def test_what_nobody_knows_is_404_as_a_page_and_as_a_document(world: World, path: str) -> None:
    await world.deployed("7", on="n1")
    page = await world.visitor.get(path, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>No " in page.text
    document = await world.visitor.get(path, headers={"Accept": "application/json"})
    assert document.status_code == 404 and document.json()["code"] == 404
    assert document.headers["content-type"].startswith("application/json")


async def test_without_an_answer_nobody_is_led_anywhere(world: World) -> None:
    await world.deployed("7", on="n1")
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
    await world.seen("/runtime/7/")
    await world.seen("/preview/1/")
    await world.plane.runner.cleanup()
    await world.api.stop()
    await entries.forgotten()
    expected = {"/runtime/7/": 503, "/preview/1/": 503, "/api/fun-ai/app/list": 502}
    # At once: who does not listen is tried for seconds.
    answers = [world.visitor.get(path, headers={"Accept": "application/json"}) for path in expected]
    for (path, status), answer in zip(expected.items(), await asyncio.gather(*answers), strict=True):
        assert (answer.status_code, answer.json()["code"]) == (status, status), path
        assert answer.headers["cache-control"] == "no-store"
    await world.api.start()
    assert (await world.seen("/preview/1/"))["name"] == "w1"


async def test_a_node_that_does_not_answer_is_told_of(world: World) -> None:
    world.api.nodes = {"appId=1": "http://127.0.0.1:1"}
    answer = await world.visitor.get("/preview/1/", headers={"Accept": "text/html"})
    assert answer.status_code == 502 and "does not answer" in answer.text


async def test_what_an_app_answers_itself_is_its_own(world: World) -> None:
    await world.deployed("7", on="n1")
    wrong = await world.visitor.get("/runtime/7/?answer=Location: /elsewhere")
    assert wrong.headers["location"] == "/elsewhere"
    await world.nodes["n1"].driver.remove("7")
    gone = await world.visitor.get("/runtime/7/", headers={"Accept": "application/json"})
    assert (gone.status_code, gone.json()["reason"]) == (404, "app_absent")


async def test_no_header_of_the_platforms_own_comes_from_outside(world: World) -> None:
    await world.deployed("7", on="n1")
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
    forged = {name: "forged" for name in STRIPPED} | {
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
        "X-Real-IP": "6.6.6.6", "X-Admin-Token": "of-an-operator", "Authorization": "Bearer mine", "Cookie": "a=1",
    }  # fmt: skip
    host = httpx.URL(world.url).netloc.decode()
    for path in ("/api/fun-ai/app/list", "/preview/1/", "/fun-agent/x", "/runtime/7/"):
        got = (await world.seen(path, **forged))["headers"]
        kept = {name for name, value in got.items() if value == "forged"}
        assert kept == set(), path
        assert (got["host"], got["x-forwarded-host"], got["x-forwarded-proto"]) == (host, host, "http")
        assert got["x-forwarded-for"] == "127.0.0.1" and "6.6.6.6" not in got.values()
        assert (got["authorization"], got["cookie"]) == ("Bearer mine", "a=1")
        assert ("x-admin-token" in got) is (path == "/api/fun-ai/app/list")
    (asked, *_) = world.api.asked
    assert not set(asked) & {"authorization", "cookie", "x-admin-token", "x-real-ip"}


async def test_an_app_behind_a_node_is_told_who_its_visitor_is(world: World) -> None:
    await world.deployed("7", on="n1")
    visitor = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
    async with httpx.AsyncClient(transport=visitor, timeout=60) as client:
        for url in (world.url, world.nodes["n1"].url):
            # By way of the entry, and past it: the node believes the entry's address alone.
            told = (await client.get(f"{url}/runtime/7/", headers=forged)).json()["headers"]
            assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.2", "http")
            assert "x-gateway-hop" not in told


@pytest.mark.parametrize(
    "path",
    [
        "/api/fun-ai/workspace/internal/gateway/node?appId=1",
        "/api/fun-ai/workspace/%69nternal/gateway/node?appId=1",
        "/api/fun-ai/workspace/x/../internal/gateway/node?appId=1",
        "/api/fun-ai/workspace/internal/cleanup-orphaned",
        "/api/fun-ai/internal/apps/ids",
        "//api/fun-ai/internal/apps/ids",
        "/metrics",
        "/%6Detrics",
        "/internal/health",
        "//internal/ready",
    ],
)
async def test_what_daemons_say_to_each_other_is_closed(world: World, path: str) -> None:
    async with aiohttp.ClientSession() as visitor:
        answer = await visitor.post(_as_written(world, path), headers={"Accept": "application/json"})
        assert answer.status == 404
        assert (await answer.json())["message"] == "No such address: Nothing here is for visitors."


def _as_written(world: World, path: str) -> URL:
    return URL(world.url + path, encoded=True)


async def test_event_streams_come_as_they_are_sent(world: World) -> None:
    await world.deployed("7", on="n1")
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
    for path in ("/fun-agent/chat?events", "/runtime/7/?events", "/preview/1/?events", "/api/fun-ai/events?events"):
        async with world.visitor.stream("GET", path) as answer, asyncio.timeout(60):
            # It never ends: what comes was not kept back until it did.
            assert "data: " in await anext(answer.aiter_text())


async def test_an_upload_begins_before_all_of_it_is_there(world: World) -> None:
    await world.deployed("7", on="n1")
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.05)

    async with aiohttp.ClientSession() as visitor:
        for path in ("/api/fun-ai/upload", "/preview/1/upload", "/runtime/7/upload", "/fun-agent/upload"):
            async with asyncio.timeout(60), visitor.post(f"{world.url}{path}?events", data=endless()) as answer:
                assert answer.status == 200


async def test_websockets_pass(world: World) -> None:
    await world.deployed("7", on="n1")
    world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
    async with aiohttp.ClientSession(cookies={"ws_appid": "1"}) as visitor:
        for path, name in (
            ("/runtime/7/socket", "7 on n1"),
            ("/preview/1/socket", "w1"),
            ("/_next/webpack-hmr", "w1"),
            ("/api/fun-ai/workspace/ws/terminal", "api"),
            ("/fun-agent/socket", "agent"),
        ):
            async with visitor.ws_connect(world.url + path) as socket:
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=60) == f"{name}:hello", path


async def test_a_request_has_one_id_all_the_way(world: World) -> None:
    await world.deployed("7", on="n1")
    for path in ("/runtime/7/?answer=X-Request-Id: other", "/api/fun-ai/x?answer=X-Request-Id: other", "/fun-agent/x"):
        kept = await world.seen(path, **{"X-Request-Id": "abc123"})
        assert kept["headers"]["x-request-id"] == kept["answered"]["x-request-id"] == "abc123"
        for bad in ("", "a b", "x" * 65, "1;DROP", "a,b"):
            made = await world.seen(path, **{"X-Request-Id": bad})
            name = made["headers"]["x-request-id"]
            assert name == made["answered"]["x-request-id"] and name.isalnum() and len(name) == 32
    lost = await world.visitor.get("/runtime/9/", headers={"X-Request-Id": "abc123"})
    assert lost.headers["x-request-id"] == "abc123"


async def test_a_node_that_leads_back_here_is_found_out(world: World) -> None:
    world.api.nodes = {"appId=1": world.url}
    answer = await world.visitor.get("/preview/1/", headers={"Accept": "text/html"})
    assert answer.status_code == 508 and "gatewayBaseUrl" in answer.text
