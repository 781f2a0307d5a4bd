"""A console on a twin of the control plane, with a clock that stands still."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from tests.console.twin import Plane, SetClock

Opened = tuple[ConsoleApp, Pilot[None]]
Open = Callable[..., AbstractAsyncContextManager[Opened]]


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def console(plane: Plane, clock: SetClock) -> Open:
    app = ConsoleApp(plane, "127.0.0.1:7002", clock)

    @asynccontextmanager
    async def opened(size: tuple[int, int] = (80, 24)) -> AsyncIterator[Opened]:
        async with app.run_test(size=size) as pilot:
            await plane.watched.wait()
            await pilot.pause()
            yield app, pilot

    return opened
