"""Every background task has an owner.

Loops live in one task group that starts and ends with the daemon: a loop that crashes stops the daemon with its
traceback, so that a supervisor restarts it whole, instead of leaving a process that answers but no longer works.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import web

logger = logging.getLogger(__name__)

T = TypeVar("T")
Loop = Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def running(*loops: Loop) -> AsyncIterator[None]:
    """Run the loops beside the body; on leaving it they are cancelled and awaited. A crash of one cancels the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop(), name=loop.__qualname__) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


def background(*loops: Loop) -> Callable[[web.Application], AsyncIterator[None]]:
    """The loops as a cleanup context of an aiohttp application."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        async with running(*loops):
            yield

    return context


async def every(
    seconds: float, step: Callable[[], Awaitable[object]], *, expected: tuple[type[Exception], ...] = ()
) -> None:
    """Run `step` for ever, `seconds` after the end of the one before. Expected failures are logged and tried again."""
    while True:
        try:
            await step()
        except expected as error:
            logger.warning(
                "a periodic step failed and will be tried again",
                extra={"step": step.__qualname__, "error": str(error)},
            )
        await asyncio.sleep(seconds)


async def shielded(work: Coroutine[Any, Any, T], *, seconds: float) -> T:
    """The result of work that a cancellation of the caller must not cut short.

    A cancelled caller waits at most `seconds` longer for the work; then the work is cancelled too. The cancellation
    goes on in either case.
    """
    task = asyncio.ensure_future(work)  # noqa: TID251 - owned here: awaited on both ways out
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=seconds)
        task.cancel()
        raise


async def first(*works: Coroutine[Any, Any, T]) -> T:
    """What ends first, of several at once the one that is named first; the others are cancelled and awaited."""
    tasks = [asyncio.ensure_future(work) for work in works]  # noqa: TID251 - owned here: all are awaited
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
