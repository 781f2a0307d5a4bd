"""A process that dies between any two steps of a stop or a clean-up loses nothing: the next one ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.nodes import NodePolicy
from daemons.deploy.ports import OperationFilter, Store, Transaction
from daemons.deploy.services.apps import Apps
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.operations import Operations
from daemons.deploy.services.outbox import Outbox, Patience
from daemons.deploy.services.retention import Retention
from protocol.jobs import JobStatus
from protocol.operations import OperationState
from tests.contract.test_store import insert, job
from tests.contract.test_store_operations import ACTOR, Agent, placed, replica

T = TypeVar("T")
_MOST_STEPS = 12


class Killed(BaseException):
    """The process is gone; nobody catches this."""


class Mortal:
    """A store whose process dies at the given transaction, before or after its commit."""

    def __init__(self, inner: Store, step: int, *, after: bool) -> None:
        self._inner = inner
        self._left = step
        self._after = after

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        self._left -= 1
        if self._left != 0:
            return await self._inner.transact(work)
        if self._after:
            await self._inner.transact(work)
        raise Killed

    async def check(self) -> None:
        await self._inner.check()


def apps_over(store: Store, agent: Agent) -> Apps:
    operations = Operations(store, Bells())
    outbox = Outbox(store, agent, operations, Patience(NodePolicy(), 5, True))
    return Apps(store, operations, outbox, Retention(store, None, None))


async def pending(store: Store) -> list[int]:
    wanted = OperationFilter(state=OperationState.PENDING)
    return [each.id for each in await store.transact(lambda tx: tx.operations(wanted, 2**62, 10))]


async def recover(store: Store, agent: Agent) -> None:
    """A new process works on once what the dead one had taken is over."""
    _, outbox = replica(store, agent)
    for _ in range(_MOST_STEPS):
        if not (numbers := await pending(store)):
            return

        async def expire(tx: Transaction, numbers: list[int] = numbers) -> None:
            for number in numbers:
                before = await tx.operation(number, lock=True)
                assert before is not None
                assert await tx.save_operation(replace(before, not_before=1, version=before.version + 1), before)

        await store.transact(expire)
        await outbox.step()
    raise AssertionError("the operations do not come to an end")


async def die_at(store: Store, agent: Agent, step: int, *, after: bool, verb: str) -> bool:
    """Whether the call was cut short."""
    mortal = apps_over(Mortal(store, step, after=after), agent)
    try:
        await (mortal.stop if verb == "stop" else mortal.cleanup)("7", "shop", ACTOR)
    except Killed:
        return True
    except BaseExceptionGroup as group:
        assert group.subgroup(Killed) is not None
        return True
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("verb", ["stop", "cleanup"])
async def test_no_crash_loses_an_operation(database_url: str, verb: str, after: bool) -> None:
    async with open_store(database_url) as store:
        for step in range(1, _MOST_STEPS):
            agent = Agent()
            await placed(store)
            await insert(store, replace(job(step, "shop"), payload={"userId": "7", "appId": "shop"}))
            cut_short = await die_at(store, agent, step, after=after, verb=verb)
            asked = bool(agent.calls) or bool(await pending(store))
            await recover(store, agent)
            if not asked:
                assert cut_short, "nothing was asked for, and nobody was told that it was"
                await apps_over(store, agent).cleanup("7", "shop", ACTOR)
            elif verb == "cleanup":
                assert await store.transact(lambda tx: tx.placement("shop")) is None
                assert await store.transact(lambda tx: tx.active_jobs("shop")) == []
            else:
                run = await store.transact(lambda tx: tx.app_run("shop"))
                assert run is not None and run.last_job_status == "STOPPED"
                await apps_over(store, agent).cleanup("7", "shop", ACTOR)
            assert {call[0] for call in agent.calls} <= {"stop", "delete"} and agent.calls
            assert await store.transact(lambda tx: tx.placement("shop")) is None
            if not cut_short:
                return
        raise AssertionError("the call never came to its end")


async def test_records_stay_until_the_node_confirmed(database_url: str) -> None:
    """The placement is there whenever the agent is asked, and goes only with its answer."""
    async with open_store(database_url) as store:
        await placed(store)
        agent = Agent(gate=asyncio.Event())
        cleanup = asyncio.create_task(apps_over(store, agent).cleanup("7", "shop", ACTOR))
        await agent.called.wait()
        assert await store.transact(lambda tx: tx.placement("shop")) is not None
        assert agent.gate is not None
        agent.gate.set()
        assert (await cleanup).forgotten is not None
        assert await store.transact(lambda tx: tx.placement("shop")) is None


async def test_a_job_that_is_going_live_is_waited_for_and_then_undone(database_url: str) -> None:
    async with open_store(database_url) as store:
        await placed(store)

        async def going_live(tx: Transaction) -> None:
            fence = await tx.next_fence("shop")
            now = await tx.now()
            live = replace(
                job(1, "shop", JobStatus.RUNNING), fence=fence, runner_id="r", confirmed_at=now, created_at=now
            )
            assert await tx.insert_job(live)

        await store.transact(going_live)
        agent = Agent()
        cleaned = await apps_over(store, agent).cleanup("7", "shop", ACTOR)
        assert cleaned.forgotten is None and cleaned.cancelled == ()
        assert cleaned.attempts[0].operation.reason == "app_busy"

        async def end(tx: Transaction) -> None:
            before = await tx.job("job-0001", lock=True)
            assert before is not None
            after = replace(before, status=JobStatus.SUCCEEDED, version=before.version + 1)
            assert await tx.save_job(after, before)

        await store.transact(end)
        await recover(store, agent)
        assert [call[0] for call in agent.calls] == ["delete", "delete"], "once more after it was live"
        assert await store.transact(lambda tx: tx.placement("shop")) is None
        assert await store.transact(lambda tx: tx.jobs_of_app("shop", 5)) == []
