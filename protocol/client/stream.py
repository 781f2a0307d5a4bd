"""Server-sent events as typed values, and the back-off between two attempts to follow them.

Format: WHATWG HTML, "Server-sent events". Unknown event kinds are skipped: a newer control plane may send more.
"""

import random
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx
from pydantic import ValidationError

from protocol.client.transport import Unintelligible
from protocol.events import EVENT, AnyEvent

_LONGEST_LINE: Final = 16 * 1024 * 1024


async def events(response: httpx.Response) -> AsyncIterator[AnyEvent]:
    """The events of an open stream, until it ends."""
    async for data in payloads(response):
        event = _parse(data)
        if event is not None:
            yield event


async def payloads(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data of each event of an open stream, until it ends.

    Lines end with a line feed alone, as our daemons write them: httpx would also cut at characters, such as U+2028,
    that stand inside a line of JSON. Raises Unintelligible for an event without end.
    """
    held, data = b"", list[bytes]()
    async for chunk in response.aiter_bytes():
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data.clear()
        if len(held) > _LONGEST_LINE:
            raise Unintelligible("the stream sends a line without end")


def _parse(text: bytes) -> AnyEvent | None:
    try:
        return EVENT.validate_json(text)
    except ValidationError:
        return None


def backoff(first: float = 0.1, most: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each next attempt: full jitter under a doubling ceiling."""
    ceiling = first
    while True:
        yield random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret
        ceiling = min(ceiling * 2, most)
