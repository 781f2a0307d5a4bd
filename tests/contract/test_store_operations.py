"""Operations in the store, and the outbox that carries them out, over every database."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import AppRun, NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.operations import Operation, Request, Sequel
from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import AgentFailed, OperationFilter, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.operations import Operations
from daemons.deploy.services.outbox import Outbox, Patience
from protocol.nodes import NodeCollected
from protocol.operations import OperationKind, OperationState

ACTOR = Actor("api", "10.0.0.9")
NODE = RuntimeNode(0, "n1", "http://n1:7005", "http://n1", created_at=1, updated_at=1)
EVERYTHING = OperationFilter()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


@dataclass
class Agent:
    """Does what it is told, fails with the words it is given, or waits for a word."""

    problem: AgentFailed | None = None
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        return await self._do("stop", app_id, fence)

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        return await self._do("delete", app_id, fence)

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        return ()

    async def collect(self, base_url: str) -> NodeCollected:
        raise AssertionError("nobody asked for that")

    async def containers(self, base_url: str) -> Sequence[Container]:
        return ()

    async def _do(self, verb: str, app_id: str, fence: int) -> Mapping[str, object]:
        self.calls.append((verb, app_id, fence))
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return {"appId": app_id}


def replica(store: Store, agent: Agent) -> tuple[Operations, Outbox]:
    operations = Operations(store, Bells())
    return operations, Outbox(store, agent, operations, Patience(NodePolicy(), 5, True))


async def placed(store: Store, app_id: str = "shop") -> int:
    async def work(tx: Transaction) -> int:
        node = await tx.node_named("n1") or await tx.insert_node(NODE)
        assert node is not None
        await tx.put_placement(Placement(app_id, node.id, 1))
        await tx.put_app_run(AppRun(app_id, node.id, "job-1", "SUCCEEDED", None, 1, 1))
        return node.id

    return await store.transact(work)


async def ask(
    store: Store,
    operations: Operations,
    node_id: int,
    kind: OperationKind = OperationKind.STOP,
    app_id: str = "shop",
    sequel: Sequel = Sequel.NOTHING,
) -> Operation:
    request = Request(kind, app_id, "1", node_id, "test", ACTOR, sequel)
    return await store.transact(lambda tx: operations.ask(tx, request))


async def current(store: Store, operation: Operation) -> Operation:
    found = await store.transact(lambda tx: tx.operation(operation.id))
    assert found is not None
    return found


async def make_due(store: Store, operation: Operation) -> None:
    """As if the pause, or the lease of a crashed process, were over."""

    async def work(tx: Transaction) -> None:
        before = await tx.operation(operation.id, lock=True)
        assert before is not None
        assert await tx.save_operation(replace(before, not_before=1, version=before.version + 1), before)

    await store.transact(work)


async def status(store: Store, app_id: str = "shop") -> str | None:
    run = await store.transact(lambda tx: tx.app_run(app_id))
    return run.last_job_status if run else None


async def test_an_operation_comes_back_as_it_was_written(store: Store) -> None:
    full = Operation(
        id=0,
        kind=OperationKind.DELETE,
        app_id="shop",
        user_id="9223372036854775807",
        node_id=2**40,
        fence=2**50,
        sequel=Sequel.REMOVE_IMAGES,
        cause="drain:é 漢",
        actor=ACTOR,
        state=OperationState.PENDING,
        not_before=1,
        created_at=2,
        updated_at=3,
        reason="node_stale",
        message="é 漢 😀 ' \" \\ % %s :name",
        attempts=7,
        holder="me",
        lease_until=9,
    )
    written = await store.transact(lambda tx: tx.insert_operation(full))
    assert written == replace(full, id=written.id) and await current(store, written) == written
    ended = replace(
        written, state=OperationState.DONE, holder=None, lease_until=None, finished_at=11, reason=None, version=2
    )
    assert await store.transact(lambda tx: tx.save_operation(ended, written))
    assert not await store.transact(lambda tx: tx.save_operation(ended, written)), "it moved on"
    assert await current(store, written) == ended
    assert await store.transact(lambda tx: tx.forget_operations(10, 12)) == 1
    assert await store.transact(lambda tx: tx.operation(written.id)) is None


async def test_operations_are_listed_newest_first_and_filtered(store: Store) -> None:
    operations, _ = replica(store, Agent())
    node = await placed(store)
    first = await ask(store, operations, node)
    other = await ask(store, operations, node, app_id="blog")

    async def ids(wanted: OperationFilter, before: int = 2**62) -> list[int]:
        return [each.id for each in await store.transact(lambda tx: tx.operations(wanted, before, 10))]

    assert await ids(EVERYTHING) == [other.id, first.id] and await ids(EVERYTHING, other.id) == [first.id]
    assert await ids(OperationFilter(app_id="blog")) == [other.id]
    assert await ids(OperationFilter(node_id=node, user_id="1")) == [other.id, first.id]
    assert await ids(OperationFilter(node_id=node + 1)) == await ids(OperationFilter(user_id="2")) == []
    assert await ids(OperationFilter(state=OperationState.DONE)) == []
    assert await store.transact(lambda tx: tx.count_operations(node)) == 2


async def test_what_fails_is_tried_again_until_it_is_done(store: Store) -> None:
    agent = Agent(AgentFailed("no route to host"))
    operations, outbox = replica(store, agent)
    asked = await ask(store, operations, await placed(store))
    assert await status(store) == "STOPPING"
    await outbox.step()
    await outbox.step()
    waiting = await current(store, asked)
    assert (waiting.attempts, waiting.holder, waiting.reason) == (1, None, "node_stale"), "once, then its pause"
    run = await store.transact(lambda tx: tx.app_run("shop"))
    assert run is not None and "was never heard of: no route to host" in (run.last_error or "")
    agent.problem = None
    await make_due(store, asked)
    await outbox.step()
    done = await current(store, asked)
    assert (done.state, done.attempts) == (OperationState.DONE, 2)
    assert agent.calls == [("stop", "shop", asked.fence)] * 2 and await status(store) == "STOPPED"


async def test_a_node_that_is_heard_of_again_is_asked_at_once(store: Store) -> None:
    agent = Agent(AgentFailed("no route to host"))
    operations, outbox = replica(store, agent)
    node = await placed(store)
    asked = await ask(store, operations, node)
    await outbox.step()
    agent.problem = None

    async def beat(tx: Transaction) -> None:
        before = await tx.node(node)
        assert before is not None
        await tx.save_node(replace(before, last_heartbeat_at=await tx.now() + 1))

    await store.transact(beat)
    await outbox.step()
    assert (await current(store, asked)).state is OperationState.DONE


async def test_two_replicas_never_attempt_one_at_once_and_a_crashed_one_is_taken_over(store: Store) -> None:
    slow, quick = Agent(gate=asyncio.Event()), Agent()
    operations, first = replica(store, slow)
    _, second = replica(store, quick)
    asked = await ask(store, operations, await placed(store))
    crashed = asyncio.create_task(first.step())
    await slow.called.wait()
    await second.step()
    assert quick.calls == [] and (await current(store, asked)).holder == operations.holder
    crashed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crashed
    await second.step()
    assert quick.calls == [], "its lease still runs"
    await make_due(store, asked)
    await second.step()
    assert quick.calls == [("stop", "shop", asked.fence)]
    assert (await current(store, asked)).state is OperationState.DONE


async def test_an_attempt_whose_operation_was_replaced_changes_nothing(store: Store) -> None:
    agent = Agent(gate=asyncio.Event())
    operations, outbox = replica(store, agent)
    node = await placed(store)
    old = await ask(store, operations, node, OperationKind.DELETE, sequel=Sequel.FORGET)
    attempt = asyncio.create_task(outbox.step())
    await agent.called.wait()
    new = await ask(store, operations, node)
    assert agent.gate is not None
    agent.gate.set()
    await attempt
    replaced = await current(store, old)
    assert (replaced.state, replaced.reason) == (OperationState.ABANDONED, "superseded")
    assert (new.kind, new.sequel) == (OperationKind.DELETE, Sequel.FORGET) and new.fence > old.fence
    assert await store.transact(lambda tx: tx.placement("shop")) is not None
    await outbox.step()
    assert (await current(store, new)).state is OperationState.DONE
    assert await store.transact(lambda tx: tx.placement("shop")) is None


async def test_an_app_is_forgotten_once_every_node_has_done_its_part(store: Store) -> None:
    agent = Agent()
    operations, outbox = replica(store, agent)
    node = await placed(store)

    async def second_node(tx: Transaction) -> int:
        inserted = await tx.insert_node(replace(NODE, name="n2", agent_base_url=None))
        assert inserted is not None
        return inserted.id

    other = await store.transact(second_node)
    sequel = Sequel.REMOVE_IMAGES
    await ask(store, operations, node, OperationKind.DELETE, sequel=sequel)
    unreachable = await ask(store, operations, other, OperationKind.DELETE, sequel=sequel)
    await outbox.step()
    assert await store.transact(lambda tx: tx.placement("shop")) is not None
    assert "no agent address" in ((await current(store, unreachable)).message or "")

    async def address(tx: Transaction) -> None:
        before = await tx.node(other)
        assert before is not None
        await tx.save_node(replace(before, agent_base_url="http://n2:7005"))

    await store.transact(address)
    await make_due(store, unreachable)
    await outbox.step()
    assert await store.transact(lambda tx: tx.placement("shop")) is None
    assert await store.transact(lambda tx: tx.app_run("shop")) is None
    review = await store.transact(lambda tx: tx.review("shop"))
    assert review is not None and review.user_id == "1"


async def test_a_refusal_because_of_a_newer_attempt_that_did_not_stay_leads_to_a_newer_fence(store: Store) -> None:
    agent = Agent(AgentFailed("attempt 1 is stale", "stale_fence"))
    operations, outbox = replica(store, agent)
    asked = await ask(store, operations, await placed(store))
    await outbox.step()
    again = await current(store, asked)
    assert (again.state, again.reason) == (OperationState.PENDING, "stale_fence") and again.fence > asked.fence
    agent.problem = None
    await outbox.step()
    assert (await current(store, asked)).state is OperationState.DONE
    assert [fence for _, _, fence in agent.calls] == [asked.fence, again.fence]


async def test_operations_on_a_node_that_is_gone_are_abandoned(store: Store) -> None:
    agent = Agent()
    operations, outbox = replica(store, agent)
    await placed(store)
    asked = await ask(store, operations, 999)
    await outbox.step()
    ended = await current(store, asked)
    assert (ended.state, ended.reason) == (OperationState.ABANDONED, "node_deleted") and agent.calls == []
