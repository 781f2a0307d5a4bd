"""Links that nginx reads: routes outlive reloads and crashes of nginx and of the agent, and no request fails."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from daemons.agent.adapters.nginx import NginxGateway
from daemons.agent.domain.visitors import InFlight, Patience
from daemons.agent.ports import GatewayDown, GatewayError
from tests.contract.test_gateway_restarts import Visitors
from tests.support import real
from tests.support.eventually import eventually
from tests.support.gateways import Backends, RunningNginx

pytestmark = pytest.mark.real

#: An agent that does nothing but switch, until it is killed.
_SWITCHER = """
import asyncio, sys
from pathlib import Path
from daemons.agent.adapters.nginx import NginxGateway

async def main(folder, admin, *ports):
    driver = NginxGateway(Path(folder), admin)
    await driver.reconcile(lambda: {"1": int(ports[0])})
    print("switching", flush=True)
    while True:
        for port in ports:
            await driver.route("1", int(port))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def gateway(tmp_path: Path) -> RunningNginx:
    return RunningNginx(tmp_path)


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    running = Backends()
    yield running
    await running.close()


async def test_switches_under_traffic_fail_no_request(
    gateway: RunningNginx, tmp_path: Path, backends: Backends
) -> None:
    """Each former app is taken away as soon as its drain says so."""
    with real.process(gateway.argv(), tmp_path / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        port = await backends.serve("0")
        await gateway.driver.reconcile(lambda: {"1": port})
        visitors = Visitors(gateway.url)
        async with visitors.asking():
            for number in range(1, 6):
                former, port = port, await backends.serve(str(number))
                await gateway.driver.route("1", port)
                assert (await gateway.driver.drain(former, Patience(20))).total == 0
                await backends.stop(former)
        assert visitors.failures == []
        assert {str(number) for number in range(6)} <= set(visitors.seen)


async def test_a_former_configurations_worker_is_counted_too(
    gateway: RunningNginx, tmp_path: Path, backends: Backends
) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    with real.process(gateway.argv(), tmp_path / "log") as master:
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        await gateway.driver.reconcile(lambda: {"1": old})
        async with (
            aiohttp.ClientSession(gateway.url) as session,
            session.ws_connect("/runtime/1/ws") as socket,
            asyncio.TaskGroup() as group,
        ):
            slow = group.create_task(_name(session, "/runtime/1/?slow"))

            async def both() -> bool:
                return await gateway.driver.drain(old, Patience(0)) == InFlight(1, 1)

            await eventually(both)
            master.send_signal(signal.SIGHUP)
            await eventually(partial(asyncio.to_thread, _reloaded, master.pid))
            await gateway.driver.route("1", new)
            assert await _name(session, "/runtime/1/") == "new"
            assert await gateway.driver.drain(old, Patience(0)) == InFlight(1, 1)
            backends.release()
            assert await slow == "old"
            await socket.send_str("still")
            assert await socket.receive_str() == "old:still"
            await socket.close()
            assert await gateway.driver.drain(old, Patience(20, 20)) == InFlight()


def _workers(master: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def _reloaded(master: int) -> bool:
    """Workers of the former configuration say that they shut down."""
    return any(b"shutting down" in Path(f"/proc/{child}/cmdline").read_bytes() for child in _workers(master))


async def _name(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as response:
        return str((await response.json())["name"])


async def test_a_body_that_comes_slowly_is_in_flight_from_its_first_byte(
    gateway: RunningNginx, tmp_path: Path, backends: Backends
) -> None:
    """Else its server would be taken away before the body is whole."""
    port = await backends.serve("one")
    with real.process(gateway.argv(), tmp_path / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        await gateway.driver.reconcile(lambda: {"1": port})
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /runtime/1/?read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabc")
        await writer.drain()

        async def in_flight() -> bool:
            return await gateway.driver.in_flight(port) == 1

        await eventually(in_flight)
        writer.write(b"def")
        assert b'"size": 6' in await reader.read()
        writer.close()


async def test_a_killed_gateway_has_every_route_when_it_is_back(
    gateway: RunningNginx, tmp_path: Path, backends: Backends
) -> None:
    old, new = await backends.serve("old"), await backends.serve("new")
    with real.process(gateway.argv(), tmp_path / "log") as master:
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        await gateway.driver.reconcile(lambda: {"1": old, "2": old})
        await gateway.driver.route("2", new)
        for process in (master.pid, *await asyncio.to_thread(_workers, master.pid)):
            os.kill(process, signal.SIGKILL)
        await asyncio.to_thread(master.wait)
    await asyncio.to_thread(real.wait_until, lambda: not real.listening(gateway.port), "nginx's end")
    with pytest.raises(GatewayDown):
        await gateway.driver.route("1", new)
    with pytest.raises(GatewayDown):
        await gateway.driver.reconcile(lambda: {"1": old, "2": new, "3": new})
    await gateway.driver.remove("3")
    with real.process(gateway.argv(), tmp_path / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        async with aiohttp.ClientSession(gateway.url) as session:
            assert [await _name(session, f"/runtime/{app}/") for app in ("1", "2")] == ["old", "new"]
        again = NginxGateway(gateway.configuration.folder, f"127.0.0.1:{gateway.configuration.admin[1]}")
        assert await again.reconcile(lambda: {"1": old, "2": new}) == 0
        assert (await again.version()).startswith("nginx 1.")


async def test_an_agent_killed_while_it_switches_fails_nobody(
    gateway: RunningNginx, tmp_path: Path, backends: Backends
) -> None:
    ports = [await backends.serve("a"), await backends.serve("b")]
    folder, admin = gateway.configuration.folder, f"127.0.0.1:{gateway.configuration.admin[1]}"
    argv = [sys.executable, "-c", _SWITCHER, str(folder), admin, *map(str, ports)]
    with real.process(gateway.argv(), tmp_path / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
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
                back = NginxGateway(folder, admin)
                await back.reconcile(lambda: {"1": ports[1]})
                assert await back.reconcile(lambda: {"1": ports[1]}) == 0
        assert visitors.failures == []


async def test_a_folder_that_the_gateway_does_not_read_is_an_error(gateway: RunningNginx, tmp_path: Path) -> None:
    with real.process(gateway.argv(), tmp_path / "log"):
        await asyncio.to_thread(real.wait_until, lambda: real.listening(gateway.port), "nginx's start")
        other = NginxGateway(tmp_path / "other", f"127.0.0.1:{gateway.configuration.admin[1]}")
        with pytest.raises(GatewayError, match="RUNTIME_NGINX_FOLDER"):
            await other.route("1", 20001)
        assert list((tmp_path / "other" / "routes").iterdir()) == []
        stranger = NginxGateway(tmp_path / "other", f"127.0.0.1:{gateway.port}")
        with pytest.raises(GatewayError, match="is not this node's gateway"):
            await stranger.ping()
