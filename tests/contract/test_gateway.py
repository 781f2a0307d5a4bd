"""What the agent expects of a gateway, of its twin and of HAProxy; and what visitors may expect of HAProxy."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.ports import Gateway, GatewayDown, GatewayError
from daemons.kit.gateway import Gateway as Configuration
from daemons.kit.gateway import install
from tests.support import real
from tests.support.agent_twins import TwinGateway
from tests.support.eventually import eventually


class Running:
    """A HAProxy process with a map of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = real.free_port()
        self.folder = folder
        self.map_path = folder / "routes.map"
        self.socket_path = folder / "admin.sock"
        self.url = f"http://127.0.0.1:{self.port}"
        configuration = Configuration(
            "127.0.0.1", self.port, self.map_path, self.socket_path, max_connections=200, max_per_app=20
        )
        install(configuration, folder / "haproxy.cfg")
        self.driver = HaproxyGateway(self.map_path, self.socket_path)

    def argv(self) -> list[str]:
        """As a supervisor runs it."""
        return [real.program("haproxy", "haproxy"), "-db", "-f", str(self.folder / "haproxy.cfg")]


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("gw"))
    with real.process(running.argv(), running.folder / "log"):
        real.wait_until(lambda: real.listening(running.port), "HAProxy's start")
        yield running


@pytest.fixture(params=["twin", pytest.param("haproxy", marks=pytest.mark.real)])
def chosen(request: pytest.FixtureRequest) -> Gateway:
    if request.param == "twin":
        return TwinGateway()
    driver: HaproxyGateway = request.getfixturevalue("haproxy").driver
    return driver


@pytest.fixture
async def gateway(chosen: Gateway) -> Gateway:
    await chosen.reconcile(dict)
    return chosen


async def test_routes_are_added_changed_and_removed(gateway: Gateway) -> None:
    await gateway.route("1", 20001)
    await gateway.route("12", 20012)
    await gateway.route("1", 20002)
    assert await gateway.reconcile(lambda: {"1": 20002, "12": 20012}) == 0
    await gateway.remove("1")
    await gateway.remove("1")
    assert await gateway.reconcile(lambda: {"12": 20012}) == 0


async def test_reconcile_mends_everything(gateway: Gateway) -> None:
    await gateway.route("a", 20001)
    await gateway.route("b", 20002)
    assert await gateway.reconcile(lambda: {"b": 20003, "c": 20004}) > 0
    assert await gateway.reconcile(lambda: {"b": 20003, "c": 20004}) == 0


async def test_an_app_on_hold_stays_so_until_it_has_a_port(gateway: Gateway) -> None:
    await gateway.route("1", 20001)
    await gateway.hold("1")
    await gateway.hold("2")
    assert await gateway.reconcile(lambda: {"1": None, "2": None}) == 0
    await gateway.route("1", 20002)
    assert await gateway.reconcile(lambda: {"1": 20002, "2": None}) == 0
    await gateway.remove("2")
    assert await gateway.reconcile(lambda: {"1": 20002}) == 0


async def test_nothing_is_in_flight_to_a_port_nobody_asked(gateway: Gateway) -> None:
    assert await gateway.in_flight(20077) == 0


async def test_a_gateway_that_is_down_keeps_the_file_for_its_return(tmp_path: Path) -> None:
    driver = HaproxyGateway(tmp_path / "routes.map", tmp_path / "admin.sock")
    with pytest.raises(GatewayDown):
        await driver.reconcile(lambda: {"1": 20001})
    assert (tmp_path / "routes.map").read_text() == "1 127.0.0.1:20001\n"
    with pytest.raises(GatewayDown):
        await driver.route("1", 20002)
    assert (tmp_path / "routes.map").read_text() == "1 127.0.0.1:20001\n"
    await driver.remove("1")
    assert (tmp_path / "routes.map").read_text() == ""


