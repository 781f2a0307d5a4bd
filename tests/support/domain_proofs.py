"""TXT records for tests: a twin of the port in memory, and a name server on this machine that tells the same."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from daemons.api.ports.domains import ProofsUnreachable


@dataclass
class ProofsTwin:
    """What the DNS says, and whether it answers."""

    records: dict[str, list[str]] = field(default_factory=dict)
    away: bool = False
    asked: list[str] = field(default_factory=list)

    async def texts(self, name: str) -> Collection[str]:
        self.asked.append(name)
        if self.away:
            raise ProofsUnreachable("away")
        return tuple(self.records.get(name, ()))


class _Server(asyncio.DatagramProtocol):
    def __init__(self, twin: ProofsTwin) -> None:
        self._twin = twin
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(answer(self._twin, data), addr)


def answer(twin: ProofsTwin, data: bytes) -> bytes:
    """What a name server says to a question."""
    question = dns.message.from_wire(data)
    response = dns.message.make_response(question)
    response.flags |= dns.flags.RA
    name = question.question[0].name
    texts = twin.records.get(str(name).removesuffix("."), [])
    if twin.away:
        response.set_rcode(dns.rcode.SERVFAIL)
    elif not texts:
        response.set_rcode(dns.rcode.NXDOMAIN)
    else:
        # A text is told in pieces, as long ones have to be.
        pieces = [" ".join(f'"{part}"' for part in (text[:9], text[9:]) if part) for text in texts]
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *pieces))
    return response.to_wire()


@asynccontextmanager
async def name_server(twin: ProofsTwin) -> AsyncIterator[tuple[str, int]]:
    """Its address and port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(twin), local_addr=("127.0.0.1", 0))
    try:
        host, port = transport.get_extra_info("sockname")
        yield host, port
    finally:
        transport.close()


@contextmanager
def name_server_beside(twin: ProofsTwin) -> Iterator[tuple[str, int]]:
    """Its address and port, for tests without a loop: it answers in a thread of its own."""
    ready, done, places = threading.Event(), threading.Event(), list[tuple[str, int]]()

    async def serve() -> None:
        async with name_server(twin) as place:
            places.append(place)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield places[0]
    finally:
        done.set()
        thread.join()
