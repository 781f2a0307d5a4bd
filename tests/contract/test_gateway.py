"""What the agent expects of a gateway, of its twin, of HAProxy and of nginx."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.adapters.nginx import NginxGateway
from daemons.agent.adapters.traefik import TraefikGateway
from daemons.agent.domain.visitors import InFlight, Notice, Patience
from daemons.agent.ports import Gateway, GatewayDown, GatewayError
from tests.support import real
from tests.support.agent_twins import TwinGateway
from tests.support.gateways import Running, RunningNginx


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("gw"))
    with real.process(running.argv(), running.folder / "log"):
        real.wait_until(lambda: real.listening(running.port), "HAProxy's start")
        yield running


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNginx]:
    running = RunningNginx(tmp_path_factory.mktemp("gw"))
    with real.process(running.argv(), running.folder / "log"):
        real.wait_until(lambda: real.listening(running.port), "nginx's start")
        yield running


_REAL = [pytest.param(kind, marks=pytest.mark.real) for kind in ("haproxy", "nginx")]


@pytest.fixture(params=["twin", "traefik", *_REAL])
def chosen(request: pytest.FixtureRequest, tmp_path: Path) -> Gateway:
    if request.param == "twin":
        return TwinGateway()
    if request.param == "traefik":
        # Against its document only: no Traefik is packaged for the machines that run this.
        return TraefikGateway(tmp_path / "funai.yml", 0)
    driver: Gateway = request.getfixturevalue(request.param).driver
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
    if isinstance(gateway, TraefikGateway | NginxGateway):
        with pytest.raises(GatewayError, match="RUNTIME_GATEWAY_DRIVER"):
            await gateway.hold("1")
        return
    await gateway.route("1", 20001)
    await gateway.hold("1")
    await gateway.hold("2")
    assert await gateway.reconcile(lambda: {"1": None, "2": None}) == 0
    await gateway.route("1", 20002)
    assert await gateway.reconcile(lambda: {"1": 20002, "2": None}) == 0
    await gateway.remove("2")
    assert await gateway.reconcile(lambda: {"1": 20002}) == 0


async def test_nothing_is_in_flight_to_a_port_nobody_asked(gateway: Gateway) -> None:
    assert await gateway.drain(20077, Patience(0)) == InFlight()


async def test_a_notice_changes_no_route_and_goes_with_the_app(gateway: Gateway) -> None:
    await gateway.announce("1", Notice.STARTING)
    await gateway.announce("1", Notice.STARTING)
    await gateway.route("1", 20001)
    await gateway.announce("1", Notice.CRASHED)
    assert await gateway.reconcile(lambda: {"1": 20001}) == 0
    await gateway.announce("1", None)
    await gateway.announce("1", None)
    await gateway.remove("1")
    assert await gateway.reconcile(dict) == 0


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
async def test_a_key_that_stands_twice_gets_one_value(haproxy: Running) -> None:
    await haproxy.driver.reconcile(dict)
    for port in (20001, 20002):
        await haproxy.tell(f"add map {haproxy.map_path} twice 127.0.0.1:{port}")
    assert await haproxy.driver.reconcile(lambda: {"twice": 20002}) > 0
    assert await haproxy.held() == {"twice": "127.0.0.1:20002"}
