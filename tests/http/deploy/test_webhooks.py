"""Results of jobs reach a real receiver: signed, in order per app, again until they are taken."""

import asyncio

import pytest

from daemons.deploy.adapters.store import open_store
from protocol.audit import AuditQuery
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, ReportJob
from protocol.webhooks import DeliveryState
from tests.http.deploy.plane import MEMORY, Plane, serving
from tests.support.results import HANGS, receiving


async def ended(plane: Plane, app_id: str = "20001") -> str:
    """A job that was cancelled while it waited."""
    return (await plane.api.cancel((await plane.create(app_id)).id)).id


async def test_a_result_is_delivered_as_soon_as_its_job_ended() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        job = await plane.claimed()
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.FAILED, error_message="no")
        await plane.runners.report(job.id, done)
        await plane.runners.report(job.id, done)
        [told] = await listener.until(1)
        assert (told.event, told.job.id, told.job.error_message) == ("job.failed", job.id, "no")
        assert job.lease_token is not None and job.lease_token not in told.model_dump_json()
        cancelled = await ended(plane, "20002")
        assert [each.job.id for each in await listener.until(2)] == [job.id, cancelled]


async def test_what_is_refused_is_sent_again_with_the_same_id_until_it_is_taken() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        listener.script = [500, 503]
        await ended(plane)
        told = await listener.until(3)
        assert told[0] == told[1] == told[2]
        async with asyncio.timeout(60):
            while (page := await plane.admin.webhooks()).items[0].state is not DeliveryState.DELIVERED:
                continue
        [view] = page.items
        assert (view.attempts, view.status, view.message, page.configured) == (3, 200, None, True)


async def test_a_redirect_is_not_followed_and_no_word_of_an_answer_is_kept() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        listener.script = [307, 404]
        await ended(plane)
        await listener.until(1)
        async with asyncio.timeout(60):
            while (await plane.admin.webhooks()).items[0].attempts < 1:
                continue
        text = (await plane.call("GET", "/admin/webhooks", role="admin")).text
        assert "the receiver answered HTTP 307" in text and "a secret" not in text and "elsewhere" not in text


async def test_a_receiver_that_hangs_is_given_up_on_and_asked_again() -> None:
    async with receiving(seconds=0.2) as (listener, receiver), serving(receiver=receiver) as plane:
        listener.script = [HANGS]
        await ended(plane)
        await listener.until(2)
        assert len({told.id for told, _ in listener.heard}) == 1


async def test_results_of_one_app_come_in_order_and_those_of_others_do_not_wait() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        listener.script = [500]
        slow = [await ended(plane)]
        await listener.until(1)
        slow += [await ended(plane), await ended(plane)]
        other = await ended(plane, "20002")
        await listener.until(5)
        heard = [told.job.id for told in listener.taken()]
        assert heard[0] == other and heard[1:] == slow


async def test_a_superseded_job_is_told_of_too() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        first = await plane.create()
        body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": "1", "appId": "20001"}, "onConflict": "supersede"}
        newer = (await plane.call("POST", "/deploy/jobs", role="api", json=body)).json()["data"]["id"]
        [told] = await listener.until(1)
        assert (told.job.id, told.job.superseded_by, told.event) == (first.id, newer, "job.cancelled")


async def test_two_replicas_deliver_each_result_once_and_one_goes_on_when_the_other_is_gone() -> None:
    async with receiving() as (listener, receiver), open_store(MEMORY, delivers=True) as store:
        async with serving(store, receiver=receiver) as second:
            async with serving(store, receiver=receiver) as first:
                jobs = {await ended(each, str(20001 + n)) for n, each in enumerate((first, second) * 5)}
                await listener.until(10)
            jobs |= {await ended(second, str(20021 + n)) for n in range(5)}
            await listener.until(15)
        assert sorted(told.job.id for told, _ in listener.heard) == sorted(jobs)


async def test_nothing_is_written_down_when_nobody_is_to_be_told() -> None:
    async with serving() as plane:
        await ended(plane)
        page = await plane.admin.webhooks()
        assert page.items == () and not page.configured


async def test_operators_list_deliveries_and_have_them_sent_again() -> None:
    async with receiving() as (listener, receiver), serving(receiver=receiver) as plane:
        await ended(plane)
        await ended(plane, "20002")
        listener.script = [500] * 20
        await ended(plane, "20003")
        async with asyncio.timeout(60):
            while not (found := (await plane.admin.webhooks(app_id="20003")).items) or not found[0].attempts:
                continue
        assert found[0].next_attempt_at is not None and found[0].message is not None
        first = await plane.admin.webhooks(limit=2)
        rest = await plane.admin.webhooks(cursor=first.next_cursor, limit=2)
        assert [each.app_id for each in (*first.items, *rest.items)] == ["20003", "20002", "20001"]
        assert rest.next_cursor is None
        listener.script = []
        again = await plane.admin.retry_webhook(found[0].id)
        assert (again.state, again.attempts) == (DeliveryState.PENDING, 0)
        assert (await plane.admin.audit(AuditQuery(kind="webhook", actor="admin"))).items[0].change == "retried"
        async with asyncio.timeout(60):
            while len((await plane.admin.webhooks(state=DeliveryState.DELIVERED)).items) < 3:
                continue
        with pytest.raises(Refused, match="receiver has it") as refused:
            await plane.admin.retry_webhook(found[0].id)
        assert refused.value.status == 409
        with pytest.raises(Refused) as unknown:
            await plane.admin.retry_webhook(4711)
        assert unknown.value.status == 404
        for path in ("/admin/webhooks?state=LOST", "/admin/webhooks?appId=a/b"):
            assert (await plane.call("GET", path, role="admin")).status_code == 400
        assert (await plane.call("GET", "/admin/webhooks", role="api")).status_code == 401
