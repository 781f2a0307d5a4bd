"""What is a user's server, and which of several visitors are led to."""

from ipaddress import ip_address

import pytest

from daemons.workspace.domain.sockets import Listener, listener, segments, unread, way_in

_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def _line(address: str, port: int, state: str = "0A", inode: int = 7) -> str:
    return (
        f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000 0 {inode} 1 0\n"
    )


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("0.0.0.0", False),
        ("172.17.0.2", False),
        ("127.0.0.1", True),
        ("127.0.1.2", True),
        ("::", False),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:172.17.0.2", False),
    ],
)
def test_who_listens_for_the_inside_alone(address: str, loopback: bool) -> None:
    assert listener(ip_address(address).packed, 3000, 7) == Listener(3000, loopback, 7)


def test_what_is_nobodys_server() -> None:
    """Docker's name server listens on a port of 127.0.0.11 that no server of the user has."""
    assert listener(ip_address("127.0.0.11").packed, 33455, 7) is None


def test_the_agreed_port_and_open_ones_come_first() -> None:
    agreed, other, inside = Listener(5173, True), Listener(3000, False), Listener(2000, True)
    assert way_in((inside, other, agreed), 5173) == agreed
    assert way_in((inside, other), 5173) == other
    assert way_in((inside,), 5173) == inside
    assert way_in((Listener(40000, True),), 5173) is None


def test_what_waits_to_be_read() -> None:
    """Bytes of an open connection and a visitor at the door count; what a peer who left had sent does not."""
    states = {"01": "00000000:0000000C", "0A": "00000000:00000001", "08": "00000000:00000064"}
    lines = [_line("020011AC", 5173, state).replace("00000000:00000000", queues) for state, queues in states.items()]
    assert unread(_HEAD + "".join(lines)) == 13
    assert unread(_HEAD) == 0


def test_how_much_reached_a_network() -> None:
    text = "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm InSegs OutSegs\nTcp: 1 42 7\nUdp: InDatagrams\nUdp: 9\n"
    assert segments(text) == 42
    with pytest.raises(ValueError, match="unpack"):
        segments("Udp: InDatagrams\nUdp: 9\n")
