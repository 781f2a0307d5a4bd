"""A terminal at the far end of a line: what is asked first, and what is typed."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from daemons.kit.lines import Line
from protocol.shell import ShellEnd, ShellEndReason, ShellResize

#: For the first frame to come.
START_SECONDS: Final = 15.0

Start = TypeVar("Start")


class Keyboard(Protocol):
    """The part of a terminal that takes what is typed."""

    async def write(self, data: bytes) -> None:
        """Type it."""
        ...

    async def resize(self, cols: int, rows: int) -> None:
        """Give the terminal another size."""
        ...


async def asked_first(line: Line, orders: TypeAdapter[Any], start: type[Start]) -> Start | None:
    """The order to start with; None for anything else, and when nothing comes in time."""
    try:
        async with asyncio.timeout(START_SECONDS):
            frame = await line.receive()
        order = orders.validate_json(frame) if isinstance(frame, str) else None
    except (TimeoutError, ValidationError):
        return None
    return order if isinstance(order, start) else None


async def typed(keyboard: Keyboard, line: Line, orders: TypeAdapter[Any], touch: Callable[[], None]) -> ShellEnd:
    """Type what comes, until nobody types any more; `touch` is called for each frame. Raises what the keyboard does."""
    while (frame := await line.receive()) is not None:
        touch()
        if isinstance(frame, bytes):
            await keyboard.write(frame)
            continue
        try:
            order = orders.validate_json(frame)
        except ValidationError:
            return ShellEnd(reason=ShellEndReason.FAILED, text="a frame was not understood")
        if isinstance(order, ShellResize):
            await keyboard.resize(order.cols, order.rows)
    return ShellEnd(reason=ShellEndReason.LEFT)