@pytest.mark.real
async def test_a_map_that_the_gateway_does_not_have_is_an_error(haproxy: Running) -> None:
    driver = HaproxyGateway(haproxy.folder / "other.map", haproxy.socket_path)
    with pytest.raises(GatewayError, match="RUNTIME_GATEWAY_MAP"):
        await driver.route("1", 20001)
    assert (haproxy.folder / "other.map").read_text() == ""


@pytest.mark.real
async def test_a_key_that_stands_twice_becomes_one(haproxy: Running) -> None:
    await haproxy.driver.reconcile(dict)
    for port in (20001, 20002):
        await haproxy.driver._ask(f"add map {haproxy.map_path} twice 127.0.0.1:{port}")
    assert await haproxy.driver.reconcile(lambda: {"twice": 20002}) > 0
    assert await haproxy.driver._show() == {"twice": ["127.0.0.1:20002"]}


# Visitors.


class Backends:
    """Apps that echo what reached them; with `slow` in the query they answer after `release`."""

    def __init__(self) -> None:
        self._gate = asyncio.Event()
        self._runners: list[web.AppRunner] = []

    async def serve(self, name: str) -> int:
        """The port of a new app."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Upgrade") == "websocket":
                return await _echo(name, request)
            if "slow" in request.query:
                await self._gate.wait()
            got = {key.lower(): value for key, value in request.headers.items()}
            return web.json_response({"name": name, "path": request.raw_path, "headers": got})

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    def release(self) -> None:
        """Answer the slow ones."""
        self._gate.set()

    async def close(self) -> None:
        """End all."""
        self.release()
        for runner in self._runners:
            await runner.cleanup()


async def _echo(name: str, request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"{name}:{message.data}")
    return socket


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    running = Backends()
    yield running
    await running.close()


@pytest.mark.real
async def test_prefixes_are_whole_segments_and_stripped(haproxy: Running, backends: Backends) -> None:
    one, twelve = await backends.serve("one"), await backends.serve("twelve")
    await haproxy.driver.reconcile(lambda: {"1": one, "12": twelve})
    async with aiohttp.ClientSession(haproxy.url) as session:
        for path, name, seen in [
            ("/runtime/1/", "one", "/"),
            ("/runtime/12/", "twelve", "/"),
            ("/apps/1/a%2Fb/%20?c=d&e=%2F", "one", "/a%2Fb/%20?c=d&e=%2F"),
            ("/runtime/1/runtime/12/", "one", "/runtime/12/"),
        ]:
            async with session.get(URL(haproxy.url + path, encoded=True)) as response:
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
            async with session.get(URL(haproxy.url + path, encoded=True)) as response:
                assert (response.status, "No such app" in await response.text()) == (404, True), path
        async with session.get("/gateway/health") as response:
            assert (response.status, await response.text()) == (200, "ok")


@pytest.mark.real
async def test_a_prefix_without_slash_redirects(haproxy: Running, backends: Backends) -> None:
    port = await backends.serve("one")
    await haproxy.driver.reconcile(lambda: {"1": port})
    async with aiohttp.ClientSession(haproxy.url) as session:
        for path, to in [("/runtime/1", "/runtime/1/"), ("/apps/1?a=b&c=%26", "/apps/1/?a=b&c=%26")]:
            async with session.post(path, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (308, to)


@pytest.mark.real
async def test_visitors_cannot_speak_for_the_platform(haproxy: Running, backends: Backends) -> None:
    port = await backends.serve("one")
    await haproxy.driver.reconcile(lambda: {"1": port})
    forged = {
        name: "forged"
        for name in (
            "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Port",
            "x_forwarded_for", "X-Real-IP", "Forwarded", "X-Runtime-Token", "X-Admin-Token", "X-DEPLOY-SECRET",
            "X-Runner-Token", "X-RT-Node-Token", "X_Admin_Token",
        )
    }  # fmt: skip
    async with (
        aiohttp.ClientSession(haproxy.url) as session,
        session.get("/runtime/1/", headers={**forged, "X-Own": "kept", "Authorization": "app's"}) as response,
    ):
        got = (await response.json())["headers"]
    assert "forged" not in got.values()
    assert (got["x-own"], got["authorization"]) == ("kept", "app's")
    assert (got["x-forwarded-for"], got["x-forwarded-proto"]) == ("127.0.0.1", "http")


@pytest.mark.real
async def test_visitors_cannot_take_headers_away_or_change_the_protocol(haproxy: Running, backends: Backends) -> None:
    """A name in `Connection` asks the next hop to drop that header; `Upgrade: h2c` opens a tunnel nobody looks into."""
    port = await backends.serve("one")
    await haproxy.driver.reconcile(lambda: {"1": port})
    address = URL(haproxy.url)
    for forged in ("Connection: close, X-Forwarded-For", "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c"):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET /runtime/1/ HTTP/1.1\r\nHost: x\r\n{forged}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        got = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
        assert not {"connection", "upgrade"} & set(got), forged
        assert got["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.real
async def test_websockets_pass_and_are_counted(haproxy: Running, backends: Backends) -> None:
    port = await backends.serve("one")
    await haproxy.driver.reconcile(lambda: {"1": port})
    async with aiohttp.ClientSession(haproxy.url) as session, session.ws_connect("/runtime/1/ws") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "one:hello"
        assert await haproxy.driver.in_flight(port) == 1
    await drained(haproxy, port)


async def drained(haproxy: Running, port: int) -> None:
    async def idle() -> bool:
        return await haproxy.driver.in_flight(port) == 0

    await eventually(idle)


@pytest.mark.real
async def test_in_flight_is_exact_across_a_switch(haproxy: Running, backends: Backends) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    await haproxy.driver.reconcile(lambda: {"1": old})
    async with aiohttp.ClientSession(haproxy.url) as session, asyncio.TaskGroup() as group:

        async def ask(path: str) -> str:
            async with session.get(path) as response:
                return str((await response.json())["name"])

        slow = [group.create_task(ask("/runtime/1/?slow=1")) for _ in range(5)]

        async def all_in() -> bool:
            return await haproxy.driver.in_flight(old) == 5

        await eventually(all_in)
        await haproxy.driver.route("1", new)
        assert [await ask("/runtime/1/") for _ in range(20)] == ["new"] * 20
        assert await haproxy.driver.in_flight(old) == 5
        backends.release()
    assert [task.result() for task in slow] == ["old"] * 5
    await drained(haproxy, old)


@pytest.mark.real
async def test_a_target_that_is_gone_answers_503_and_nobody_else_does(haproxy: Running, backends: Backends) -> None:
    other = await backends.serve("other")
    await haproxy.driver.reconcile(lambda: {"1": real.free_port(), "2": other})
    async with aiohttp.ClientSession(haproxy.url) as session:
        async with session.get("/runtime/1/") as response:
            assert (response.status, "not answering" in await response.text()) == (503, True)
        await haproxy.driver._ask(f"set map {haproxy.map_path} 1 nonsense")
        async with session.get("/runtime/1/") as response:
            assert response.status == 503


@pytest.mark.real
async def test_one_app_cannot_take_every_connection(haproxy: Running, backends: Backends) -> None:
    port = await backends.serve("one")
    await haproxy.driver.reconcile(lambda: {"1": port})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(haproxy.url, connector=connector) as session, asyncio.TaskGroup() as group:

        async def ask() -> int:
            async with session.get("/runtime/1/?slow=1") as response:
                return response.status

        tasks = [group.create_task(ask()) for _ in range(30)]

        async def refused() -> bool:
            return sum(task.done() for task in tasks) >= 10

        await eventually(refused)
        backends.release()
    assert sorted(task.result() for task in tasks) == [200] * 20 + [503] * 10
