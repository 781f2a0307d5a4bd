"""Where runtime agents may be."""

from ipaddress import ip_network

import pytest

from daemons.deploy.domain.addresses import PRIVATE, AgentAddresses, AgentAddressRefused

INSIDE = (
    "http://127.0.0.1:7005",
    "http://10.1.2.3:7005",
    "http://172.31.255.254",
    "https://192.168.0.1",
    "http://[::1]:7005",
    "http://[fd00::7]:7005",
    "http://[::ffff:10.0.0.1]:7005",
    "http://n1:7005",
    "http://N1:7005",
    "http://rt-node-01.internal:7005",
    "http://n1.rack.local.:7005",
)
OUTSIDE = (
    "http://203.0.113.7:7005",
    "http://172.32.0.1",
    "http://[2001:db8::1]:7005",
    "http://[::ffff:203.0.113.7]:7005",
    "http://agents.example.com:7005",
    "http://internal.example.com",
    "http://3405803783:7005",
    "http://0xcb007107",
    "http://203.0.28935",
    "http://n1.0x7f",
    "http://n1%2eexample.com",
    "http://n1..internal",
    "http://-n1",
)


@pytest.mark.parametrize("url", INSIDE)
def test_private_addresses_and_names_need_no_setting(url: str) -> None:
    AgentAddresses().check(url)


@pytest.mark.parametrize("url", OUTSIDE)
def test_others_are_refused_and_so_is_what_only_looks_private(url: str) -> None:
    with pytest.raises(AgentAddressRefused, match="DEPLOY_AGENT_ADDRESSES"):
        AgentAddresses().check(url)


def test_what_is_listed_counts_and_nothing_else() -> None:
    listed = AgentAddresses((ip_network("203.0.113.0/24"),), ("agents.example.com", "*.nodes.example.com"))
    for url in ("http://203.0.113.7", "http://agents.example.com", "http://n1.nodes.example.com"):
        listed.check(url)
    for url in (
        "http://10.0.0.1",
        "http://nodes.example.com",
        "http://x.agents.example.com",
        "http://evilnodes.example.com",
    ):
        with pytest.raises(AgentAddressRefused):
            listed.check(url)
    assert not any(network.is_global for network in PRIVATE)
