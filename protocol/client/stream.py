"""Server-sent events as typed values, and the back-off between two attempts to follow them.

Format: WHATWG HTML, "Server-sent events". Unknown event kinds are skipped: a newer control plane may send more.
"""

import random
from collections.abc import AsyncIterator, Iterator

import httpx
from pydantic import ValidationError

from protocol.events import EVENT, AnyEvent


async def events(response: httpx.Response) -> AsyncIterator[AnyEvent]:
    """The events of an open stream, until it ends."""
    data: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            event = _parse("\n".join(data))
            data.clear()
            if event is not None:
                yield event


def _parse(text: str) -> AnyEvent | None:
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
