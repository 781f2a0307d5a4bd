"""Whatever keys are pressed, the console goes on: 10,000 of them by `python -m tests.console.fuzz`, some here."""

import pytest

from console.app import ConsoleApp
from tests.console.fuzz import console, fuzz
from tests.console.twin import Plane, SetClock


@pytest.fixture
def made(plane: Plane, clock: SetClock) -> ConsoleApp:
    return console(plane, clock)


@pytest.mark.slow
async def test_random_keys_raise_nothing(made: ConsoleApp, plane: Plane, clock: SetClock) -> None:
    assert await fuzz(made, plane, clock, 400, 1) >= 400
