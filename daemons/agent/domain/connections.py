"""What the kernel's table of connections says is in flight to an app, where the gateway itself does not count.

A gateway that opens a connection for each request, and ends it with the request, has as many as it has requests.
proc(5): addresses are hexadecimal, in the machine's order of bytes (little-endian, as everywhere else in this agent).
"""

from typing import Final

from daemons.agent.domain.visitors import InFlight

#: Connected, or about to be. What one side has closed already has no answer to wait for.
_OPEN: Final = frozenset({"01", "02"})
_HOST: Final = "127.0.0.1"


def in_flight(table: str, port: int, requests: str, sockets: str, streams: str) -> InFlight:
    """What is open to this port of 127.0.0.1 in the text of /proc/net/tcp, by the addresses that the gateway's ordinary
    requests, WebSockets and event streams come from. Connections of anybody else count for nothing."""
    target, counts = f"{_spelled(_HOST)}:{port:04X}", {_spelled(each): 0 for each in (requests, sockets, streams)}
    for line in table.splitlines():
        fields = line.split(maxsplit=4)
        if len(fields) > 3 and fields[2] == target and fields[3] in _OPEN:
            source = fields[1].partition(":")[0]
            if source in counts:
                counts[source] += 1
    return InFlight(*counts.values())


def _spelled(address: str) -> str:
    return "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
