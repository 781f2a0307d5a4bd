"""Many small transactions made one: each has the outcome that it would have had alone, over both databases."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from daemons.deploy.adapters.grouped import GroupedStore
from daemons.deploy.adapters.store import SqlStore, open_store
from daemons.deploy.domain.jobs import AppBusy, Job, JobNotFound, LeaseLost, Outcome, Progress, Proof
from daemons.deploy.ports import OutcomeUnknown, Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.leases import Leases
from daemons.kit.batches import Done, Failed, Later
from daemons.kit.lockstep import Rules
from protocol.jobs import JobStatus
from tests.support.desk import Desk, desk, offer

T = TypeVar("T")
JOBS = 20


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """The empty store, on each kind of database."""
    async with open_store(database_url) as opened:
        yield opened


async def claimed(at: Desk, jobs: int) -> list[Job]:
    """Jobs that were ordered at once and then claimed at once."""
    await asyncio.gather(*(at.create(str(number % 3 + 1), f"app-{number}") for number in range(jobs)))
    found = await asyncio.gather(*(at.claim(offer(f"r{number}"), 20) for number in range(jobs)))
    return [job for job in found if job is not None]


async def test_many_at_once_end_like_one_by_one(store: SqlStore) -> None:
    async with desk(store) as at:
        held = await claimed(at, JOBS)
        assert len({job.id for job in held}) == JOBS and {job.fence for job in held} == {1}
        proofs = [Proof(job.runner_id or "", job.lease_token) for job in held]
        renewed = await asyncio.gather(
            *(
                at.leases.renew(job.id, proof, 60, 0, Progress("BUILD", f"of {job.app_id}"))
                for job, proof in zip(held, proofs, strict=True)
            )
        )
        assert [job.phase_message for job in renewed] == [f"of {job.app_id}" for job in held]
        outcomes = [
            Outcome(JobStatus.FAILED, f"broke {place}") if place % 4 == 0 else Outcome(JobStatus.SUCCEEDED)
            for place in range(JOBS)
        ]
        ended = await asyncio.gather(
            *(
                at.leases.report(job.id, proof, outcome)
                for job, proof, outcome in zip(held, proofs, outcomes, strict=True)
            )
        )
        for (job, node), outcome, was in zip(ended, outcomes, held, strict=True):
            assert (job.id, job.status, job.error_message) == (was.id, outcome.status, outcome.error_message)
            assert node is not None and node.name == "n1"
            stored = await store.transact(lambda tx, job=job: tx.job(job.id))  # type: ignore[misc]
            assert stored == job
            run = await store.transact(lambda tx, job=job: tx.app_run(job.app_id))  # type: ignore[misc]
            assert run is not None and (run.last_job_id, run.last_error) == (job.id, job.error_message)
            releases = await store.transact(lambda tx, job=job: tx.releases(job.app_id, 99, 9))  # type: ignore[misc]
            assert [release.job_id for release in releases] == ([job.id] if job.status is JobStatus.SUCCEEDED else [])
        events = await store.transact(lambda tx: tx.events_after(0, 1000))
        for was in held:
            told = [event.change for event in events if event.subject == was.id]
            assert told[:3] == ["created", "claimed", "phase"] and told[3] in ("succeeded", "failed") and len(told) == 4


async def test_a_refusal_is_the_answer_of_one_alone(store: SqlStore) -> None:
    async with desk(store) as at:
        held = await claimed(at, 4)
        reports = [at.leases.report(job.id, Proof(job.runner_id or "", job.lease_token), DONE) for job in held[:3]]
        found = await asyncio.gather(
            reports[0],
            at.leases.report(held[3].id, Proof("thief", "x"), DONE),
            reports[1],
            at.leases.report("job-nowhere", Proof("r", "x"), DONE),
            reports[2],
            return_exceptions=True,
        )
        assert [type(each) for each in found] == [tuple, LeaseLost, tuple, JobNotFound, tuple]
        orders = [at.create(app=app) for app in ("fresh-1", held[3].app_id, "fresh-2")]
        made = await asyncio.gather(*orders, return_exceptions=True)
        assert [type(each) for each in made] == [Job, AppBusy, Job]


DONE = Outcome(JobStatus.SUCCEEDED)


async def test_two_that_want_the_same_job_follow_each_other(store: SqlStore) -> None:
    async with desk(store) as at:
        [held] = await claimed(at, 1)
        proof = Proof(held.runner_id or "", held.lease_token)
        found = await asyncio.gather(
            at.leases.renew(held.id, proof, 60, 0, Progress("PUSH")),
            at.leases.report(held.id, proof, DONE),
            at.leases.report(held.id, proof, DONE),
            at.leases.renew(held.id, proof, 60, 0, Progress()),
            return_exceptions=True,
        )
        assert isinstance(found[0], Job) and found[0].status is JobStatus.RUNNING
        assert isinstance(found[1], tuple) and found[1][0].status is JobStatus.SUCCEEDED
        assert found[2] == found[1]
        assert isinstance(found[3], LeaseLost)


async def test_one_that_fails_after_it_wrote_undoes_nothing_of_the_others(store: SqlStore) -> None:
    grouped = GroupedStore(store)

    async def good(tx: Transaction, app: str) -> int:
        return await tx.next_fence(app)

    async def bad(tx: Transaction) -> int:
        await tx.next_fence("bad")
        raise LookupError("changed its mind")

    works: list[Callable[[Transaction], Awaitable[int]]] = [
        lambda tx: good(tx, "one"),
        bad,
        lambda tx: good(tx, "two"),
    ]
    first = await asyncio.gather(*(grouped.transact(work) for work in works), return_exceptions=True)
    assert first[0] == first[2] == 1 and isinstance(first[1], LookupError)
    assert await store.transact(lambda tx: tx.next_fence("bad")) == 1
    assert await store.transact(lambda tx: tx.next_fence("two")) == 2


class Doubtful(SqlStore):
    """A store whose shared commits are never answered."""

    async def together(
        self, works: Sequence[Callable[[Transaction], Awaitable[T]]], rules: Rules
    ) -> list[Done[T] | Failed | Later]:
        await super().together(works, rules)
        raise OutcomeUnknown("the answer to the commit was lost; ask again")


async def test_an_unknown_outcome_is_unknown_to_all(store: SqlStore) -> None:
    async with desk(store) as at:
        held = await claimed(at, 3)
        shaky: Store = GroupedStore(Doubtful(store._database))
        leases = Leases(shaky, Bells())
        proofs = [Proof(job.runner_id or "", job.lease_token) for job in held]
        found = await asyncio.gather(
            *(leases.report(job.id, proof, DONE) for job, proof in zip(held, proofs, strict=True)),
            return_exceptions=True,
        )
        assert [type(each) for each in found] == [OutcomeUnknown] * 3
        again = [await at.leases.report(job.id, proof, DONE) for job, proof in zip(held, proofs, strict=True)]
        assert [job.status for job, _ in again] == [JobStatus.SUCCEEDED] * 3
