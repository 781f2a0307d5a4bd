"""Visitors of a page: one that looks once, and a crowd on keep-alive connections that counts what goes wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

_SECONDS: Final = 10.0
#: Between two requests of one visitor: many requests during a switch, and still some processor left for the build.
_PAUSE_SECONDS: Final = 0.005


async def look(url: str) -> tuple[int, str]:
    """Status and text of the page; status 0 with the problem when there is no answer."""
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
        try:
            response = await client.get(url)
        except httpx.HTTPError as error:
            return 0, f"{type(error).__name__}: {error}"
    return response.status_code, response.text


@dataclass(slots=True)
class Tally:
    """What a crowd saw."""

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)

    def problems(self) -> str:
        """The failures in words, most frequent first."""
        return ", ".join(f"{count} x {what}" for what, count in self.failures.most_common(5))


@asynccontextmanager
async def crowd(url: str, connections: int) -> AsyncIterator[Tally]:
    """Visitors that ask for the page again and again while the block runs, each on one connection of its own."""
    tally = Tally()
    async with asyncio.TaskGroup() as group:
        visitors = [group.create_task(_visit(url, tally)) for _ in range(connections)]
        try:
            yield tally
        finally:
            for visitor in visitors:
                visitor.cancel()


async def _visit(url: str, tally: Tally) -> None:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, limits=limits) as client:
        while True:
            try:
                response = await client.get(url)
            except httpx.HTTPError as error:
                tally.failures[type(error).__name__] += 1
            else:
                if response.status_code != 200:
                    tally.failures[f"HTTP {response.status_code}"] += 1
                tally.seen.add(response.text)
            tally.requests += 1
            await asyncio.sleep(_PAUSE_SECONDS)
