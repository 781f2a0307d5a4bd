"""Routes outlive reloads and crashes of HAProxy, of the agent and of both, and no request in between is failed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.domain.visitors import Patience
from tests.support import real
from tests.support.eventually import eventually
from tests.support.gateways import Backends, Running

pytestmark = pytest.mark.real

_ROUTES = 10_000
#: An agent that does nothing but switch, until it is killed.
_SWITCHER = """
import asyncio, sys
from pathlib import Path
from daemons.agent.adapters.haproxy import HaproxyGateway

async def main(map_path, socket_path, *ports):
    driver = HaproxyGateway(Path(map_path), Path(socket_path))
    await driver.reconcile(lambda: {"1": int(ports[0])})
    print("switching", flush=True)
    while True:
        for port in ports:
            await driver.route("1", int(port))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Running:
    return Running(tmp_path)


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    running = Backends()
    yield running
    await running.close()


class Visitors:
    """Keep-alive connections that ask without a pause; every answer's name is kept, every failure too."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []
        self.failures: list[str] = []

    @asynccontextmanager
    async def asking(self, connections: int = 6) -> AsyncIterator[None]:
        """For the block."""
        async with aiohttp.ClientSession(self.url) as session, asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(session)) for _ in range(connections)]
            yield
            for task in tasks:
                task.cancel()

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        while True:
            try:
                async with session.get("/runtime/1/") as response:
                    text = await response.text()
                    if response.status != 200:
                        self.failures.append(f"{response.status} {text[:200]}")
                    else:
                        self.seen.append((await response.json())["name"])
            except aiohttp.ClientError as error:
                self.failures.append(repr(error))


async def test_reloads_under_traffic_fail_no_request_and_keep_switches(
    gateway: Running, tmp_path: Path, backends: Backends
) -> None:
    """Each former container is taken away as soon as its drain says so, whichever process served it."""
    with real.process(gateway.argv(), tmp_path / "log") as master:
        real.wait_until(lambda: real.listening(gateway.port), "HAProxy's start")
        port = await backends.serve("0")
        await gateway.driver.reconcile(lambda: {"1": port})
        visitors = Visitors(gateway.url)
        async with visitors.asking(), aiohttp.ClientSession(gateway.url) as session, asyncio.TaskGroup() as group:
            for number in range(1, 6):
                slow = group.create_task(_after(session, "/runtime/1/?pause=0.4"))
                await _until_in_flight(gateway.driver, port)
                master.send_signal(signal.SIGUSR2)
                former, port = port, await backends.serve(str(number))
                await gateway.driver.route("1", port)
                async with session.get("/runtime/1/") as response:
                    assert (await response.json())["name"] == str(number)
                left = await gateway.driver.drain(former, Patience(20))
                assert left.total == 0
                await backends.stop(former)
                assert await slow == str(number - 1)
        assert visitors.failures == []
        assert {str(number) for number in range(6)} <= set(visitors.seen)


async def _after(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as response:
        return str((await response.json())["name"])


async def _until_in_flight(driver: HaproxyGateway, port: int) -> None:
    async def begun() -> bool:
        return await driver.in_flight(port) > 0

    await eventually(begun)


async def test_a_killed_gateway_has_every_route_before_it_takes_traffic(
    gateway: Running, tmp_path: Path, backends: Backends
) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    gateway.map_path.write_text("".join(f"{app} 127.0.0.1:{old}\n" for app in range(_ROUTES)))
    with real.process(gateway.argv(), tmp_path / "log") as master:
        real.wait_until(lambda: real.listening(gateway.port), "HAProxy's start")
        await gateway.driver.route("7", new)
        master.kill()
        await asyncio.to_thread(master.wait)
    real.wait_until(lambda: not real.listening(gateway.port), "the end of HAProxy's processes")
    # A switch that had reached the file alone when everything ended.
    await gateway.driver._routes.file("8", f"127.0.0.1:{new}")
    with real.process(gateway.argv(), tmp_path / "log"):
        async with aiohttp.ClientSession(gateway.url) as session:
            answers = {
                app: await _first_answer(session, f"/runtime/{app}/") for app in ("7", "8", "0", str(_ROUTES - 1))
            }
        assert answers == {"7": "new", "8": "new", "0": "old", str(_ROUTES - 1): "old"}
        # An agent that comes back finds nothing to mend.
        wanted = {str(app): old for app in range(_ROUTES)} | {"7": new, "8": new}
        assert await HaproxyGateway(gateway.map_path, gateway.socket_path).reconcile(lambda: wanted) == 0


async def _first_answer(session: aiohttp.ClientSession, path: str) -> str:
    """The first answer at all: a refused connection is none."""
    while True:
        try:
            async with session.get(path) as response:
                assert response.status == 200
                return str((await response.json())["name"])
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.01)


async def test_an_agent_killed_while_it_switches_fails_nobody(
    gateway: Running, tmp_path: Path, backends: Backends
) -> None:
    ports = [await backends.serve("a"), await backends.serve("b")]
    argv = [sys.executable, "-c", _SWITCHER, str(gateway.map_path), str(gateway.socket_path), *map(str, ports)]
    with real.process(gateway.argv(), tmp_path / "log"):
        real.wait_until(lambda: real.listening(gateway.port), "HAProxy's start")
        visitors = Visitors(gateway.url)
        await gateway.driver.reconcile(lambda: {"1": ports[0]})
        async with visitors.asking(2):
            for moment in (0.01, 0.08):
                agent = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
                assert agent.stdout is not None
                assert await agent.stdout.readline() == b"switching\n"
                await asyncio.sleep(moment)
                agent.kill()
                await agent.wait()
                filed = gateway.map_path.read_text()
                assert filed in {f"1 127.0.0.1:{port}\n" for port in ports}
                back = HaproxyGateway(gateway.map_path, gateway.socket_path)
                await back.reconcile(lambda: {"1": ports[1]})
                assert await back.reconcile(lambda: {"1": ports[1]}) == 0
        assert visitors.failures == []
