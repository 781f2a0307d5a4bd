"""The gateway learns of hosts for as long as the platform runs, and says so once."""

import asyncio
import logging

import pytest

from daemons.kit.gateway_following import NotFollowed
from daemons.supervisor.services.hosts import Hosts
from tests.unit.supervisor.twins import MemoryTicker


async def test_the_same_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[str | NotFollowed] = ["0 hosts", "0 hosts", NotFollowed("away"), NotFollowed("away"), "1 hosts"]
    done = asyncio.Event()

    async def once() -> str:
        if not outcomes:
            done.set()
            return "1 hosts"
        outcome = outcomes.pop(0)
        if isinstance(outcome, NotFollowed):
            raise outcome
        return outcome

    ticker = MemoryTicker()
    with caplog.at_level(logging.INFO):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Hosts(once, ticker).run())
            await done.wait()
            task.cancel()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "hosts of apps' own: 0 hosts"),
        ("WARNING", "hosts of apps' own: away; this is tried again"),
        ("INFO", "hosts of apps' own: 1 hosts"),
    ]
    assert set(ticker.pauses) == {5.0}
