"""Every method of the port `Store`, over every database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.holders import Holders
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, Placement, Runner, RuntimeNode
from daemons.deploy.domain.stages import Stage
from daemons.deploy.ports import Store, Transaction
from protocol.jobs import JobStatus, JobType, StageOutcome
from protocol.nodes import PausedBecause, RunnerVitals
from tests.support.line import claimable

NODE = RuntimeNode(0, "rt-node-01", "http://10.0.0.1:7005", "http://10.0.0.1", created_at=1000, updated_at=1000)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


def job(number: int, app_id: str = "", status: JobStatus = JobStatus.PENDING, created_at: int = 0) -> Job:
    return Job(
        id=f"job-{number:04}",
        type=JobType.BUILD_AND_DEPLOY,
        status=status,
        app_id=app_id or f"app-{number}",
        user_id="7",
        payload={"gitRef": "main"},
        created_at=created_at or number,
        updated_at=created_at or number,
    )


async def insert(store: Store, *jobs: Job) -> None:
    async def work(tx: Transaction) -> list[bool]:
        return [await tx.insert_job(each) for each in jobs]

    assert all(await store.transact(work))


async def do(store: Store, work: Callable[[Transaction], Awaitable[object]]) -> None:
    async def silent(tx: Transaction) -> None:
        await work(tx)

    await store.transact(silent)


async def test_a_job_comes_back_as_it_was_written(store: Store) -> None:
    full = Job(
        id="00000000-0000-4000-8000-000000000001",
        type=JobType.BUILD_AND_DEPLOY,
        status=JobStatus.RUNNING,
        app_id="shop",
        user_id="9223372036854775807",
        payload={"text": "é 漢 😀 ' \" \\ % %s :name", "nested": {"list": [1, 2.5, None, True]}, "big": 2**70},
        created_at=1_700_000_000_123,
        updated_at=1_700_000_000_456,
        attempt=3,
        fence=9_007_199_254_740_993,
        runner_id="runner-1",
        lease_token="token",
        lease_expire_at=1_700_000_030_000,
        not_before=5,
        started_at=6,
        confirmed_at=7,
        finished_at=8,
        phase="BUILD",
        phase_message="step 3/9 %d\n😀",
        error_message="x" * 300_000,
        reason="lease_lost",
        image="registry.example/funai/u1-app1",
        image_digest="sha256:" + "0" * 64,
        commit="a" * 40,
        log_length=2**40,
        log_expected=2**41,
        priority=-10,
        requires=("arm64", "gpu"),
        claim_key="0" * 64,
        stages=(
            Stage(2, "PUSH", StageOutcome.DONE, 1_700_000_000_123, 1_700_000_000_456, 2**53, "i", "d", "é 漢"),
            Stage(3, "CLONE", StageOutcome.RUNNING, 1_700_000_000_789),
        ),
        version=12,
    )
    await insert(store, full)

    assert await store.transact(lambda tx: tx.job(full.id)) == full
    assert await store.transact(lambda tx: tx.job(full.id, lock=True)) == full
    assert await store.transact(lambda tx: tx.job("no-such-job")) is None


async def test_a_save_writes_every_field_that_can_change(store: Store) -> None:
    was = job(1)
    await insert(store, was)
    now = replace(
        was,
        status=JobStatus.FAILED,
        payload={"other": 1},
        updated_at=99,
        attempt=1,
        fence=2,
        runner_id="r",
        lease_token="t",
        lease_expire_at=3,
        not_before=4,
        started_at=5,
        confirmed_at=6,
        finished_at=7,
        phase="PUSH",
        phase_message="m",
        error_message="e",
        reason="build_failed",
        image="i",
        image_digest="d",
        commit="c",
        log_expected=9,
        claim_key="1" * 64,
        stages=(Stage(1, "CLONE", StageOutcome.FAILED, 5, 6),),
        holders=Holders("process-1", 2, "r0", "2" * 64),
        version=1,
    )

    assert await store.transact(lambda tx: tx.save_job(now, was))

    assert await store.transact(lambda tx: tx.job(was.id)) == now


async def test_a_save_loses_against_a_newer_version(store: Store) -> None:
    was = job(1)
    await insert(store, was)
    first, second = replace(was, phase="one", version=1), replace(was, phase="two", version=1)

    assert await store.transact(lambda tx: tx.save_job(first, was))
    assert not await store.transact(lambda tx: tx.save_job(second, was))

    assert await store.transact(lambda tx: tx.job(was.id)) == first


async def test_a_save_raises_the_version_even_if_the_change_forgot_to(store: Store) -> None:
    was = job(1)
    await insert(store, was)
    forgetful = replace(was, phase="one")

    assert await store.transact(lambda tx: tx.save_job(forgetful, was))
    assert not await store.transact(lambda tx: tx.save_job(forgetful, was))


async def test_a_save_of_a_job_that_is_gone_is_refused(store: Store) -> None:
    assert not await store.transact(lambda tx: tx.save_job(job(1), job(1)))


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
async def test_an_app_has_one_job_in_each_active_state(store: Store, status: JobStatus) -> None:
    async def work(tx: Transaction) -> list[bool]:
        return [
            await tx.insert_job(job(1, "shop", status)),
            await tx.insert_job(job(2, "shop", status)),
            await tx.insert_job(job(3, "blog", status)),
            await tx.insert_job(job(4, "shop", JobStatus.FAILED)),
        ]

    assert await store.transact(work) == [True, False, True, True]
    assert await store.transact(lambda tx: tx.job("job-0002")) is None


async def test_the_same_id_twice_is_refused(store: Store) -> None:
    await insert(store, job(1))
    assert not await store.transact(lambda tx: tx.insert_job(job(1, "other")))


async def test_a_running_job_cannot_go_back_to_pending_while_another_is(store: Store) -> None:
    running, pending = job(1, "shop", JobStatus.RUNNING), job(2, "shop")
    await insert(store, running, pending)

    requeued = replace(running, status=JobStatus.PENDING, version=1)
    assert not await store.transact(lambda tx: tx.save_job(requeued, running))

    active = await store.transact(lambda tx: tx.active_jobs("shop"))
    assert sorted(active, key=lambda each: each.id) == [running, pending]


async def test_active_jobs_are_those_of_the_app_that_have_not_ended(store: Store) -> None:
    await insert(store, job(1, "shop"), job(2, "blog"), job(3, "shop", JobStatus.SUCCEEDED))
    assert [each.id for each in await store.transact(lambda tx: tx.active_jobs("shop"))] == ["job-0001"]
    assert await store.transact(lambda tx: tx.active_jobs("wiki")) == []


async def test_running_of_finds_running_jobs_by_app(store: Store) -> None:
    await insert(store, job(1, "shop", JobStatus.RUNNING), job(2, "blog"), job(3, "wiki", JobStatus.RUNNING))

    found = await store.transact(lambda tx: tx.running_of(["shop", "blog", "none"]))

    assert {app: each.id for app, each in found.items()} == {"shop": "job-0001"}
    assert await store.transact(lambda tx: tx.running_of([])) == {}


async def test_claimable_jobs_are_due_oldest_first_and_their_app_is_idle(store: Store) -> None:
    await insert(
        store,
        job(1, created_at=30),
        job(2, created_at=10),
        replace(job(3, created_at=5), not_before=101),
        replace(job(4, created_at=20), not_before=100),
        job(5, "busy", created_at=1),
        job(6, "busy", JobStatus.RUNNING),
    )

    found = await store.transact(lambda tx: claimable(tx, 10, 100))

    assert [each.id for each in found] == ["job-0002", "job-0004", "job-0001"]
    assert [each.id for each in await store.transact(lambda tx: claimable(tx, 2, 100))] == ["job-0002", "job-0004"]


async def test_expired_jobs_come_by_the_age_of_their_lease(store: Store) -> None:
    running = [replace(job(n, status=JobStatus.RUNNING), lease_expire_at=at) for n, at in ((1, 30), (2, 10), (3, 51))]
    without_lease, pending = job(4, status=JobStatus.RUNNING), replace(job(5), lease_expire_at=1)
    await insert(store, *running, without_lease, pending)

    assert [each.id for each in await store.transact(lambda tx: tx.expired(10, 50))] == ["job-0002", "job-0001"]
    assert [each.id for each in await store.transact(lambda tx: tx.expired(10, 51))][-1] == "job-0003"
    assert len(await store.transact(lambda tx: tx.expired(1, 50))) == 1


async def test_running_since_finds_jobs_that_started_before(store: Store) -> None:
    started = [replace(job(n, status=JobStatus.RUNNING), started_at=at) for n, at in ((1, 30), (2, 10), (3, 50))]
    await insert(store, *started, replace(job(4, status=JobStatus.SUCCEEDED), started_at=1))

    assert [each.id for each in await store.transact(lambda tx: tx.running_since(10, 50))] == ["job-0002", "job-0001"]


async def test_lists_begin_with_the_newest(store: Store) -> None:
    ended = JobStatus.FAILED
    await insert(store, *(job(n, "shop" if n % 2 else "blog", ended, created_at=100 - n) for n in range(1, 7)))

    assert [each.id for each in await store.transact(lambda tx: tx.newest_jobs(3))] == [
        "job-0001",
        "job-0002",
        "job-0003",
    ]
    assert [each.id for each in await store.transact(lambda tx: tx.jobs_of_app("shop", 2))] == ["job-0001", "job-0003"]


async def test_pruning_keeps_the_newest_ended_jobs_and_every_active_one(store: Store) -> None:
    await insert(
        store,
        *(job(n, "shop", JobStatus.SUCCEEDED, created_at=n) for n in range(1, 6)),
        job(6, "shop", created_at=1),
        job(7, "blog", JobStatus.FAILED),
    )
    await do(store, lambda tx: tx.append_log("job-0001", 0, b"old"))
    await do(store, lambda tx: tx.append_log("job-0005", 0, b"new"))

    assert await store.transact(lambda tx: tx.prune_jobs("shop", 2)) == 3

    left = await store.transact(lambda tx: tx.newest_jobs(10))
    assert {each.id for each in left} == {"job-0004", "job-0005", "job-0006", "job-0007"}
    assert await store.transact(lambda tx: tx.read_log("job-0001", 0, 10)) == b""
    assert await store.transact(lambda tx: tx.read_log("job-0005", 0, 10)) == b"new"


async def test_deleting_takes_the_ended_jobs_of_the_app(store: Store) -> None:
    await insert(store, *(job(n, "shop", JobStatus.CANCELLED) for n in range(1, 4)), job(4, "shop"), job(5, "blog"))

    assert await store.transact(lambda tx: tx.delete_jobs("shop")) == 3
    assert await store.transact(lambda tx: tx.delete_jobs("shop")) == 0
    assert len(await store.transact(lambda tx: tx.newest_jobs(10))) == 2


async def test_active_jobs_are_counted_by_state(store: Store) -> None:
    assert await store.transact(lambda tx: tx.count_jobs()) == {"PENDING": 0, "RUNNING": 0}
    await insert(store, job(1), job(2), job(3, status=JobStatus.RUNNING), job(4, status=JobStatus.FAILED))
    assert await store.transact(lambda tx: tx.count_jobs()) == {"PENDING": 2, "RUNNING": 1}


async def test_a_fence_rises_per_app(store: Store) -> None:
    async def work(tx: Transaction) -> list[int]:
        await tx.lock_app("shop")
        await tx.lock_app("shop")
        return [await tx.next_fence(app) for app in ("shop", "shop", "blog", "shop")]

    assert await store.transact(work) == [1, 2, 1, 3]
    await do(store, lambda tx: tx.lock_app("shop"))
    assert await store.transact(lambda tx: tx.next_fence("shop")) == 4


async def test_an_exception_of_the_work_undoes_it(store: Store) -> None:
    class OfOurs(Exception):
        pass

    async def work(tx: Transaction) -> None:
        await tx.insert_job(job(1))
        raise OfOurs

    with pytest.raises(OfOurs):
        await store.transact(work)

    assert await store.transact(lambda tx: tx.job("job-0001")) is None


async def test_a_refused_insert_leaves_the_transaction_alive(store: Store) -> None:
    await insert(store, job(1, "shop"))

    async def work(tx: Transaction) -> None:
        assert not await tx.insert_job(job(2, "shop"))
        await tx.lock_app("shop")
        assert await tx.insert_job(job(3, "blog"))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.job("job-0003")) is not None


async def test_nodes_get_small_ids_and_keep_their_figures(store: Store) -> None:
    full = replace(
        NODE,
        enabled=False,
        weight=3,
        last_heartbeat_at=1_700_000_000_123,
        disk_free_pct=12.3456789,
        disk_free_bytes=2**43,
        disk_total_bytes=2**44,
        inodes_free_pct=0.1,
        container_count=0,
        interval_seconds=2.5,
        version="1.2",
        inodes_total=2**40,
        inodes_free=0,
        labels=("gpu", "ssd"),
    )
    first = await store.transact(lambda tx: tx.insert_node(full))
    second = await store.transact(lambda tx: tx.insert_node(replace(NODE, name="rt-node-02")))

    assert first is not None
    assert second is not None
    assert (first, second.id) == (replace(full, id=1), 2)
    assert await store.transact(lambda tx: tx.nodes()) == [first, second]
    assert await store.transact(lambda tx: tx.node(1)) == first
    assert await store.transact(lambda tx: tx.node_named("rt-node-02", lock=True)) == second
    assert await store.transact(lambda tx: tx.node(99)) is None
    assert await store.transact(lambda tx: tx.node_named("nobody")) is None


async def test_a_node_name_is_taken_once(store: Store) -> None:
    await do(store, lambda tx: tx.insert_node(NODE))
    assert await store.transact(lambda tx: tx.insert_node(replace(NODE, weight=1))) is None


async def test_saving_a_node_writes_all_but_id_and_name(store: Store) -> None:
    node = await store.transact(lambda tx: tx.insert_node(replace(NODE, disk_free_pct=1.0)))
    assert node is not None
    changed = replace(node, agent_base_url=None, enabled=False, weight=5, disk_free_pct=None, updated_at=2000)

    await store.transact(lambda tx: tx.save_node(replace(changed, name="ignored")))

    assert await store.transact(lambda tx: tx.nodes()) == [changed]


async def test_placements_are_put_moved_paged_and_deleted(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        for app in ("b", "a", "10", "9", "c"):
            await tx.put_placement(Placement(app, 1, 1000, 900))
        await tx.put_placement(Placement("c", 2, 2000, 1900))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.placement("c")) == Placement("c", 2, 2000, 900)
    assert await store.transact(lambda tx: tx.placement("none")) is None
    page = await store.transact(lambda tx: tx.placements_on(1, 1, 2))
    assert [placement.app_id for placement in page] == ["9", "a"]
    assert [p.app_id for p in await store.transact(lambda tx: tx.all_placements(3))] == ["10", "9", "a"]
    assert set(await store.transact(lambda tx: tx.placements_of(["a", "c", "none"]))) == {"a", "c"}
    assert await store.transact(lambda tx: tx.placements_of([])) == {}
    assert await store.transact(lambda tx: tx.count_placements()) == {1: 4, 2: 1}
    assert await store.transact(lambda tx: tx.delete_placement("c"))
    assert not await store.transact(lambda tx: tx.delete_placement("c"))


async def test_placed_since_counts_arrivals_not_activity(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        await tx.put_placement(Placement("stays", 1, 1000))
        await tx.put_placement(Placement("stays", 1, 5000))
        await tx.put_placement(Placement("moves", 1, 1000))
        await tx.put_placement(Placement("moves", 2, 5000))
        await tx.put_placement(Placement("comes", 1, 5000))

    await store.transact(work)

    assert await store.transact(lambda tx: tx.placed_since(5000)) == {1: 1, 2: 1}
    assert await store.transact(lambda tx: tx.placed_since(1000)) == {1: 2, 2: 1}
    assert await store.transact(lambda tx: tx.placed_since(5001)) == {}


async def test_app_runs_are_overwritten_and_deleted(store: Store) -> None:
    first = AppRun("shop", 1, "job-1", "SUCCEEDED", "e" * 100_000, 1000, 1001, "runner-1")
    await store.transact(lambda tx: tx.put_app_run(first))
    assert await store.transact(lambda tx: tx.app_run("shop")) == first

    second = AppRun("shop", None, None, "STOPPED", None, 1000, None)
    await store.transact(lambda tx: tx.put_app_run(second))
    await store.transact(lambda tx: tx.put_app_run(AppRun("blog")))

    assert await store.transact(lambda tx: tx.app_runs(10)) == [AppRun("blog"), second]
    assert await store.transact(lambda tx: tx.app_runs(1)) == [AppRun("blog")]
    assert await store.transact(lambda tx: tx.delete_app_run("shop"))
    assert not await store.transact(lambda tx: tx.delete_app_run("shop"))
    assert await store.transact(lambda tx: tx.app_run("shop")) is None


async def test_a_runner_keeps_what_it_does_not_repeat(store: Store) -> None:
    await store.transact(lambda tx: tx.touch_runners([Runner("b", 1000, slots=2, version="1.0", labels=("gpu",))]))
    await store.transact(lambda tx: tx.touch_runners([Runner("b", 2000, host="ci-1"), Runner("c", 2000)]))
    await store.transact(lambda tx: tx.touch_runners([Runner("a", 500, labels=())]))
    await store.transact(lambda tx: tx.touch_runners([]))

    kept = Runner("b", 2000, 2, "1.0", "ci-1", ("gpu",))
    vitals = RunnerVitals(instance_id="process-1", pause=PausedBecause(reason="disk", message="it's \\ full"))
    await store.transact(lambda tx: tx.touch_runners([Runner("d", 3000, vitals=vitals, vitals_at=3000)]))
    await store.transact(lambda tx: tx.touch_runners([Runner("d", 4000)]))
    told = Runner("d", 4000, vitals=vitals, vitals_at=3000)
    assert await store.transact(lambda tx: tx.runners_named({"d"})) == {"d": told}
    await store.transact(lambda tx: tx.touch_runners([Runner("d", 4000, vitals=vitals, vitals_at=4000)]))
    assert (await store.transact(lambda tx: tx.runners()))[-1].vitals_at == 4000
    assert (await store.transact(lambda tx: tx.runners()))[:3] == [Runner("a", 500, labels=()), kept, Runner("c", 2000)]
    assert await store.transact(lambda tx: tx.runners_named({"b", "none"})) == {"b": kept}
    assert await store.transact(lambda tx: tx.runners_named([])) == {}
    assert await store.transact(lambda tx: tx.drained_runners({"a", "b"})) == set()
    drained = Runner("a", 500, labels=(), drained_at=900, drained_by="admin")
    await store.transact(lambda tx: tx.drain_runner(drained))
    await store.transact(lambda tx: tx.touch_runners([Runner("a", 500)]))
    assert await store.transact(lambda tx: tx.runners_named({"a"})) == {"a": drained}
    assert await store.transact(lambda tx: tx.drained_runners({"a", "b", "none"})) == {"a"}
    assert await store.transact(lambda tx: tx.forget_runners(2000)) == 0, "it has to be drained when it comes back"
    await store.transact(lambda tx: tx.drain_runner(Runner("a", 500)))
    assert not await store.transact(lambda tx: tx.drained_runners({"a"}))
    assert await store.transact(lambda tx: tx.forget_runners(2000)) == 1
    assert [runner.id for runner in await store.transact(lambda tx: tx.runners())] == ["b", "c", "d"]


async def test_events_are_numbered_timed_and_read_in_order(store: Store) -> None:
    assert await store.transact(lambda tx: tx.event_bounds()) == (0, 0)

    async def work(tx: Transaction) -> int:
        for number in range(5):
            await tx.append(NewEvent("job", "created", f"job-{number}", Actor("user:é", "fd00::1"), '{"a": "😀"}'))
        return await tx.now()

    now = await store.transact(work)

    events = await store.transact(lambda tx: tx.events_after(0, 10))
    assert [(event.seq, event.subject) for event in events] == [(n + 1, f"job-{n}") for n in range(5)]
    assert (events[0].kind, events[0].change, events[0].actor, events[0].body) == (
        "job",
        "created",
        Actor("user:é", "fd00::1"),
        '{"a": "😀"}',
    )
    assert all(abs(event.at - now) < 60_000 for event in events)
    assert [event.seq for event in await store.transact(lambda tx: tx.events_after(2, 2))] == [3, 4]
    assert await store.transact(lambda tx: tx.event_bounds()) == (1, 5)


async def test_old_events_are_deleted_in_portions_and_numbers_are_not_reused(store: Store) -> None:
    for _ in range(5):
        await store.transact(lambda tx: tx.append(NewEvent("job", "created", "x", Actor("y"), "{}")))
    newest = (await store.transact(lambda tx: tx.events_after(0, 10)))[-1]

    assert await store.transact(lambda tx: tx.delete_events(1, 10)) == 0
    assert await store.transact(lambda tx: tx.delete_events(newest.at + 1, 2)) == 2
    assert await store.transact(lambda tx: tx.event_bounds()) == (3, 5)
    assert await store.transact(lambda tx: tx.delete_events(newest.at + 1, 10)) == 3
    await store.transact(lambda tx: tx.append(NewEvent("job", "created", "x", Actor("y"), "{}")))
    assert await store.transact(lambda tx: tx.event_bounds()) == (6, 6)


async def read_log(tx: Transaction, offset: int, limit: int) -> bytes:
    return await tx.read_log("job-1", offset, limit)


async def test_a_log_gives_back_every_byte_at_every_offset(store: Store) -> None:
    data = bytes(range(256)) * 3000 + b"\x00'\\%s\n"
    cuts = [0, 1, 300, 70_000, len(data)]

    async def work(tx: Transaction) -> None:
        for start, end in pairwise(cuts):
            await tx.append_log("job-1", start, data[start:end])

    await store.transact(work)

    for offset, limit in ((0, 10), (0, len(data) + 5), (1, 1), (299, 2), (69_999, 400_000), (len(data) - 1, 10)):
        read = await store.transact(partial(read_log, offset=offset, limit=limit))
        assert read == data[offset : offset + limit]
    assert await store.transact(lambda tx: tx.read_log("job-1", len(data), 10)) == b""
    assert await store.transact(lambda tx: tx.read_log("job-1", len(data) + 99, 10)) == b""
    assert await store.transact(lambda tx: tx.read_log("job-2", 0, 10)) == b""


async def test_hostile_text_is_data(store: Store) -> None:
    name = "'; DROP TABLE fun_ai_deploy_job; -- \\' %(x)s :x"
    assert await store.transact(lambda tx: tx.job(name)) is None
    await store.transact(lambda tx: tx.append(NewEvent("job", "created", name, Actor(name), name)))
    assert (await store.transact(lambda tx: tx.events_after(0, 1)))[0].body == name


async def test_the_database_tells_the_time(store: Store) -> None:
    first = await store.transact(lambda tx: tx.now())
    second = await store.transact(lambda tx: tx.now())
    assert 1_600_000_000_000 < first <= second
    await store.check()
