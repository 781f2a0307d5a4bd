"""Names, addresses and rules of apps' networks."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from daemons.agent.domain.networks import network_name
from daemons.kit.engine.addresses import (
    NoAddresses,
    bridge_name,
    bridge_prefix,
    free_subnet,
    routes,
)
from daemons.kit.engine.fences import Openings, Reach, chain, resolvers, rules_v4, rules_v6

_POOL = IPv4Network("10.222.0.0/24")


def test_names_differ_by_node_user_and_app_and_fit_an_interface() -> None:
    apps = [
        ("n1", "7", "5"),
        ("n2", "7", "5"),
        ("n1", "8", "5"),
        ("n1", "7", "6"),
        ("n1", "75", "x"),
        ("n1", "7", "5x"),
    ]
    assert len({network_name(*app) for app in apps}) == len(apps)
    bridges = {bridge_name(bridge_prefix(node, root), "/".join(app)) for node, *app in apps for root in ("/a", "/b")}
    assert len(bridges) == 2 * len(apps)
    assert all(len(name) <= 15 for name in bridges)
    assert len(chain(bridge_prefix("n1", "/a"))) <= 28


def test_a_subnet_is_free_of_every_other_network() -> None:
    taken = [IPv4Network("10.222.0.0/25"), IPv4Network("10.222.0.128/26"), IPv4Network("192.168.0.0/16")]
    found = {free_subnet(_POOL, taken, str(seed)) for seed in range(50)}
    assert found == {IPv4Network(f"10.222.0.{last}/28") for last in (192, 208, 224, 240)}


def test_an_app_keeps_its_subnet() -> None:
    assert free_subnet(_POOL, [], "a") == free_subnet(_POOL, [], "a")


def test_thousands_of_apps_fit_and_the_end_is_told() -> None:
    taken: list[IPv4Network] = []
    for number in range(16):
        taken.append(free_subnet(_POOL, taken, str(number)))
    assert len(set(taken)) == 16
    with pytest.raises(NoAddresses, match="all 16 networks"):
        free_subnet(_POOL, taken, "one more")
    with pytest.raises(NoAddresses):
        free_subnet(_POOL, [IPv4Network("10.0.0.0/8")], "a")


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert routes(table) == (IPv4Network("172.17.0.0/16"),)


def test_name_servers_of_the_machine_itself_are_left_out() -> None:
    text = "# x\nnameserver 10.0.0.2\nnameserver 127.0.0.53\nnameserver fe80::1\nsearch a\nnameserver 10.0.0.2\n"
    assert resolvers(text) == (IPv4Address("10.0.0.2"),)


def test_exceptions_come_before_what_is_closed() -> None:
    openings = Openings((Reach(IPv4Network("10.0.0.5/32"), 27017),), (IPv4Address("10.0.0.2"),))
    rules = rules_v4("FUNAI-X", openings, [IPv4Network("8.8.8.8/32")]).splitlines()
    assert rules[:7] == [
        "*mangle",
        ":FUNAI-X - [0:0]",
        "-A FUNAI-X -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        "-A FUNAI-X -d 10.0.0.5/32 -p tcp --dport 27017 -j RETURN",
        "-A FUNAI-X -d 10.0.0.2/32 -p udp --dport 53 -j RETURN",
        "-A FUNAI-X -d 10.0.0.2/32 -p tcp --dport 53 -j RETURN",
        "-A FUNAI-X -m addrtype --dst-type LOCAL -j DROP",
    ]
    assert "-A FUNAI-X -d 8.8.8.8/32 -j DROP" in rules
    assert "-A FUNAI-X -d 169.254.0.0/16 -j DROP" in rules
    assert rules[-1] == "COMMIT"
    assert "-A FUNAI-X -j DROP" in rules_v6("FUNAI-X")
