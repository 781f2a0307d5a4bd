"""Results to deliver in the store, and the service that delivers them, over every database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from daemons.deploy.adapters.grouped import grouped
from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor, Search
from daemons.deploy.domain.jobs import cancel
from daemons.deploy.domain.webhooks import GIVE_UP_MS, Answer, Delivery, DeliveryMade
from daemons.deploy.ports import DeliveryFilter, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import write_job
from daemons.deploy.services.orders import Caller, Orders
from daemons.deploy.services.queue import JobQueue
from daemons.deploy.services.webhooks import Webhooks
from protocol.jobs import CreateJob, JobPayload, JobType
from protocol.webhooks import DeliveryState

ACTOR = Actor("api", "10.0.0.9")
ALL = DeliveryFilter()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url, delivers=True) as opened:
        yield opened


@dataclass
class Receiver:
    """Notes what it is told; answers what it is given, or 200; waits for a word if it has a gate."""

    answers: list[Answer] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, key: str, body: bytes) -> Answer:
        """One attempt."""
        self.heard.append(key)
        self.called.set()
        if self.gate is not None:
            await self.gate.wait()
        return self.answers.pop(0) if self.answers else Answer(200)


async def pending(store: Store, app_id: str) -> str:
    order = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=JobPayload(user_id="1", app_id=app_id))
    return (await Orders(store, Bells()).create(order, Caller(ACTOR))).job.id


async def ended(store: Store, app_id: str = "20001") -> str:
    job_id = await pending(store, app_id)
    await JobQueue(store, Bells()).cancel(job_id, ACTOR)
    return job_id


async def deliveries(store: Store, wanted: DeliveryFilter = ALL) -> list[Delivery]:
    """Oldest first."""
    return list(reversed(await store.transact(lambda tx: tx.deliveries(wanted, 2**62, 100))))


async def change(store: Store, delivery: Delivery, **columns: int) -> None:
    """As if time had passed."""

    async def work(tx: Transaction) -> None:
        assert await tx.save_delivery(replace(delivery, **columns), delivery)  # type: ignore[arg-type]

    await store.transact(work)


async def test_the_result_is_written_with_the_end_of_the_job_or_not_at_all(store: Store) -> None:
    job_id = await pending(store, "20001")

    async def crashes(tx: Transaction) -> None:
        job = await tx.job(job_id, lock=True)
        assert job is not None
        await write_job(tx, cancel(job, await tx.now()), job, "cancelled", ACTOR)
        raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        await store.transact(crashes)
    assert await deliveries(store) == []
    queue = JobQueue(store, Bells())
    await queue.cancel(job_id, ACTOR)
    await queue.cancel(job_id, ACTOR)
    [delivery] = await deliveries(store)
    assert (delivery.key, delivery.event, delivery.app_id) == (f"{job_id}:ended", "job.cancelled", "20001")
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 0)


async def test_many_ends_in_one_transaction_write_one_result_each(store: Store) -> None:
    ids = [await pending(store, str(20001 + number)) for number in range(30)]
    queue = JobQueue(grouped(store), Bells())
    await asyncio.gather(*(queue.cancel(job_id, ACTOR) for job_id in ids))
    assert sorted(each.job_id for each in await deliveries(store)) == sorted(ids)


async def test_nothing_is_written_without_a_receiver(database_url: str) -> None:
    async with open_store(database_url) as store:
        await ended(store)
        assert await deliveries(store) == []


async def test_one_of_each_app_at_a_time_and_in_order(store: Store) -> None:
    first, second, third = [await ended(store) for _ in range(3)]
    other = await ended(store, "20002")
    receiver = Receiver()
    service = Webhooks(store, Bells(), receiver)
    assert await service.send_some()
    assert receiver.heard == [f"{first}:ended", f"{other}:ended"]
    receiver.answers = [Answer(500)]
    assert await service.send_some()
    assert await service.send_some() is False, "the third waits for the second, which waits for its time"
    assert receiver.heard[2:] == [f"{second}:ended"]
    waiting = await deliveries(store, DeliveryFilter(DeliveryState.PENDING, "20001"))
    assert [each.not_before is None for each in waiting] == [False, True]
    await change(store, waiting[0], not_before=0)
    while await service.send_some():
        continue
    assert receiver.heard[3:] == [f"{second}:ended", f"{third}:ended"]
    assert {each.state for each in await deliveries(store)} == {DeliveryState.DELIVERED}


async def test_a_long_backlog_of_one_app_keeps_nobody_waiting(store: Store) -> None:
    for _ in range(70):
        await ended(store)
    other = await ended(store, "20002")
    receiver = Receiver([Answer(None, "silent")])
    service = Webhooks(store, Bells(), receiver)
    while await service.send_some():
        continue
    assert len(receiver.heard) == 2 and receiver.heard[1] == f"{other}:ended"


async def test_what_was_sent_before_a_crash_is_sent_again_under_the_same_key(store: Store) -> None:
    job_id = await ended(store)
    cut = Receiver(gate=asyncio.Event())
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(Webhooks(store, Bells(), cut).send_some())
        await cut.called.wait()
        sending.cancel()
    [left] = await deliveries(store)
    assert (left.state, left.attempts) == (DeliveryState.PENDING, 0)
    next_one = Receiver()
    await Webhooks(store, Bells(), next_one).send_some()
    assert cut.heard == next_one.heard == [f"{job_id}:ended"]


async def test_two_that_send_at_once_note_one_attempt(store: Store) -> None:
    await ended(store)
    receivers = [Receiver(gate=asyncio.Event()) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        for receiver in receivers:
            group.create_task(Webhooks(store, Bells(), receiver).send_some())
            await receiver.called.wait()
        for receiver in receivers:
            assert receiver.gate is not None
            receiver.gate.set()
    [delivery] = await deliveries(store)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)


async def test_after_a_day_it_is_given_up_with_an_event_and_the_next_one_goes_on(store: Store) -> None:
    first, second = [await ended(store) for _ in range(2)]
    receiver = Receiver([Answer(None, "silent")])
    service = Webhooks(store, Bells(), receiver)
    while await service.send_some():
        continue
    head, held = await deliveries(store)
    assert held.not_before is None
    await change(store, head, not_before=0, since=head.since - GIVE_UP_MS)
    receiver.answers = [Answer(503)]
    while await service.send_some():
        continue
    assert receiver.heard == [f"{first}:ended"] * 2 + [f"{second}:ended"]
    failed, delivered = await deliveries(store)
    assert (failed.state, delivered.state) == (DeliveryState.FAILED, DeliveryState.DELIVERED)
    events = await store.transact(lambda tx: tx.events_before(2**62, 0, 10, Search(kind="webhook")))
    assert [(event.change, event.subject, event.actor.name) for event in events] == [
        ("given_up", str(failed.id), "control-plane")
    ]
    again = await service.retry(failed.id, ACTOR)
    assert again.state is DeliveryState.PENDING
    while await service.send_some():
        continue
    assert receiver.heard[3:] == [f"{first}:ended"]
    with pytest.raises(DeliveryMade):
        await service.retry(failed.id, ACTOR)


async def test_what_an_operator_touched_meanwhile_is_sent_again(store: Store) -> None:
    await ended(store)
    receiver = Receiver(gate=asyncio.Event())
    service = Webhooks(store, Bells(), receiver)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.send_some())
        await receiver.called.wait()
        [delivery] = await deliveries(store)
        await service.retry(delivery.id, ACTOR)
        assert receiver.gate is not None
        receiver.gate.set()
    assert (await deliveries(store))[0].state is DeliveryState.PENDING
    await service.send_some()
    assert len(receiver.heard) == 2
    assert (await deliveries(store))[0].state is DeliveryState.DELIVERED


async def test_what_ended_a_week_ago_is_forgotten(store: Store) -> None:
    await ended(store)
    await ended(store, "20002")
    service = Webhooks(store, Bells(), Receiver())
    while await service.send_some():
        continue
    old, recent = await deliveries(store)
    await change(store, old, finished_at=old.created_at - 8 * 24 * 3600 * 1000)
    await ended(store, "20003")
    await service.tidy()
    assert [each.app_id for each in await deliveries(store)] == [recent.app_id, "20003"]
