"""Changes that say what was seen when they were decided: made while that is so, refused when it is not."""

import pytest

from protocol import versions
from protocol.apps import AppCommand
from protocol.client.transport import Refused
from protocol.drains import StartDrain
from protocol.headers import EXPECTED_VERSION
from protocol.jobs import JobStatus, RenewLease, ReportJob, TransitionJob
from protocol.nodes import ReassignApp
from protocol.releases import RollbackApp
from tests.http.deploy.plane import Plane, serving


async def ended(plane: Plane, app_id: str, status: JobStatus = JobStatus.SUCCEEDED) -> str:
    order = await plane.create(app_id)
    job = await plane.claim()
    assert job is not None and job.id == order.id
    body = ReportJob(
        runner_id="r1", lease_token=job.lease_token, status=status, image="registry.test/a@sha256:" + "a" * 64
    )
    await plane.runners.report(job.id, body)
    return job.id


def changed(refused: pytest.ExceptionInfo[Refused]) -> str:
    assert (refused.value.status, refused.value.reason) == (409, "changed")
    return str(refused.value)


async def test_a_job_that_was_claimed_meanwhile_is_not_cancelled() -> None:
    async with serving() as plane:
        await plane.beat()
        seen = await plane.create("20001")
        expected = versions.of_job(seen.status.value, seen.attempt)
        assert (await plane.claim()) is not None
        with pytest.raises(Refused) as refused:
            await plane.admin.cancel(seen.id, expected=expected)
        assert "it is RUNNING.1 and was PENDING.0 when this was decided" in changed(refused)
        assert (await plane.admin.get(seen.id)).status is JobStatus.RUNNING
        with pytest.raises(Refused) as refused:
            await plane.admin.transition(seen.id, TransitionJob(to_status=JobStatus.FAILED), expected=expected)
        changed(refused)
        assert (await plane.admin.cancel(seen.id, expected="RUNNING.1")).status is JobStatus.CANCELLED
        again = await plane.admin.cancel(seen.id, expected="RUNNING.1")
        assert again.status is JobStatus.CANCELLED, "what is done already is no conflict: the answer may have been lost"


async def test_a_renewed_lease_is_no_change() -> None:
    async with serving() as plane:
        await plane.beat()
        seen = await plane.create("20001")
        job = await plane.claim()
        assert job is not None
        await plane.runners.renew(job.id, RenewLease(runner_id="r1", lease_token=job.lease_token))
        assert (await plane.admin.cancel(seen.id, expected="RUNNING.1")).status is JobStatus.CANCELLED


async def test_without_a_version_all_is_as_it_was() -> None:
    async with serving() as plane:
        await plane.beat()
        seen = await plane.create("20001")
        assert (await plane.claim()) is not None
        assert (await plane.api.cancel(seen.id)).status is JobStatus.CANCELLED


async def test_a_retry_of_what_was_seen_otherwise_is_refused() -> None:
    async with serving() as plane:
        await plane.beat()
        job_id = await ended(plane, "20001", JobStatus.FAILED)
        with pytest.raises(Refused) as refused:
            await plane.admin.retry(job_id, expected="CANCELLED.1")
        changed(refused)
        made = await plane.admin.retry(job_id, expected="FAILED.1", idempotency_key="k")
        assert (await plane.admin.retry(job_id, expected="FAILED.1", idempotency_key="k")).id == made.id


async def test_a_node_that_changed_is_neither_cordoned_nor_drained() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        (seen,) = await plane.admin.nodes()
        expected = versions.of_node(seen.node_id, enabled=seen.enabled, weight=seen.weight)
        await plane.beat("n1", diskFreePct=12.0)
        await plane.admin.set_enabled("n1", enabled=False, expected=expected)
        with pytest.raises(Refused) as refused:
            await plane.admin.start_drain(StartDrain(node="n1"), expected=expected)
        assert "node n1 changed meanwhile" in changed(refused)
        await plane.admin.set_enabled("n1", enabled=False, expected=expected)
        with pytest.raises(Refused) as refused:
            await plane.admin.set_enabled("n1", enabled=True, expected=expected)
        changed(refused)
        assert not (await plane.admin.nodes())[0].enabled


