"""Group commit: what waits while a batch is carried out makes up the next."""

import asyncio
from collections.abc import Sequence

import pytest

from daemons.kit.batches import LATER, Batches, Done, Failed, Later


class Work:
    """Carries batches out when it is let, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started, self.go = asyncio.Event(), asyncio.Event()
        self.postponed: set[int] = set()

    async def carry_out(self, members: Sequence[int]) -> list[Done[str] | Failed | Later]:
        self.batches.append(list(members))
        self.started.set()
        await self.go.wait()
        if 13 in members:
            raise ConnectionError("down")
        outcomes: list[Done[str] | Failed | Later] = []
        for member in members:
            if member in self.postponed:
                self.postponed.discard(member)
                outcomes.append(LATER)
            else:
                outcomes.append(Failed(ValueError(f"{member}")) if member < 0 else Done(f"did {member}"))
        return outcomes


async def all_of(batches: Batches[int, str], *members: int) -> list[str | BaseException]:
    return await asyncio.gather(*(batches.do(member) for member in members), return_exceptions=True)


async def test_who_comes_while_one_is_at_work_makes_up_the_next_batch_in_order() -> None:
    work = Work()
    batches = Batches(work.carry_out, most=3)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(batches.do(0))
        await work.started.wait()
        rest = group.create_task(all_of(batches, 1, 2, 3, 4, 5))
        await asyncio.sleep(0)
        work.go.set()
    assert first.result() == "did 0"
    assert rest.result() == [f"did {number}" for number in range(1, 6)]
    assert work.batches == [[0], [1, 2, 3], [4, 5]]


async def test_each_gets_its_own_error_and_no_other_gets_it() -> None:
    work = Work()
    work.go.set()
    found = await all_of(Batches(work.carry_out, most=9), 1, -2, 3)
    assert (found[0], found[2]) == ("did 1", "did 3")
    assert isinstance(found[1], ValueError) and str(found[1]) == "-2"


async def test_an_error_of_the_batch_is_everybodys_and_ends_with_it() -> None:
    work = Work()
    work.go.set()
    batches = Batches(work.carry_out, most=2)
    found = await all_of(batches, 1, 13, 3)
    assert [type(each) for each in found] == [ConnectionError, ConnectionError, str]


async def test_one_that_has_to_wait_is_first_in_the_next_batch() -> None:
    work = Work()
    work.go.set()
    work.postponed = {2}
    assert await all_of(Batches(work.carry_out, most=3), 1, 2, 3, 4) == [f"did {number}" for number in range(1, 5)]
    assert work.batches == [[1, 2, 3], [2, 4]]


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    work = Work()
    batches = Batches(work.carry_out, most=9)
    tasks = [asyncio.ensure_future(batches.do(number)) for number in range(3)]
    await work.started.wait()
    tasks[0].cancel()
    work.go.set()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert await asyncio.gather(*tasks[1:]) == ["did 1", "did 2"]
    assert work.batches == [[0, 1, 2]]


async def test_batches_that_are_to_be_apart_are_unless_one_is_full() -> None:
    work = Work()
    work.go.set()
    batches = Batches(work.carry_out, most=3, apart=0.2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await batches.do(1)
    await all_of(batches, 2, 3)
    assert work.batches == [[1], [2, 3]] and loop.time() - began >= 0.2
    await asyncio.sleep(0.2)
    async with asyncio.timeout(60):
        await all_of(Batches(work.carry_out, most=3, apart=3600), 4)
        patient = Batches(work.carry_out, most=3, apart=3600)
        await patient.do(5)
        await all_of(patient, 6, 7, 8)
    assert work.batches[2:] == [[4], [5], [6, 7, 8]]


async def test_a_batch_that_is_called_off_while_it_waits_for_its_turn_leaves_nobody_waiting() -> None:
    work = Work()
    work.go.set()
    batches = Batches(work.carry_out, most=3, apart=3600)
    await batches.do(1)
    waiting = asyncio.ensure_future(batches.do(2))
    await asyncio.sleep(0.01)
    assert batches._work is not None
    batches._work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
