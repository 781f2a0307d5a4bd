"""A runner that is stopped hands its job back, in every store."""

from collections.abc import AsyncIterator

import pytest

from daemons.deploy.adapters.store import SqlStore, open_store
from daemons.deploy.domain.jobs import LeaseLost, Proof
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType, OnConflict
from tests.support.desk import CALLER, desk, offer


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """The empty store, on each kind of database."""
    async with open_store(database_url) as opened:
        yield opened


async def test_a_job_that_is_handed_back_is_the_next_runners_at_once(store: SqlStore) -> None:
    async with desk(store) as at:
        order = await at.create()
        held = await at.claim(offer("r1"))
        assert held is not None and held.id == order.id
        mine = Proof("r1", held.lease_token)

        returned, _ = await at.leases.hand_back(held.id, mine, 0, ())
        again, _ = await at.leases.hand_back(held.id, mine, 0, ())
        assert (returned.status, returned.attempt, returned.holders.returned_by) == (JobStatus.PENDING, 1, "r1")
        assert again == returned == await store.transact(lambda tx: tx.job(held.id))

        second = await at.claim(offer("r2"))
        assert second is not None and (second.id, second.attempt, second.runner_id) == (held.id, 2, "r2")
        late, _ = await at.leases.hand_back(held.id, mine, 0, ())
        assert late == second, "said once more: it changes nothing"
        with pytest.raises(LeaseLost):
            await at.leases.hand_back(held.id, Proof("r1", "another"), 0, ())
        await at.finish(second)
        events = await store.transact(lambda tx: tx.events_after(0, 1000))
        told = [(event.change, event.actor.name) for event in events if event.subject == held.id]
        assert told == [
            ("created", "api"),
            ("claimed", "runner:r1"),
            ("returned", "runner:r1"),
            ("claimed", "runner:r2"),
            ("succeeded", "runner:r2"),
        ]


async def test_what_was_logged_and_never_arrived_is_written_down(store: SqlStore) -> None:
    async with desk(store) as at:
        await at.create()
        held = await at.claim(offer("r1"))
        assert held is not None
        returned, _ = await at.leases.hand_back(held.id, Proof("r1", held.lease_token), 70, ())
        stored = await store.transact(lambda tx: tx.job(held.id))
        assert stored is not None and (stored.log_gaps, stored.log_expected) == (1, None)
        assert returned.id == held.id


async def test_a_job_that_a_newer_one_waits_behind_makes_room(store: SqlStore) -> None:
    async with desk(store) as at:
        await at.create(app="shop")
        held = await at.claim(offer("r1"))
        assert held is not None
        payload = JobPayload(user_id="1", app_id="shop")
        order = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload, on_conflict=OnConflict.SUPERSEDE)
        newer = (await at.orders.create(order, CALLER)).job
        returned, _ = await at.leases.hand_back(held.id, Proof("r1", held.lease_token), 0, ())
        assert (returned.status, returned.superseded_by) == (JobStatus.CANCELLED, newer.id)
