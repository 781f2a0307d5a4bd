"""Answers that have no end of their own: they break off when the server stops.

A server waits for those that it is giving before it stops. Whoever follows something would keep it waiting, and one who
went away is only missed when the next byte is sent to them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Who gives endless answers now."""

    tasks: set[asyncio.Task[Any]] = field(default_factory=set)


_UNDER_WAY: Final = web.AppKey("endless", _UnderWay)


def break_off_at_shutdown(app: web.Application) -> None:
    """From now on the application's endless answers are broken off before it waits for the others."""
    app[_UNDER_WAY] = _UnderWay()
    app.on_shutdown.append(_break_off)


async def _break_off(app: web.Application) -> None:
    for task in tuple(app[_UNDER_WAY].tasks):
        task.cancel()


@contextmanager
def endless(request: web.Request) -> Iterator[None]:
    """The request's handler is cancelled within this block when the server stops, if its application wants that."""
    under_way, task = request.app.get(_UNDER_WAY), asyncio.current_task()
    if under_way is None or task is None:
        yield
        return
    under_way.tasks.add(task)
    try:
        yield
    finally:
        under_way.tasks.discard(task)
