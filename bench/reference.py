"""How slow this machine is beside the one on which the absolute limits were set.

Limits in milliseconds or in percent of a core mean little without the machine they were set on. That one spent 29
microseconds of processor time on a bare aiohttp request with uvloop and orjson, the median of its measurements; what
the same request costs here, in the same run, tells how many times slower this one is. The benchmarks print both: the
figure against the limit as it stands, and the figure in the other machine's time.
"""

from typing import Final

import aiohttp

from bench.figures import Figure
from bench.load import echo_rate
from bench.servers import Server

#: Microseconds of a server's processor time for one bare request, where the limits were set.
BARE_REQUEST_US: Final = 29.0
_CONNECTIONS, _SECONDS = 32, 3.0


async def slowness(session: aiohttp.ClientSession, bare: Server) -> float:
    """How many times the processor time that a bare request took there it takes here."""
    await echo_rate(session, bare, _CONNECTIONS, 0.5)
    used = bare.cpu_seconds()
    rate = await echo_rate(session, bare, _CONNECTIONS, _SECONDS)
    return (bare.cpu_seconds() - used) * 1e6 / (rate * _SECONDS) / BARE_REQUEST_US


def rescaled(figure: Figure, slower: float) -> Figure:
    """The same figure as the other machine would have had it, against the same limit."""
    name = f"{figure.name}, at {slower:.1f} times the speed"
    return Figure(name, figure.value / slower, figure.unit, figure.peer, figure.peer_value, figure.most)
