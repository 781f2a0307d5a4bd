"""Going back, trying again and reading along, as the owner of an app."""

import asyncio

import pytest

from protocol.api import AppState
from protocol.client.api import bearer
from protocol.client.transport import Refused
from protocol.jobs import JobStatus
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery
from tests.http.api.conftest import OWNER, Api


async def _released(api: Api, count: int) -> str:
    app = await api.owner.create_app()
    for _ in range(count):
        job = await api.owner.deploy(str(app.id))
        api.plane.move(job.id, JobStatus.SUCCEEDED)
    return str(app.id)


async def test_an_earlier_release_is_deployed_again(api: Api) -> None:
    app_id = await _released(api, 3)
    page = await api.owner.releases(app_id, limit=2)
    assert [(each.number, each.current) for each in page.items] == [(3, True), (2, False)]
    rest = await api.owner.releases(app_id, cursor=page.next_cursor, limit=2)
    assert [each.number for each in rest.items] == [1] and rest.next_cursor is None
    job = await api.owner.rollback(app_id, 1, idempotency_key="k")
    assert (job.release, job.payload.image) == (1, rest.items[0].image)
    assert (await api.owner.rollback(app_id, 1, idempotency_key="k")).id == job.id
    assert (await api.owner.app(app_id)).app_status is AppState.DEPLOYING
    with pytest.raises(Refused) as refused:
        await api.owner.rollback(app_id, 2)
    assert (refused.value.status, refused.value.reason) == (409, "app_busy")
    with pytest.raises(Refused) as refused:
        await api.owner.rollback(app_id, 0)
    assert refused.value.status == 400


async def test_a_rollback_needs_a_place_and_gives_it_back(api: Api) -> None:
    app_id = await _released(api, 2)
    await api.owner.stop(app_id)
    live = [await _released(api, 1) for _ in range(3)]
    with pytest.raises(Refused, match="stop one first") as refused:
        await api.owner.rollback(app_id)
    assert (refused.value.status, refused.value.reason) == (409, "app_limit")
    await api.owner.stop(live[0])
    with pytest.raises(Refused) as refused:
        await api.owner.rollback(app_id, 9)
    assert refused.value.status == 404
    job = await api.owner.deploy(live[0])
    assert job.status is JobStatus.PENDING


async def test_what_failed_is_tried_again(api: Api) -> None:
    app = await api.owner.create_app()
    job = await api.owner.deploy(str(app.id))
    with pytest.raises(Refused) as refused:
        await api.owner.retry(job.id)
    assert (refused.value.status, refused.value.reason) == (409, "illegal_transition")
    api.plane.move(job.id, JobStatus.FAILED, "no space")
    again = await api.owner.retry(job.id, idempotency_key="k")
    assert again.id != job.id and again.payload == job.payload
    assert (await api.owner.retry(job.id, idempotency_key="k")).id == again.id


async def test_a_job_is_followed_to_its_end(api: Api) -> None:
    app = await api.owner.create_app()
    job = await api.owner.deploy(str(app.id))
    api.plane.logs[job.id] = b"one\n"

    async def followed() -> bytes:
        return b"".join([piece async for piece in api.owner.job_log(job.id, offset=1, follow=True)])

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        reader = group.create_task(followed())
        await asyncio.sleep(0)
        api.plane.logs[job.id] += b"two\n"
        api.plane.move(job.id, JobStatus.SUCCEEDED)
    assert reader.result() == b"ne\ntwo\n"


async def test_an_apps_output_is_its_owners(api: Api) -> None:
    app_id = await _released(api, 1)
    event = AppLogEvent(kind=AppLogKind.OUTPUT, text="hello")
    api.plane.outputs[int(app_id)] = b"event: output\ndata: " + event.to_json() + b"\n\n"
    assert [each async for each in api.owner.app_log(app_id)] == [event]
    with pytest.raises(Refused) as refused:
        await anext(aiter(api.other.app_log(app_id)))
    assert refused.value.status == 404


async def test_a_user_reads_so_many_logs_and_is_let_go_when_the_api_ends(api: Api) -> None:
    app_id = await _released(api, 1)
    api.plane.outputs[int(app_id)] = b"event: output\ndata: {}\n\n"
    asked, path = {"appId": app_id, "follow": "1"}, "/api/fun-ai/deploy/app/logs"
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        begun = [asyncio.Event() for _ in range(16)]

        async def follow(seen: asyncio.Event) -> None:
            async with api.raw.stream("GET", path, params=asked, headers=bearer(OWNER), timeout=60) as answer:
                async for _ in answer.aiter_raw():
                    seen.set()

        for seen in begun:
            group.create_task(follow(seen))
        for seen in begun:
            await seen.wait()
        with pytest.raises(Refused) as refused:
            await anext(aiter(api.owner.app_log(app_id, AppLogQuery(follow=True))))
        assert (refused.value.status, refused.value.reason) == (429, "rate_limited")
        await api.app.shutdown()
