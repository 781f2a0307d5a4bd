"""Newer jobs of an app over HTTP: what gives way, what is waited for, what is repeated, what is retried."""

import asyncio
from collections.abc import Awaitable
from uuid import uuid4

import httpx
import pytest

from protocol.apps import AppCommand, ConfirmFence
from protocol.client.transport import Refused
from protocol.jobs import (
    ClaimedJob,
    CreateJob,
    JobPayload,
    JobStatus,
    JobType,
    JobView,
    OnConflict,
    RenewLease,
    ReportJob,
    RetryJob,
)
from tests.http.deploy.plane import HEADERS, TOKENS, Plane, serving

APP = "20001"


def order(app_id: str = APP, *, cancel_running: bool = False, reject: bool = False, ref: str = "main") -> CreateJob:
    return CreateJob(
        type=JobType.BUILD_AND_DEPLOY,
        payload=JobPayload(user_id="1", app_id=app_id, git_ref=ref),
        on_conflict=OnConflict.REJECT if reject else OnConflict.SUPERSEDE,
        cancel_running=cancel_running,
    )


def ended(job: ClaimedJob, status: JobStatus = JobStatus.SUCCEEDED) -> ReportJob:
    return ReportJob(runner_id=job.runner_id or "", lease_token=job.lease_token, status=status)


async def refused(call: Awaitable[object]) -> tuple[int, str | None]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.status, caught.value.reason


async def failed(plane: Plane) -> JobView:
    job = await plane.claimed()
    return await plane.runners.report(job.id, ended(job, JobStatus.FAILED))


async def post(
    plane: Plane, key: str | None, role: str = "api", app_id: str = APP, ref: str = "main"
) -> httpx.Response:
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": app_id, "gitRef": ref}}
    given = {} if key is None else {"headers": {"Idempotency-Key": key}}
    return await plane.call("POST", "/deploy/jobs", role=role, json=body, **given)


async def test_a_newer_job_takes_the_place_of_the_waiting_one_and_waits_behind_the_running_one() -> None:
    async with serving() as plane:
        running = await plane.claimed()
        second = await plane.api.create(order())
        third = await plane.api.create(order())
        gone = await plane.api.get(second.id)
        assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.CANCELLED, "superseded", third.id)
        waiting = (await plane.api.get(third.id)).waiting_for
        assert waiting is not None and waiting.reason == "app_busy"
        assert waiting.message == f"the app is busy with job {running.id}" and waiting.since is not None
        assert await plane.claim("r2") is None
        assert [job.id for job in await plane.api.of_app(APP)] == [third.id, second.id, running.id]
        await plane.runners.report(running.id, ended(running))
        last = await plane.claim("r2")
        assert last is not None and last.id == third.id and (last.fence or 0) > (running.fence or 0)


async def test_without_a_word_on_conflicts_an_active_job_refuses_the_next() -> None:
    async with serving() as plane:
        first = await plane.create()
        assert await refused(plane.api.create(order(reject=True))) == (409, "app_busy")
        assert (await plane.api.get(first.id)).status is JobStatus.PENDING


async def test_cancel_running_reaches_the_runner_at_once_and_starts_the_newer_job() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, wait_seconds=14)
        async with asyncio.timeout(13), asyncio.TaskGroup() as group:
            parked = group.create_task(plane.runners.renew(job.id, beat))
            while (await plane.api.get(job.id)).lease_expire_at == job.lease_expire_at:
                continue
            newer = await plane.api.create(order(cancel_running=True))
        shown = parked.result()
        assert (shown.status, shown.superseded_by) == (JobStatus.CANCELLED, newer.id)
        assert await refused(plane.runners.report(job.id, ended(job))) == (409, "illegal_transition")
        assert not (await plane.nodes.confirm_fence(ConfirmFence(app_id=APP, fence=job.fence or 0))).holds
        started = await plane.claim("r2")
        assert started is not None and started.id == newer.id


async def test_cancel_running_takes_the_waiting_job_along() -> None:
    async with serving() as plane:
        running = await plane.claimed()
        waiting = await plane.api.create(order())
        newest = await plane.api.create(order(cancel_running=True))
        for job_id in (running.id, waiting.id):
            gone = await plane.api.get(job_id)
            assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.CANCELLED, "superseded", newest.id)


async def test_a_job_that_is_going_live_is_waited_for_even_with_cancel_running() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        assert (await plane.nodes.confirm_fence(ConfirmFence(app_id=APP, fence=job.fence or 0))).holds
        newer = await plane.api.create(order(cancel_running=True))
        assert (await plane.api.get(job.id)).status is JobStatus.RUNNING
        waiting = (await plane.api.get(newer.id)).waiting_for
        assert waiting is not None and job.id in waiting.message
        assert (await plane.runners.report(job.id, ended(job))).status is JobStatus.SUCCEEDED


