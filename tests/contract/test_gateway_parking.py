"""Visitors of an app that changes over wait for its new address: none fails, and the other apps notice nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.kit.gateway import Gateway, install
from tests.support import real
from tests.support.eventually import eventually

pytestmark = pytest.mark.real


class Parked:
    """A gateway that lets at most `max_per_app` wait, for `hold_seconds`, and an app behind it."""

    def __init__(self, folder: Path, *, max_per_app: int, hold_seconds: int) -> None:
        self.port = real.free_port()
        self.config = folder / "haproxy.cfg"
        map_path, socket_path = folder / "routes.map", folder / "admin.sock"
        settings = Gateway("127.0.0.1", self.port, map_path, socket_path, 200, max_per_app, hold_seconds=hold_seconds)
        install(settings, self.config)
        self.driver = HaproxyGateway(map_path, socket_path)
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def parked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parked]:
    gateway = Parked(tmp_path, **request.param)
    argv = [real.program("haproxy", "haproxy"), "-db", "-f", str(gateway.config)]
    with real.process(argv, tmp_path / "log"):
        real.wait_until(lambda: real.listening(gateway.port), "HAProxy's start")
        yield gateway


@pytest.fixture
async def app_port() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        text = f"{request.method} {len(await request.read())}"
        return web.Response(text=text, headers={"Set-Cookie": "a=1; Path=/; Domain=127.0.0.1"})

    app = web.Application(client_max_size=4 * 1024**2)
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("parked", [{"max_per_app": 100, "hold_seconds": 30}], indirect=True)
async def test_requests_of_an_app_on_hold_wait_and_none_fails(parked: Parked, app_port: int) -> None:
    await parked.driver.reconcile(lambda: {"1": None, "2": app_port})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(parked.url, connector=connector) as session, asyncio.TaskGroup() as group:

        async def send(size: int) -> tuple[int, str]:
            async with session.post("/runtime/1/", data=b"x" * size) as response:
                return response.status, await response.text()

        # Bodies larger than any buffer of the gateway wait as well.
        sizes = [0, 10, 100_000, 900_000] * 10
        waiting = [group.create_task(send(size)) for size in sizes]
        for _ in range(50):
            async with session.get("/runtime/2/") as response:
                assert response.status == 200
        assert not any(task.done() for task in waiting)
        await parked.driver.route("1", app_port)
    assert [task.result() for task in waiting] == [(200, f"POST {size}") for size in sizes]


@pytest.mark.parametrize("parked", [{"max_per_app": 100, "hold_seconds": 30}], indirect=True)
async def test_cookies_stay_below_their_path_also_for_those_who_waited(parked: Parked, app_port: int) -> None:
    await parked.driver.reconcile(lambda: {"1": None, "2": app_port})
    async with aiohttp.ClientSession(parked.url) as session, asyncio.TaskGroup() as group:

        async def cookie(path: str) -> str:
            async with session.get(path) as response:
                return response.headers["Set-Cookie"]

        waiting = [group.create_task(cookie("/runtime/1/")) for _ in range(8)]
        assert await cookie("/runtime/2/") == "a=1; Path=/runtime/2/"
        await parked.driver.route("1", app_port)
    assert {task.result() for task in waiting} == {"a=1; Path=/runtime/1/"}


@pytest.mark.parametrize("parked", [{"max_per_app": 3, "hold_seconds": 1}], indirect=True)
async def test_the_wait_and_the_number_of_those_who_wait_are_bounded(parked: Parked) -> None:
    await parked.driver.reconcile(lambda: {"1": None})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(parked.url, connector=connector) as session:

        async def ask(ended: list[int]) -> None:
            async with session.get("/runtime/1/") as response:
                ended.append(response.status)

        ended: list[int] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask(ended))

            async def refused() -> bool:
                return len(ended) >= 5

            await eventually(refused)
            # Five were refused at once; three wait for the second that they may.
            assert ended == [503] * 5
        assert ended == [503] * 8
        await parked.driver.remove("1")
        async with session.get("/runtime/1/") as response:
            assert response.status == 404
