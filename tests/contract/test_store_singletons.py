"""Singleton work of several replicas, over every database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.singletons import Holding
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.singletons import Fenced, NotHeld, Singletons
from daemons.kit.tasks import running

T = TypeVar("T")
LEASE_MS = 400


class Breakable:
    """A store that can be taken away from one replica."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.away = False

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        if self.away:
            raise StoreUnavailable("cut off by the test")
        return await self.store.transact(work)

    async def check(self) -> None:
        await self.store.check()


class Replica:
    """One process's view of the work `count`: `working` is set by each step, which never ends by itself."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = Breakable(store)
        self.singletons = Singletons(self.store, name, lease_ms=LEASE_MS)
        self.fenced = Fenced(self.store)
        self.working = asyncio.Event()
        self.stopped = asyncio.Event()
        self.singletons.add("count", 0, self.step)

    async def step(self) -> None:
        self.working.set()
        self.stopped.clear()
        try:
            await asyncio.Event().wait()
        finally:
            self.working.clear()
            self.stopped.set()


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(database_url))
        shared = database_url.endswith(":memory:")
        yield one, one if shared else await stack.enter_async_context(open_store(database_url))


async def holding(store: Store) -> Holding:
    (found,) = await store.transact(lambda tx: tx.singletons())
    return found


async def test_one_works_and_the_next_takes_over_when_it_stops(stores: tuple[Store, Store]) -> None:
    one, two = (Replica(store, name) for store, name in zip(stores, ("one", "two"), strict=True))
    async with asyncio.timeout(60):
        async with running(one.singletons.run):
            await one.working.wait()
            before = await holding(stores[1])
            async with running(two.singletons.run):
                for _ in range(5):
                    await two.singletons.keep()
                assert not two.working.is_set()
                assert (await holding(stores[1])).epoch == before.epoch == 1
        assert one.stopped.is_set()
        async with running(two.singletons.run):
            await two.working.wait()
            after = await holding(stores[0])
    assert (before.holder, after.holder, after.epoch) == ("one", "two", 2)
    assert (await holding(stores[0])).until == 0


async def test_the_lease_of_one_that_was_killed_runs_out(stores: tuple[Store, Store]) -> None:
    one, two = (Replica(store, name) for store, name in zip(stores, ("one", "two"), strict=True))
    await one.singletons.keep()
    ended = (await holding(stores[0])).until
    async with asyncio.timeout(60), running(two.singletons.run):
        await two.working.wait()
        after = await holding(stores[1])
    assert (after.holder, after.epoch) == ("two", 2)
    assert after.since >= ended


async def test_one_that_cannot_renew_stops_before_another_begins(stores: tuple[Store, Store]) -> None:
    one, two = (Replica(store, name) for store, name in zip(stores, ("one", "two"), strict=True))
    async with asyncio.timeout(60), running(one.singletons.run):
        await one.working.wait()
        one.store.away = True
        async with running(two.singletons.run):
            await two.working.wait()
            assert one.stopped.is_set()
            assert not any(one.singletons.holds.values())
            one.store.away = False
            await one.singletons.keep()
            assert (await holding(stores[0])).holder == "two"


async def test_one_that_comes_back_works_on_under_its_lease(stores: tuple[Store, Store]) -> None:
    one = Replica(stores[0], "one")
    async with asyncio.timeout(60), running(one.singletons.run):
        await one.working.wait()
        one.store.away = True
        await one.stopped.wait()
        one.store.away = False
        await one.working.wait()


async def test_a_transaction_of_one_that_was_taken_over_changes_nothing(stores: tuple[Store, Store]) -> None:
    """As after a pause of the whole process: it does not know yet."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    cut = Breakable(stores[0])
    slow, begun, taken = Singletons(cut, "slow"), asyncio.Event(), asyncio.Event()
    fenced = Fenced(stores[0])

    async def step() -> None:
        assert await fenced.transact(lambda tx: tx.next_fence("shop")) == 1
        begun.set()
        await taken.wait()
        try:
            await fenced.transact(lambda tx: tx.next_fence("shop"))
        except NotHeld as error:
            outcome.set_result(str(error))
        await asyncio.Event().wait()

    slow.add("count", 0, step)

    async def take_over(tx: Transaction) -> None:
        (before,) = await tx.singletons()
        assert await tx.save_singleton(Holding("count", "two", before.epoch + 1, before.since, before.until), before)

    async with asyncio.timeout(60), running(slow.run):
        await begun.wait()
        cut.away = True
        await stores[1].transact(take_over)
        taken.set()
        assert "another replica has taken over count" in await outcome
    assert await stores[1].transact(lambda tx: tx.next_fence("shop")) == 2


async def test_requests_are_not_fenced(stores: tuple[Store, Store]) -> None:
    fenced = Fenced(stores[0])
    assert await fenced.transact(lambda tx: tx.next_fence("shop")) == 1
    await fenced.check()