async def test_cancel_running_without_supersede_is_refused() -> None:
    async with serving() as plane:
        first = await plane.claimed()
        body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": APP}, "cancelRunning": True}
        for more in ({}, {"onConflict": "reject"}):
            answer = await plane.call("POST", "/deploy/jobs", role="api", json={**body, **more})
            assert answer.status_code == 400 and answer.json()["data"]["fields"] == ["cancelRunning"]
        answer = await plane.call("POST", "/deploy/jobs", role="api", json={**body, "onConflict": "replace"})
        assert answer.status_code == 400 and answer.json()["data"]["fields"] == ["onConflict"]
        assert [job.id for job in await plane.api.newest()] == [first.id]


async def test_an_expired_job_makes_room_for_the_one_that_waits() -> None:
    async with serving() as plane:
        lost = await plane.claimed(lease_seconds=1)
        newer = await plane.api.create(order())
        started = await plane.claim("r2", wait_seconds=20)
        assert started is not None and started.id == newer.id
        gone = await plane.api.get(lost.id)
        assert (gone.status, gone.reason, gone.superseded_by) == (JobStatus.CANCELLED, "superseded", newer.id)


async def test_watchers_are_told_of_each_job_that_gave_way() -> None:
    async with serving() as plane:
        first = await plane.api.create(order())
        second = await plane.api.create(order())
        told = []
        async for event in plane.admin.follow(0):
            if event.kind == "job":
                told.append((event.change, event.actor, event.job.id, event.job.superseded_by))
            if len(told) == 3:
                break
        assert told == [
            ("created", "api", first.id, None),
            ("cancelled", "api", first.id, second.id),
            ("created", "api", second.id, None),
        ]


async def test_a_burst_of_orders_leaves_the_apps_real_history_alone() -> None:
    async with serving() as plane:
        done = await plane.claimed()
        await plane.runners.report(done.id, ended(done))
        gone = [await plane.api.create(order()) for _ in range(30)]
        found = {job.id for job in await plane.api.of_app(APP, 200)}
        assert found == {done.id, *(job.id for job in gone)}


async def test_the_same_key_and_request_answer_the_same_job_also_after_it_ended() -> None:
    async with serving() as plane:
        first = await post(plane, "k1")
        again = await post(plane, "k1")
        assert (first.status_code, again.status_code) == (200, 200)
        job_id = first.json()["data"]["id"]
        assert again.json()["data"]["id"] == job_id
        assert again.json()["data"]["waitingFor"]["reason"] == "no_node"
        await plane.api.cancel(job_id)
        last = await post(plane, "k1")
        assert (last.json()["data"]["id"], last.json()["data"]["status"]) == (job_id, "CANCELLED")
        assert len(await plane.api.newest()) == 1


async def test_another_request_under_a_key_is_refused() -> None:
    async with serving() as plane:
        job_id = (await post(plane, "k1")).json()["data"]["id"]
        other = await post(plane, "k1", ref="release")
        assert (other.status_code, other.json()["reason"]) == (409, "idempotency_mismatch")
        assert other.json()["data"] == {"jobId": job_id} and job_id in other.json()["message"]
        await plane.api.cancel(job_id)
        assert await refused(plane.api.retry(job_id, idempotency_key="k1")) == (409, "idempotency_mismatch")


async def test_a_key_belongs_to_its_caller_and_app() -> None:
    async with serving() as plane:
        first = (await post(plane, "k1")).json()["data"]["id"]
        assert (await post(plane, "k1", app_id="20002")).json()["data"]["id"] != first
        assert (await post(plane, "k1", role="admin")).json()["reason"] == "app_busy"


async def test_a_refused_request_leaves_its_key_free() -> None:
    async with serving() as plane:
        first = await plane.create()
        assert (await post(plane, "k1")).json()["reason"] == "app_busy"
        await plane.api.cancel(first.id)
        assert (await post(plane, "k1")).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 129, "t\u00f6ken", "a\tb"])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    async with serving() as plane:
        body = b'{"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": 20001}}'
        proof = (HEADERS["api"].encode(), TOKENS["api"].encode())
        given = [proof, (b"Idempotency-Key", key.encode())]
        answer = await plane.http.post("/deploy/jobs", content=body, headers=given)
        assert answer.status_code == 400 and answer.json()["data"]["fields"] == ["Idempotency-Key"]
        twice = [proof, (b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"b")]
        assert (await plane.http.post("/deploy/jobs", content=body, headers=twice)).status_code == 400
        assert await plane.api.newest() == ()


