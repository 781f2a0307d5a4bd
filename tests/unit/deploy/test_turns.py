"""Taking turns per app."""

import asyncio

import pytest

from daemons.deploy.ports import StoreUnavailable
from daemons.deploy.services.turns import Turns


async def test_an_apps_turns_follow_each_other_and_another_app_does_not_wait() -> None:
    turns, log = Turns(5), list[str]()
    release = asyncio.Event()

    async def take(app_id: str, name: str) -> None:
        async with turns.of(app_id):
            log.append(f"{name} begins")
            if name != "other":
                await release.wait()
            log.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(take("shop", name))
        await group.create_task(take("blog", "other"))
        assert log == ["first begins", "other begins", "other ends"]
        release.set()
    in_order = [f"{name} {what}" for name in ("first", "second", "third") for what in ("begins", "ends")]
    assert [entry for entry in log if "other" not in entry] == in_order
    assert not turns._turns


async def test_waiting_for_a_turn_is_bounded_and_the_turn_goes_on() -> None:
    turns = Turns(0.01)
    async with turns.of("shop"):
        with pytest.raises(StoreUnavailable, match="app shop was busy"):
            async with turns.of("shop"):
                pass
    async with turns.of("shop"):
        pass


async def test_a_turn_whose_work_fails_or_is_cancelled_goes_to_the_next() -> None:
    turns, begun = Turns(5), asyncio.Event()

    async def hang() -> None:
        async with turns.of("shop"):
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(hang())
        await begun.wait()
        hanging.cancel()
    with pytest.raises(TimeoutError, match="of the work"):
        async with turns.of("shop"):
            raise TimeoutError("of the work")
    async with turns.of("shop"):
        pass
    assert not turns._turns
