"""What visitors of HAProxy and nginx may expect: where they get to, what they cannot say, what they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import product

import aiohttp
import pytest
from yarl import URL

from daemons.agent.domain.visitors import InFlight, Notice, Patience
from tests.support import real
from tests.support.eventually import eventually
from tests.support.gateways import AnyGateway, Backends, Running, RunningNginx

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=[Running, RunningNginx])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyGateway]:
    running: AnyGateway = request.param(tmp_path_factory.mktemp("gw"))
    with real.process(running.argv(), running.folder / "log"):
        real.wait_until(lambda: real.listening(running.port), "the gateway's start")
        yield running


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    running = Backends()
    yield running
    await running.close()


async def test_prefixes_are_whole_segments_and_stripped(gateway: AnyGateway, backends: Backends) -> None:
    one, twelve = await backends.serve("one"), await backends.serve("twelve")
    await gateway.driver.reconcile(lambda: {"1": one, "12": twelve})
    async with aiohttp.ClientSession(gateway.url) as session:
        for path, name, seen in [
            ("/runtime/1/", "one", "/"),
            ("/runtime/12/", "twelve", "/"),
            ("/apps/1/a%2Fb/%20?c=d&e=%2F", "one", "/a%2Fb/%20?c=d&e=%2F"),
            ("/runtime/1/runtime/12/", "one", "/runtime/12/"),
        ]:
            async with session.get(URL(gateway.url + path, encoded=True)) as response:
                answer = await response.json()
                assert (answer["name"], answer["path"]) == (name, seen)
                assert answer["headers"]["x-forwarded-prefix"] == "/".join(path.split("/")[:3]), path
        for path in (
            "/",
            "/runtime",
            "/runtime/",
            "/runtime/123/",
            "/runtime/2/",
            "/runtimes/1/",
            "//runtime/1/",
            "/x/1/",
        ):
            async with session.get(URL(gateway.url + path, encoded=True)) as response:
                assert (response.status, "No such app" in await response.text()) == (404, True), path
        async with session.get("/gateway/health") as response:
            assert (response.status, await response.text()) == (200, "ok")


async def test_a_prefix_without_slash_redirects(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    async with aiohttp.ClientSession(gateway.url) as session:
        for path, to in [("/runtime/1", "/runtime/1/"), ("/apps/1?a=b&c=%26", "/apps/1/?a=b&c=%26")]:
            async with session.post(path, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (308, to)


async def test_visitors_cannot_speak_for_the_platform(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    forged = {
        name: "forged"
        for name in (
            "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Port",
            "x_forwarded_for", "X-Real-IP", "Forwarded", "X-Runtime-Token", "X-Admin-Token", "X-DEPLOY-SECRET",
            "X-Runner-Token", "X-RT-Node-Token", "X_Admin_Token",
        )
    }  # fmt: skip
    async with (
        aiohttp.ClientSession(gateway.url) as session,
        session.get("/runtime/1/", headers={**forged, "X-Own": "kept", "Authorization": "app's"}) as response,
    ):
        got = (await response.json())["headers"]
    assert "forged" not in got.values()
    assert (got["x-own"], got["authorization"]) == ("kept", "app's")
    assert (got["x-forwarded-for"], got["x-forwarded-proto"]) == ("127.0.0.1", "http")


async def test_visitors_cannot_take_headers_away_or_change_the_protocol(
    gateway: AnyGateway, backends: Backends
) -> None:
    """A name in `Connection` asks the next hop to drop that header; `Upgrade: h2c` opens a tunnel nobody looks into."""
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    address = URL(gateway.url)
    for forged in ("Connection: close, X-Forwarded-For", "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c"):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET /runtime/1/ HTTP/1.1\r\nHost: x\r\n{forged}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        got = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
        assert not {"connection", "upgrade"} & set(got), forged
        assert got["x-forwarded-for"] == "127.0.0.1"


_COOKIES = [
    ("a=1", "a=1"),
    ("a=1; Path=/", "a=1; Path=/runtime/1/"),
    ("a=1; path = /x/ ;HttpOnly", "a=1;HttpOnly; Path=/runtime/1/x/"),
    ("a=1; Path=/runtime/1", "a=1; Path=/runtime/1"),
    ("a=1; Path=/runtime/1/x; Secure", "a=1; Secure; Path=/runtime/1/x"),
    ("a=1; Path=/runtime/12/", "a=1; Path=/runtime/1/runtime/12/"),
    ("a=1; Path=/apps/12/; Path=/runtime/12/", "a=1; Path=/runtime/1/runtime/12/"),
    ("a=1; Path=/; Path", "a=1"),
    ("a=1; Path=x; PATH=", "a=1"),
    ("a=1;\tDomain\t=\texample.com; domain=127.0.0.1; SameSite=None", "a=1; SameSite=None"),
    ('a="b; Path=/; Domain=example.com"', 'a="b; Path=/runtime/1/'),
    (
        "a=1; Expires=Wed, 09 Jun 2100 10:18:14 GMT; Path=/",
        "a=1; Expires=Wed, 09 Jun 2100 10:18:14 GMT; Path=/runtime/1/",
    ),
    ("a=Path=/; b=2", "a=Path=/; b=2"),
    ("", ""),
]


async def test_cookies_of_an_app_stay_below_its_address(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    query = [("answer", f"Set-Cookie: {cookie}") for cookie, _ in _COOKIES]
    async with aiohttp.ClientSession(gateway.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.get("/runtime/1/", params=query) as response:
            got = response.headers.getall("Set-Cookie")
        if isinstance(gateway, Running):
            assert got == [confined for _, confined in _COOKIES]
        for (given, confined), cookie in zip(_COOKIES, got, strict=True):
            # nginx takes no tab for a space; a page's script could set such a cookie as well.
            assert _means(cookie) == _means(confined) or ("\t" in given and isinstance(gateway, RunningNginx)), given
        async with session.get("/apps/1/", params=[("answer", "Set-Cookie: a=1; Path=/")]) as response:
            assert response.headers.getall("Set-Cookie") == ["a=1; Path=/apps/1/"]
        async with session.get("/runtime/1/") as response:
            assert "Set-Cookie" not in response.headers


def _means(cookie: str) -> tuple[str, dict[str, str]]:
    """What a browser takes of it (RFC 6265, section 5.2): the last of a kind counts."""
    pair, *attributes = cookie.split(";")
    split = (attribute.partition("=") for attribute in attributes)
    kept = {name.strip().lower(): value.strip() for name, _, value in split}
    if not kept.get("path", "").startswith("/"):
        kept.pop("path", None)
    if not kept.get("domain"):
        kept.pop("domain", None)
    return pair.strip(), kept


async def test_a_visitor_of_two_apps_brings_neither_the_others_cookies(gateway: AnyGateway, backends: Backends) -> None:
    """The jar keeps to RFC 6265, as browsers do; it holds one visitor's cookies for the gateway's one address."""
    one, two = await backends.serve("one"), await backends.serve("two")
    await gateway.driver.reconcile(lambda: {"1": one, "2": two})
    given = ["a=1", "b=1; Path=/", "c=1; Path=/runtime/2/", "d=1; Path=/runtime", "e=1; Path=/; Domain=127.0.0.1"]
    params = [("answer", f"Set-Cookie: {cookie}") for cookie in given]
    async with aiohttp.ClientSession(gateway.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        for path in ("/runtime/1/", "/runtime/1/deep/er", "/apps/1/"):
            async with session.get(path, params=params):
                pass
        brought = {}
        for path in ("/runtime/1/", "/runtime/2/", "/apps/2/", "/apps/1/", "/runtime/2/x"):
            async with session.get(path) as response:
                brought[path] = (await response.json())["headers"].get("cookie", "")
    assert sorted(brought["/runtime/1/"].split("; ")) == ["a=1", "b=1", "e=1"]
    assert sorted(brought["/apps/1/"].split("; ")) == ["a=1", "b=1", "e=1"]
    assert [brought[path] for path in ("/runtime/2/", "/apps/2/", "/runtime/2/x")] == ["", "", ""]


async def test_an_app_decides_nothing_for_the_whole_origin(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    refused = ("Service-Worker-Allowed: /", 'Clear-Site-Data: "*"', "NEL: {}", "Report-To: {}", 'Alt-Svc: h2="x:1"')
    given = [*refused, "Strict-Transport-Security: max-age=1", "X-Own: kept"]
    async with (
        aiohttp.ClientSession(gateway.url) as session,
        session.get("/runtime/1/", params=[("answer", line) for line in given]) as response,
    ):
        assert not {line.partition(":")[0] for line in given[:-1]} & set(response.headers)
        assert response.headers["X-Own"] == "kept"


async def test_websockets_pass_and_are_counted(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    async with aiohttp.ClientSession(gateway.url) as session, session.ws_connect("/runtime/1/ws") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "one:hello"
        assert await gateway.driver.in_flight(port) == 1
    await drained(gateway, port)


async def drained(gateway: AnyGateway, port: int) -> None:
    async def idle() -> bool:
        return await gateway.driver.in_flight(port) == 0

    await eventually(idle)


async def test_in_flight_is_exact_across_a_switch(gateway: AnyGateway, backends: Backends) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    await gateway.driver.reconcile(lambda: {"1": old})
    async with aiohttp.ClientSession(gateway.url) as session, asyncio.TaskGroup() as group:

        async def ask(path: str) -> str:
            async with session.get(path) as response:
                return str((await response.json())["name"])

        slow = [group.create_task(ask("/runtime/1/?slow=1")) for _ in range(5)]

        async def all_in() -> bool:
            return await gateway.driver.in_flight(old) == 5

        await eventually(all_in)
        await gateway.driver.route("1", new)
        assert [await ask("/runtime/1/") for _ in range(20)] == ["new"] * 20
        assert await gateway.driver.in_flight(old) == 5
        backends.release()
    assert [task.result() for task in slow] == ["old"] * 5
    await drained(gateway, old)


async def test_a_target_that_is_gone_answers_503_and_nobody_else_does(gateway: AnyGateway, backends: Backends) -> None:
    other = await backends.serve("other")
    await gateway.driver.reconcile(lambda: {"1": real.free_port(), "2": other})
    async with aiohttp.ClientSession(gateway.url) as session:
        async with session.get("/runtime/1/") as response:
            assert (response.status, "not answering" in await response.text()) == (503, True)
        if isinstance(gateway, Running):
            await gateway.tell(f"set map {gateway.map_path} 1 nonsense")
            async with session.get("/runtime/1/") as response:
                assert response.status == 503


async def test_one_app_cannot_take_every_connection(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(gateway.url, connector=connector) as session, asyncio.TaskGroup() as group:

        async def ask() -> int:
            async with session.get("/runtime/1/?slow=1") as response:
                return response.status

        tasks = [group.create_task(ask()) for _ in range(30)]

        async def refused() -> bool:
            return sum(task.done() for task in tasks) >= 10

        await eventually(refused)
        backends.release()
    assert sorted(task.result() for task in tasks) == [200] * 20 + [503] * 10


async def test_no_spelling_of_a_path_leads_into_another_app(gateway: AnyGateway, backends: Backends) -> None:
    one, two = await backends.serve("one"), await backends.serve("two")
    await gateway.driver.reconcile(lambda: {"1": one, "2": two})
    stays = {
        "/runtime/1/../2/": "/../2/",
        "/runtime/1/%2e%2e/2/": "/%2e%2e/2/",
        "/runtime/1/..%2f2/": "/..%2f2/",
        "/runtime/1//runtime/2/": "//runtime/2/",
        "/runtime/1/%2Fruntime%2F2/": "/%2Fruntime%2F2/",
        "/runtime/1/;/runtime/2/": "/;/runtime/2/",
        "http://x/runtime/1/x": "/x",
    }
    nowhere = (
        "/runtime/%31/", "/runtime/1%2F/", "/runtime%2F1/", "/%72untime/1/", "/RUNTIME/1/", "/runtime//1/",
        "//runtime/1/", "/./runtime/1/", "/x/../runtime/1/", "/runtime/1;a/", "/runtime/../apps/1/", "/runtime/1%00/",
        "/runtime/1%0a/", "/runtime/01/", "/runtime/1?/../2/x/", "/runtime/ 1/",
    )  # fmt: skip
    for path, seen in stays.items():
        status, answer = await _raw(gateway, path)
        assert (status, json.loads(answer)["name"]) == (200, "one"), path
        assert json.loads(answer)["path"].endswith(seen), path
    for path in nowhere:
        status, _ = await _raw(gateway, path)
        assert status in (400, 404, 308), path


async def _raw(gateway: AnyGateway, path: str) -> tuple[int, bytes]:
    """The status and body that a request line of exactly these characters gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_each_page_comes_in_the_form_that_was_asked_for(gateway: AnyGateway) -> None:
    silent = real.free_port()
    await gateway.driver.reconcile(lambda: {"1": silent, "2": silent, "7": None})
    await gateway.driver.announce("2", Notice.CRASHED)
    await gateway.driver.announce("3", Notice.STARTING)
    expected = {
        "/runtime/9/": (404, "app_absent", "No such app"),
        "/runtime/1/": (503, "app_silent", "not answering"),
        "/apps/2/x?y": (503, "app_crashed", "has crashed"),
        "/runtime/3/": (503, "app_starting", "is starting"),
    }
    forms = {
        "text/html,application/xhtml+xml,*/*;q=0.8": "text/html",
        "*/*": "text/html",
        "application/json": "application/json",
        "application/json, text/plain, */*": "application/json",
    }

    async def comes(session: aiohttp.ClientSession, path: str, accept: str) -> None:
        (status, reason, text), form = expected[path], forms[accept]
        async with session.get(path, headers={"Accept": accept}) as response:
            body = await response.text()
            assert (response.status, response.content_type) == (status, form), (path, accept)
            assert text in body
            assert ("Retry-After" in response.headers) == (status == 503)
            assert response.headers["Cache-Control"] == "no-store"
            if form == "application/json":
                document = json.loads(body)
                assert (document["code"], document["reason"], document["data"]) == (status, reason, None)

    # At once: who does not listen is tried for two seconds each time.
    async with aiohttp.ClientSession(gateway.url) as session, asyncio.TaskGroup() as group:
        for path, accept in product(expected, forms):
            group.create_task(comes(session, path, accept))