async def test_the_longest_key_is_taken() -> None:
    async with serving() as plane:
        assert (await post(plane, "x" * 128)).status_code == 200


async def test_a_purge_frees_the_keys_of_the_app() -> None:
    async with serving() as plane:
        first = (await post(plane, "k1")).json()["data"]["id"]
        await plane.api.cancel(first)
        await plane.api.purge_app(AppCommand(user_id="1", app_id=APP))
        again = await post(plane, "k1")
        assert again.status_code == 200 and again.json()["data"]["id"] != first


async def test_a_key_never_makes_a_second_job_even_when_the_first_is_no_longer_kept() -> None:
    async with serving() as plane:
        await plane.api.cancel((await post(plane, "k1")).json()["data"]["id"])
        for _ in range(12):
            await plane.api.cancel((await plane.create()).id)
        answer = await post(plane, "k1")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert "no longer kept" in answer.json()["message"]


async def test_a_retry_is_a_new_job_with_the_same_order_that_names_its_predecessor() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create(gitRef="release", imageTag="v1")
        claimed = await plane.claim()
        assert claimed is not None
        await plane.runners.upload_log(claimed.id, "r1", claimed.lease_token, offset=0, data=b"no such branch\n")
        before = await plane.runners.report(claimed.id, ended(claimed, JobStatus.FAILED))
        job = await plane.api.retry(before.id)
        assert (job.status, job.retry_of, job.attempt, job.fence) == (JobStatus.PENDING, before.id, 0, None)
        submitted = {"userId": "1", "appId": APP, "gitRef": "release", "imageTag": "v1"}
        assert job.payload.to_data() == submitted
        assert [each.id for each in await plane.api.of_app(APP)] == [job.id, before.id]
        assert await refused(plane.api.retry(before.id)) == (409, "app_busy")
        newer = await plane.admin.retry(before.id, RetryJob(on_conflict=OnConflict.SUPERSEDE))
        assert (await plane.api.get(job.id)).superseded_by == newer.id


async def test_another_commit_is_built_with_the_secrets_of_a_job_in_any_state() -> None:
    async with serving() as plane:
        await plane.beat()
        config = {"secrets": {"API_KEY": "of the tests"}, "memoryBytes": 268_435_456}
        before = await plane.create(gitRef="main", containerPort=8080, config=config)
        order = RetryJob(git_ref="0123456789abcdef0123456789abcdef01234567", on_conflict=OnConflict.SUPERSEDE)
        first = await plane.api.retry(before.id, order)
        assert (await plane.api.get(before.id)).superseded_by == first.id
        assert (first.retry_of, first.payload.git_ref, first.payload.container_port) == (before.id, order.git_ref, 8080)
        claimed = await plane.claim()
        assert claimed is not None and claimed.id == first.id
        assert claimed.payload.config is not None and claimed.payload.config.secrets == {"API_KEY": "of the tests"}
        second = await plane.api.retry(first.id, order)
        assert second.status is JobStatus.PENDING and (await plane.api.get(first.id)).status is JobStatus.RUNNING
        assert "of the tests" not in second.to_json().decode()


async def test_a_job_that_built_nothing_is_not_built_anew() -> None:
    async with serving() as plane:
        before = await plane.create(image="busybox:1.36")
        await plane.api.cancel(before.id)
        assert await refused(plane.api.retry(before.id, RetryJob(git_ref="main"))) == (409, "illegal_transition")
        assert (await plane.api.retry(before.id)).retry_of == before.id


async def test_a_retry_may_be_repeated_under_its_key() -> None:
    async with serving() as plane:
        before = await failed(plane)
        first = await plane.api.retry(before.id, idempotency_key="k1")
        assert (await plane.api.retry(before.id, idempotency_key="k1")).id == first.id
        cancelled = await plane.api.cancel(first.id)
        second = await plane.api.retry(cancelled.id, idempotency_key="k2")
        assert second.retry_of == first.id


async def test_only_what_failed_or_was_cancelled_is_retried() -> None:
    async with serving() as plane:
        await plane.beat()
        job = await plane.create()
        assert await refused(plane.api.retry(job.id)) == (409, "illegal_transition")
        claimed = await plane.claim()
        assert claimed is not None
        assert await refused(plane.api.retry(job.id)) == (409, "illegal_transition")
        await plane.runners.report(job.id, ended(claimed))
        assert await refused(plane.api.retry(job.id)) == (409, "illegal_transition")
        assert await refused(plane.api.retry(str(uuid4()))) == (404, "not_found")
        answer = await plane.call("POST", f"/deploy/jobs/{job.id}/retry", role="api", json={"onConflict": 7})
        assert answer.status_code == 400 and answer.json()["data"]["fields"] == ["onConflict"]