async def test_a_plan_that_moved_on_is_not_turned() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await ended(plane, "20001")
        await plane.beat("n2")
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        await plane.admin.pause_drain(drain.id, expected="RUNNING")
        for turn in (
            plane.admin.pause_drain,
            plane.admin.resume_drain,
            plane.admin.cancel_drain,
            plane.admin.undo_drain,
        ):
            with pytest.raises(Refused) as refused:
                await turn(drain.id, expected="RUNNING")
            changed(refused)
        await plane.admin.resume_drain(drain.id, expected="PAUSED")


async def test_an_app_that_moved_meanwhile_is_neither_stopped_nor_moved() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await ended(plane, "20001")
        await plane.beat("n2")
        await plane.admin.reassign(ReassignApp(app_id="20001", target_node_id=2), expected=versions.of_app(1))
        await plane.beat("n3")
        with pytest.raises(Refused) as refused:
            await plane.admin.reassign(ReassignApp(app_id="20001", target_node_id=3), expected=versions.of_app(1))
        assert "it is on.2 and was on.1" in changed(refused)
        command = AppCommand(user_id="1", app_id="20001")
        with pytest.raises(Refused) as refused:
            await plane.admin.stop_app(command, expected=versions.of_app(1))
        changed(refused)
        assert plane.agent.calls == []
        await plane.admin.stop_app(command, expected=versions.of_app(2))


async def test_nobody_rolls_back_from_a_release_that_he_did_not_see() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await ended(plane, "20001")
        await ended(plane, "20001")
        with pytest.raises(Refused) as refused:
            await plane.admin.rollback("20001", RollbackApp(user_id="1", release=1), expected=versions.of_releases(1))
        assert "it is release.2 and was release.1" in changed(refused)


@pytest.mark.parametrize("version", ["", "a b", "x" * 65, "a/b"])
async def test_what_is_no_version_is_refused(version: str) -> None:
    async with serving() as plane:
        await plane.beat()
        seen = await plane.create("20001")
        path = f"/deploy/jobs/{seen.id}/cancel"
        answer = await plane.call("POST", path, role="admin", headers={EXPECTED_VERSION: version})
        assert answer.status_code == 400 and EXPECTED_VERSION in answer.text
        assert (await plane.admin.get(seen.id)).status is JobStatus.PENDING


async def test_a_drained_runner_gets_no_more_work_and_finishes_what_it_holds() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create("20001")
        held = await plane.claim("r1")
        assert held is not None
        drained = await plane.admin.set_drained("r1", drained=True, expected=versions.of_runner(drained=False))
        assert drained.drained_at is not None and drained.drained_by == "admin"
        waits = await plane.create("20002")
        assert await plane.claim("r1") is None
        shown = (await plane.admin.get(waits.id)).waiting_for
        assert shown is not None and shown.reason == "runners_paused" and "it is drained by admin" in shown.message
        body = ReportJob(runner_id="r1", lease_token=held.lease_token, status=JobStatus.FAILED)
        assert (await plane.runners.report(held.id, body)).status is JobStatus.FAILED
        with pytest.raises(Refused) as refused:
            await plane.admin.set_drained("r1", drained=False, expected=versions.of_runner(drained=False))
        changed(refused)
        taken = await plane.claim("r2")
        assert taken is not None and taken.id == waits.id, "others get what it does not"
        await plane.create("20003")
        await plane.admin.set_drained("r1", drained=False)
        assert await plane.claim("r1", wait_seconds=5) is not None


async def test_a_drain_outlasts_a_claim_that_waits() -> None:
    async with serving() as plane:
        await plane.beat()
        assert await plane.claim("r1") is None
        await plane.admin.set_drained("r1", drained=True)
        await plane.create("20001")
        assert await plane.claim("r1", wait_seconds=1) is None
        with pytest.raises(Refused) as refused:
            await plane.admin.set_drained("none", drained=True)
        assert refused.value.status == 404
