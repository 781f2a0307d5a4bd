"""Jobs over HTTP: create, read, cancel, claim, renew, report."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from uuid import uuid4

import httpx
import pytest

from protocol.client.transport import Refused
from protocol.errors import JobReason
from protocol.jobs import ClaimJob, CreateJob, JobPayload, JobStatus, JobType, JobView, RenewLease, ReportJob
from protocol.nodes import PausedBecause, RunnerHeartbeat, RunnerVitals
from protocol.returns import ReturnJob
from tests.http.deploy.plane import Plane, serving

IMAGE = "127.0.0.1:5000/funaistudio/u1-app20001:abc"
DIGEST = "sha256:" + "a" * 64


def done(job: JobView, token: str | None, status: JobStatus = JobStatus.SUCCEEDED, **more: object) -> ReportJob:
    return ReportJob.model_validate({"runnerId": job.runner_id, "leaseToken": token, "status": status, **more})


async def refused(call: Awaitable[object]) -> tuple[int, str | None]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.status, caught.value.reason


async def test_a_job_lives_from_create_to_success() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        assert job.runtime_node is not None and job.runtime_node.agent_base_url == "http://n1:7005"
        assert (job.attempt, job.fence, job.lease_seconds) == (1, 1, 30)
        assert job.deploy_url == "http://n1:8088/runtime/20001/"
        beat = RenewLease.model_validate({"runnerId": "r1", "leaseToken": job.lease_token, "phase": "BUILD"})
        renewed = await plane.runners.renew(job.id, beat)
        assert renewed.payload.phase == "BUILD"
        report = done(job, job.lease_token, image=IMAGE, imageDigest=DIGEST, commit="c0ffee", logLength=0)
        ended = await plane.runners.report(job.id, report)
        again = await plane.runners.report(job.id, report)
        assert ended == again and ended.status is JobStatus.SUCCEEDED
        stored = await plane.api.get(job.id)
        assert (stored.image, stored.image_digest, stored.commit) == (IMAGE, DIGEST, "c0ffee")
        run = (await plane.admin.snapshot()).apps[0]
        assert (run.last_job_status, run.last_job_id) == ("SUCCEEDED", job.id)
        assert run.last_deployed_at is not None


async def test_a_failure_keeps_the_head_and_tail_of_what_was_printed_and_the_last_deployment() -> None:
    async with serving() as plane:
        first = await plane.claimed()
        await plane.runners.report(first.id, done(first, first.lease_token))
        deployed_at = (await plane.admin.snapshot()).apps[0].last_deployed_at
        second = await plane.claimed()
        text = "first line\n" + "x" * 300_000 + "\nlast line"
        report = done(second, second.lease_token, JobStatus.FAILED, errorMessage=text, reason=JobReason.BUILD_FAILED)
        ended = await plane.runners.report(second.id, report)
        assert ended.error_message is not None and len(ended.error_message.encode()) <= 16 * 1024
        assert ended.error_message.startswith("first line") and ended.error_message.endswith("last line")
        assert ended.reason == "build_failed"
        run = (await plane.admin.snapshot()).apps[0]
        assert (run.last_job_status, run.last_deployed_at) == ("FAILED", deployed_at)


async def test_an_app_has_one_active_job_and_the_refusal_names_it() -> None:
    async with serving() as plane:
        first = await plane.create()
        body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": 20001}}
        answer = await plane.call("POST", "/deploy/jobs", role="api", json=body)
        assert answer.status_code == 409
        assert answer.json()["reason"] == "app_busy" and answer.json()["data"] == {"jobId": first.id}
        assert first.id in answer.json()["message"]


async def test_fifty_creates_at_once_leave_one_job() -> None:
    async with serving() as plane:

        async def attempt() -> int:
            body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": "20001"}}
            return (await plane.call("POST", "/deploy/jobs", role="api", json=body)).status_code

        codes = await asyncio.gather(*(attempt() for _ in range(50)))
        assert sorted(codes) == [200, *[409] * 49]
        assert len(await plane.api.newest()) == 1


async def test_a_job_is_claimed_once_however_many_ask() -> None:
    async with serving() as plane:
        await plane.beat()
        for number in range(5):
            await plane.create(f"app{number}")
        claimed = await asyncio.gather(*(plane.claim(f"r{number}") for number in range(20)))
        ids = [job.id for job in claimed if job is not None]
        assert len(ids) == len(set(ids)) == 5


async def test_parked_claims_are_served_first_come_first_served() -> None:
    async with serving() as plane:
        await plane.beat()
        answered: asyncio.Queue[str] = asyncio.Queue()

        async def park(runner_id: str) -> None:
            if await plane.claim(runner_id, wait_seconds=20):
                answered.put_nowait(runner_id)

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(park(f"r{number}"))
                await plane.heard_of(number + 1)
            for number in range(3):
                await plane.create(f"app{number}")
                assert await answered.get() == f"r{number}"


async def test_a_claim_without_work_is_answered_null() -> None:
    async with serving() as plane:
        answer = await plane.call("POST", "/deploy/jobs/claim", role="runner", json={"runnerId": "r1"})
        assert answer.status_code == 200 and answer.json()["data"] is None
        waited = await plane.call(
            "POST", "/deploy/jobs/claim", role="runner", json={"runnerId": "r1", "waitSeconds": 0.5}
        )
        assert waited.status_code == 200 and waited.json()["data"] is None


async def test_more_waiting_runners_than_one_batch_serves_are_all_answered() -> None:
    async with serving() as plane:
        assert await asyncio.gather(*(plane.claim(f"r{number}") for number in range(40))) == [None] * 40


async def test_a_job_whose_claimer_vanished_goes_to_the_next_at_once() -> None:
    async with serving() as plane:
        await plane.beat()
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(plane.claim("gone", wait_seconds=20))
            await plane.heard_of(1)
            gone.cancel()
        await plane.create()
        job = await plane.claim("r1", wait_seconds=20)
        assert job is not None and job.runner_id == "r1" and job.attempt == 1


async def test_a_stale_lease_changes_nothing() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        before = await plane.api.get(job.id)
        for runner_id, token in (("r1", "another-token"), ("r2", job.lease_token), ("r1", None)):
            body = {"runnerId": runner_id, "leaseToken": token}
            assert await refused(plane.runners.renew(job.id, RenewLease.model_validate(body))) == (409, "lease_lost")
            report = ReportJob.model_validate({**body, "status": JobStatus.SUCCEEDED})
            assert await refused(plane.runners.report(job.id, report)) == (409, "lease_lost")
            upload = plane.runners.upload_log(job.id, runner_id, token, offset=0, data=b"x")
            assert await refused(upload) == (409, "lease_lost")
        assert await plane.api.get(job.id) == before


async def test_an_expired_lease_goes_back_in_line_then_fails_for_good() -> None:
    async with serving(DEPLOY_JOB_MAX_ATTEMPTS=2) as plane:
        first = await plane.claimed(lease_seconds=1)
        second = await plane.claim("r2", wait_seconds=20, lease_seconds=1)
        assert second is not None and second.id == first.id
        assert (second.attempt, second.fence) == (2, 2)
        assert await refused(plane.runners.report(first.id, done(first, first.lease_token))) == (409, "lease_lost")
        async for event in plane.admin.follow(0):
            if event.kind == "job" and event.change == "failed":
                assert event.job.reason == "lease_lost" and event.actor == "reaper"
                break
        assert (await plane.admin.snapshot()).apps[0].last_job_status == "FAILED"


async def test_an_attempt_that_runs_too_long_is_failed_though_its_runner_renews() -> None:
    async with serving(DEPLOY_JOB_MAX_RUNNING_SECONDS=1) as plane:
        job = await plane.claimed()
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, wait_seconds=10)
        ended = await plane.runners.renew(job.id, beat)
        assert (ended.status, ended.reason) == (JobStatus.FAILED, "timeout")


async def test_a_cancel_wakes_the_parked_heartbeat_and_frees_the_app() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, wait_seconds=14)
        async with asyncio.timeout(13), asyncio.TaskGroup() as group:
            parked = group.create_task(plane.runners.renew(job.id, beat))
            while (await plane.api.get(job.id)).lease_expire_at == job.lease_expire_at:
                continue
            cancelled = await plane.api.cancel(job.id)
        assert cancelled.status is JobStatus.CANCELLED and parked.result().status is JobStatus.CANCELLED
        assert (await plane.runners.renew(job.id, beat)).status is JobStatus.CANCELLED
        stranger = RenewLease(runner_id="r2", lease_token="not-the-token")
        assert await refused(plane.runners.renew(job.id, stranger)) == (409, "lease_lost")
        assert (await plane.api.cancel(job.id)).status is JobStatus.CANCELLED
        assert await refused(plane.runners.report(job.id, done(job, job.lease_token))) == (409, "illegal_transition")
        assert (await plane.create()).status is JobStatus.PENDING


async def test_a_job_that_is_handed_back_goes_to_the_next_runner_and_says_so() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        back = ReturnJob(runner_id="r1", lease_token=job.lease_token)
        for wrong in ({"runner_id": "r2"}, {"lease_token": "another"}, {"instance_id": "another-process"}):
            stranger = back.model_copy(update=wrong)
            assert await refused(plane.runners.hand_back(job.id, stranger)) == (409, "lease_lost")
        for _ in range(2):
            returned = await plane.runners.hand_back(job.id, back)
            assert (returned.status, returned.returns, returned.returned_by) == (JobStatus.PENDING, 1, "r1")
        assert await refused(plane.runners.report(job.id, done(job, job.lease_token))) == (409, "lease_lost")
        await plane.admin.runners()
        waiting = (await plane.api.get(job.id)).waiting_for
        assert waiting is not None and "r1 was stopped and handed the job back" in waiting.message
        second = await plane.claim("r2")
        assert second is not None and (second.id, second.attempt, second.returns) == (job.id, 2, 1)


async def test_what_one_process_claimed_another_of_the_same_name_cannot_touch() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create()
        claim = ClaimJob(runner_id="r1", instance_id="first-process")
        job = await plane.runners.claim(claim)
        assert job is not None
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, instance_id="first-process")
        assert (await plane.runners.renew(job.id, beat)).status is JobStatus.RUNNING
        for other in ("other-process", None):
            stranger = beat.model_copy(update={"instance_id": other})
            assert await refused(plane.runners.renew(job.id, stranger)) == (409, "lease_lost")
            upload = plane.runners.upload_log(job.id, "r1", job.lease_token, offset=0, data=b"x", instance_id=other)
            assert await refused(upload) == (409, "lease_lost")
        place = await plane.runners.upload_log(
            job.id, "r1", job.lease_token, offset=0, data=b"x", instance_id="first-process"
        )
        assert place.length == 1


async def test_a_runner_that_takes_no_work_is_shown_with_its_reason() -> None:
    async with serving() as plane:
        await plane.beat()
        job = await plane.create()
        pause = PausedBecause(reason="disk", message="RUNNER_WORKDIR is 96 % full")
        vitals = RunnerVitals(instance_id="first-process", pause=pause)
        await plane.runners.heartbeat(RunnerHeartbeat(runner_id="r1", slots=2, host="builder", vitals=vitals))
        (runner,) = await plane.admin.runners()
        assert (runner.slots, runner.host, runner.vitals) == (2, "builder", vitals)
        waiting = (await plane.api.get(job.id)).waiting_for
        assert waiting is not None and (waiting.reason, "r1: RUNNER_WORKDIR is 96 % full" in waiting.message) == (
            "runners_paused",
            True,
        )


async def test_an_ended_job_cannot_be_cancelled() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await plane.runners.report(job.id, done(job, job.lease_token))
        assert await refused(plane.api.cancel(job.id)) == (409, "illegal_transition")


@pytest.mark.parametrize(("status", "code"), [("RUNNING", 400), ("SUCCEEDED", 409), ("FAILED", 409), ("PENDING", 200)])
async def test_moving_a_pending_job_by_hand(status: str, code: int) -> None:
    async with serving() as plane:
        job = await plane.create()
        path = f"/deploy/jobs/{job.id}/transition"
        answer = await plane.call("POST", path, role="api", json={"toStatus": status})
        assert answer.status_code == answer.json()["code"] == code
        assert (await plane.api.get(job.id)).status is JobStatus.PENDING


async def test_a_report_of_a_state_that_ends_nothing_is_refused() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        body = {"runnerId": "r1", "leaseToken": job.lease_token, "status": "RUNNING"}
        answer = await plane.call("POST", f"/deploy/jobs/{job.id}/report", role="runner", json=body)
        assert answer.status_code == 400 and answer.json()["data"]["fields"] == ["status"]


async def test_ten_ended_jobs_of_an_app_are_kept() -> None:
    async with serving() as plane:
        for _ in range(13):
            await plane.api.cancel((await plane.create()).id)
        await plane.create()
        jobs = await plane.api.of_app("20001")
        assert [job.status for job in jobs] == [JobStatus.PENDING, *[JobStatus.CANCELLED] * 10]
        assert await plane.api.of_app("20002") == ()


async def test_an_unknown_job_is_404() -> None:
    async with serving() as plane:
        for job_id in (str(uuid4()), "x", "a%2Fb", "..%2Fx", "A" * 36, "1" * 400, "%00"):
            for method, tail in (("GET", ""), ("POST", "/cancel"), ("GET", "/log")):
                answer = await plane.call(method, f"/deploy/jobs/{job_id}{tail}", role="api")
                assert answer.status_code == answer.json()["code"] == 404, (job_id, tail)


async def waiting(plane: Plane) -> tuple[str, str]:
    found = (await plane.api.newest())[0].waiting_for
    assert found is not None
    return found.reason, found.message


async def test_a_pending_job_says_what_it_waits_for() -> None:
    async with serving() as plane:
        await plane.create()
        assert (await waiting(plane))[0] == "no_node"
        await plane.beat(diskFreePct=20.0)
        reason, message = await waiting(plane)
        assert reason == "no_node" and "n1" in message and "25" in message
        await plane.beat()
        assert (await waiting(plane))[0] == "no_runner"
        await plane.claim("r1")
        await plane.api.cancel((await plane.api.newest())[0].id)
        await plane.admin.set_enabled("n1", enabled=False)
        await plane.create("20002")
        assert await plane.claim("r1") is None
        assert len(await plane.admin.runners()) == 1
        assert (await waiting(plane))[0] == "no_node"
        await plane.admin.set_enabled("n1", enabled=True)
        assert (await waiting(plane))[0] == "queued"


async def test_a_pending_job_says_that_all_slots_are_in_use() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create("20001")
        job = await plane.runners.claim(ClaimJob(runner_id="r1", slots=1))
        assert job is not None
        await plane.create("20002")
        assert len(await plane.admin.runners()) == 1
        reason, message = await waiting(plane)
        assert reason == "runners_busy" and message == "all slots of the runners that could take it are in use: r1"
        await plane.runners.report(
            job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )
        assert (await waiting(plane))[0] == "queued"


async def test_a_pending_job_says_that_it_is_kept_for_its_warm_runner() -> None:
    async with serving(DEPLOY_WARM_RUNNER_SECONDS=60) as plane:
        await plane.beat()
        await plane.create()
        job = await plane.claim("warm")
        assert job is not None
        await plane.runners.report(
            job.id, ReportJob(runner_id="warm", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )
        assert len(await plane.admin.runners()) == 1
        await plane.create()
        assert await plane.claim("cold") is None
        assert len(await plane.admin.runners()) == 2
        reason, message = await waiting(plane)
        assert reason == "warm_runner" and "runner warm" in message
        assert await plane.claim("cold") is None, "what is said is what happens"
        assert await plane.claim("warm") is not None


async def test_a_job_whose_labels_nobody_offers_says_so() -> None:
    async with serving() as plane:
        await plane.beat()
        body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": "1", "appId": "20001"}, "requires": ["gpu", "arm64"]}
        made = await plane.call("POST", "/deploy/jobs", role="api", json={**body, "priority": 3})
        assert (made.json()["data"]["priority"], made.json()["data"]["requires"]) == (3, ["arm64", "gpu"])
        assert await plane.claim("plain") is None
        assert len(await plane.admin.runners()) == 1
        assert await waiting(plane) == (
            "no_runner_with_labels",
            "no runner that is up offers arm64, gpu; start one with RUNNER_LABELS",
        )
        for runner, label in (("a", "arm64"), ("g", "gpu")):
            assert await plane.runners.claim(ClaimJob(runner_id=runner, labels=(label,))) is None
        assert [runner.labels for runner in await plane.admin.runners()] == [("arm64",), ("gpu",), ()]
        reason, message = await waiting(plane)
        assert reason == "no_runner_with_labels" and "no single runner" in message
        assert await plane.runners.claim(ClaimJob(runner_id="both", labels=("arm64", "gpu"))) is not None
        bad = await plane.call("POST", "/deploy/jobs", role="api", json={**body, "requires": ["GPU!"]})
        assert bad.status_code == 400 and "requires" in bad.json()["message"]


async def test_a_claim_whose_answer_was_lost_is_repeated_by_its_token() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create("20001")
        await plane.create("20002")
        order = ClaimJob(runner_id="r1", slots=1, claim_token="the-token-of-one-claim")
        first, again = await plane.runners.claim(order), await plane.runners.claim(order)
        assert first is not None and again is not None
        assert (first.id, first.lease_token, first.fence) == (again.id, again.lease_token, again.fence)
        assert await plane.runners.claim(ClaimJob(runner_id="r1", slots=1, claim_token="another-claims-token")) is None


async def test_a_deployed_app_waits_for_its_own_node() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await plane.runners.report(job.id, done(job, job.lease_token))
        await plane.beat("n2", diskFreePct=90.0)
        await plane.admin.set_enabled("n1", enabled=False)
        await plane.create()
        assert await plane.claim() is None
        assert (await waiting(plane))[0] == "node_disabled"
        await plane.admin.set_enabled("n1", enabled=True)
        again = await plane.claim(wait_seconds=20)
        assert again is not None and again.runtime_node is not None and again.runtime_node.name == "n1"


async def test_an_app_that_never_came_up_is_not_tied_to_its_node() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await plane.runners.report(job.id, done(job, job.lease_token, JobStatus.FAILED))
        await plane.beat("n2")
        await plane.admin.set_enabled("n1", enabled=False)
        await plane.create()
        again = await plane.claim(wait_seconds=20)
        assert again is not None and again.runtime_node is not None and again.runtime_node.name == "n2"


async def test_a_node_that_comes_back_wakes_who_waits_for_it() -> None:
    async with serving() as plane:
        await plane.create()
        async with asyncio.timeout(19), asyncio.TaskGroup() as group:
            parked = group.create_task(plane.claim("r1", wait_seconds=20))
            await plane.heard_of(1)
            await plane.beat()
        assert parked.result() is not None


async def test_reading_never_writes() -> None:
    async with serving() as plane:
        await plane.beat()
        job = await plane.create()
        await plane.api.get(job.id)
        await plane.api.newest()
        await plane.api.of_app("20001")
        await plane.admin.snapshot()
        assert (await plane.admin.placements(1)).total == 0


async def test_a_shutdown_answers_the_parked_at_once() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        beat = RenewLease(runner_id="r1", lease_token=job.lease_token, wait_seconds=14)
        async with asyncio.timeout(13), asyncio.TaskGroup() as group:
            claim = group.create_task(plane.runners.claim(ClaimJob(runner_id="r2", wait_seconds=25)))
            renew = group.create_task(plane.runners.renew(job.id, beat))
            await plane.heard_of(2)
            await plane.runner.cleanup()
        assert claim.result() is None and renew.result().status is JobStatus.RUNNING


async def test_the_payload_keeps_only_what_was_submitted() -> None:
    async with serving() as plane:
        body = {"userId": 1, "appId": 20001, "gitRef": "main", "surprise": True, "containerPort": None}
        answer = await plane.call(
            "POST", "/deploy/jobs", role="api", json={"type": "BUILD_AND_DEPLOY", "payload": body, "more": 1}
        )
        assert answer.json()["data"]["payload"] == {"userId": "1", "appId": "20001", "gitRef": "main"}


async def test_an_operator_may_create_too() -> None:
    async with serving() as plane:
        order = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=JobPayload(user_id="1", app_id="7"))
        job = await plane.admin.create(order)
        events = [event async for event in first(plane, 1)]
        assert events == [("created", "admin", job.id)]


async def first(plane: Plane, count: int) -> AsyncIterator[tuple[str, str, str]]:
    async for event in plane.admin.follow(0):
        if event.kind == "job":
            yield event.change, event.actor, event.job.id
            count -= 1
        if count == 0:
            return


async def test_an_empty_answer_to_a_client_that_hung_up_costs_nothing() -> None:
    async with serving() as plane:
        await plane.beat()
        async with httpx.AsyncClient(base_url=plane.url, trust_env=False, verify=False) as impatient:
            with pytest.raises(httpx.ReadTimeout):
                await impatient.post(
                    "/deploy/jobs/claim",
                    json={"runnerId": "r0", "waitSeconds": 20},
                    headers={"X-Runner-Token": "runner-token-of-the-tests"},
                    timeout=0.2,
                )
        await plane.create()
        job = await plane.claim()
        assert job is not None and job.attempt == 1