async def test_an_app_that_answers_is_never_hidden_by_a_notice(gateway: AnyGateway, backends: Backends) -> None:
    port = await backends.serve("one")
    await gateway.driver.reconcile(lambda: {"1": port})
    await gateway.driver.announce("1", Notice.CRASHED)
    async with aiohttp.ClientSession(gateway.url) as session, session.get("/runtime/1/") as response:
        assert response.status == 200
    await gateway.driver.remove("1")
    async with aiohttp.ClientSession(gateway.url) as session, session.get("/runtime/1/") as response:
        assert response.status == 404


async def test_sockets_and_streams_are_drained_for_their_own_time(gateway: AnyGateway, backends: Backends) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    await gateway.driver.reconcile(lambda: {"1": old})
    async with (
        aiohttp.ClientSession(gateway.url) as session,
        session.ws_connect("/runtime/1/ws") as socket,
        session.get("/runtime/1/?events", headers={"Accept": "text/event-stream"}) as stream,
        asyncio.TaskGroup() as group,
    ):
        slow = group.create_task(_name(session, "/runtime/1/?slow"))

        async def all_in() -> bool:
            return await gateway.driver.drain(old, Patience(0)) == InFlight(1, 1, 1)

        await eventually(all_in)
        await gateway.driver.route("1", new)
        backends.release()
        assert await gateway.driver.drain(old, Patience(30, 0)) == InFlight(0, 1, 1)
        assert await slow == "old"
        longer = group.create_task(gateway.driver.drain(old, Patience(0, 30)))
        await socket.send_str("still")
        assert await socket.receive_str() == "old:still"
        assert await stream.content.readline() == b"data: old\n"
        await socket.close()
        stream.close()
        assert await longer == InFlight()


async def _name(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as response:
        return str((await response.json())["name"])
