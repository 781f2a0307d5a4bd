"""What the control plane tells of ended jobs: proven, taken once, in any order; and what people see of it."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from daemons.api import ports
from daemons.api.adapters.sql.results import SqlResults
from daemons.api.domain.apps import FRESH_PLACE_MS, Result
from protocol import headers
from protocol.api import AppState
from protocol.client.transport import Refused
from protocol.jobs import JobPayload, JobStatus, JobType, JobView, StoredPayload
from protocol.webhooks import RESULTS_PATH, WINDOW_SECONDS, JobEnded, signature
from tests.http.api.conftest import WEBHOOK_NEW, WEBHOOK_OLD, Api

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APP = "20001"


def told(
    number: int, status: JobStatus = JobStatus.FAILED, *, took: int = 1, kind: JobType = JobType.BUILD_AND_DEPLOY
) -> JobEnded:
    """The result of the app's job of that number; jobs were created in the order of their numbers."""
    job = JobView(
        id=f"00000000-0000-4000-8000-{number:012d}",
        type=kind,
        status=status,
        payload=StoredPayload(**JobPayload(user_id="1", app_id=APP).model_dump()),
        error_message=f"failure {number}" if status is JobStatus.FAILED else None,
        deploy_url=f"http://127.0.0.1:8088/runtime/{APP}/",
        created_at=START + timedelta(seconds=number),
        updated_at=START + timedelta(seconds=number + took),
        app_id=APP,
        user_id="1",
    )
    return JobEnded(id=f"{job.id}:ended", event=f"job.{status.value.lower()}", at=job.updated_at, job=job)


def proof(body: bytes, secret: str = WEBHOOK_NEW, age: int = 0) -> dict[str, str]:
    signed = int(time.time()) - age
    return {
        headers.DELIVERY_TIMESTAMP: str(signed),
        headers.DELIVERY_SIGNATURE: signature([secret], signed, body),
    }


async def send(api: Api, body: bytes, given: Mapping[str, str]) -> httpx.Response:
    return await api.raw.post(RESULTS_PATH, content=body, headers=dict(given))


async def tell(api: Api, result: JobEnded) -> tuple[bool, bool]:
    """Whether it was taken before, and whether it is the newest."""
    body = result.to_json()
    answer = await send(api, body, proof(body) | {headers.DELIVERY_ID: result.id})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    return data["repeated"], data["newest"]


async def known(api: Api) -> Result | None:
    return (await SqlResults(api.database).results_of([int(APP)])).get(int(APP))


@pytest.mark.parametrize("secret", [WEBHOOK_NEW, WEBHOOK_OLD])
async def test_a_result_signed_by_any_live_secret_is_taken(api: Api, secret: str) -> None:
    await api.owner.create_app()
    body = told(1).to_json()
    assert (await send(api, body, proof(body, secret))).status_code == 200
    result = await known(api)
    assert result is not None and (result.status, result.error) == (JobStatus.FAILED, "failure 1")


async def test_what_is_not_proven_changes_nothing(api: Api) -> None:
    await api.owner.create_app()
    body = told(1).to_json()
    fresh = proof(body)
    unsigned = {headers.DELIVERY_TIMESTAMP: fresh[headers.DELIVERY_TIMESTAMP]}
    refused = [
        await send(api, body, {}),
        await send(api, body, unsigned),
        await send(api, body, proof(body, "a-secret-of-somebody-else")),
        await send(api, body, proof(b"another body")),
        await send(api, body.replace(b"failure 1", b"failure 2"), fresh),
        await send(api, body, fresh | {headers.DELIVERY_TIMESTAMP: str(int(time.time()) + 1)}),
        await send(api, body, proof(body, age=WINDOW_SECONDS + 5)),
        await send(api, body, proof(body, age=-WINDOW_SECONDS - 5)),
    ]
    assert [(each.status_code, each.json()["reason"]) for each in refused] == [(401, "unauthorized")] * len(refused)
    assert await known(api) is None
    assert (await api.raw.get(RESULTS_PATH)).status_code == 405


async def test_what_is_proven_but_no_result_is_refused_as_such(api: Api) -> None:
    for body in (b"{}", b"[]", b"{"):
        assert (await send(api, body, proof(body))).status_code == 400
    body = told(1).to_json()
    assert (await send(api, body, proof(body) | {headers.DELIVERY_ID: "another"})).status_code == 400


async def test_a_delivery_is_taken_once_and_an_older_result_never_replaces_a_newer_one(api: Api) -> None:
    await api.owner.create_app()
    assert await tell(api, told(2)) == (False, True)
    assert await tell(api, told(2)) == (True, False)
    assert await tell(api, told(1, JobStatus.SUCCEEDED, took=60)) == (False, False)
    result = await known(api)
    assert result is not None and result.error == "failure 2"
    assert await tell(api, told(3, JobStatus.SUCCEEDED)) == (False, True)
    result = await known(api)
    assert result is not None and result.status is JobStatus.SUCCEEDED


async def test_many_at_once_in_any_order_leave_the_newest(api: Api) -> None:
    await api.owner.create_app()
    numbers = [5, 1, 9, 3, 8, 2, 7, 4, 6]
    answers = await asyncio.gather(*(tell(api, told(number)) for number in (*numbers, *numbers)))
    assert sum(repeated for repeated, _ in answers) == len(numbers)
    result = await known(api)
    assert result is not None and result.error == "failure 9"


async def test_results_of_unknown_apps_and_of_moves_that_failed_are_taken_and_forgotten(api: Api) -> None:
    assert await tell(api, told(1)) == (False, False)
    await api.owner.create_app()
    assert await tell(api, told(2, kind=JobType.MIGRATE_APP)) == (False, False)
    assert await known(api) is None
    assert await tell(api, told(3, JobStatus.SUCCEEDED, kind=JobType.MIGRATE_APP)) == (False, True)


async def test_the_place_of_an_app_whose_deployment_failed_is_free_without_asking(api: Api) -> None:
    await api.owner.create_app()
    job = await api.owner.deploy(APP)
    api.plane.move(job.id, JobStatus.FAILED)
    assert await tell(api, told(1)) == (False, True)
    assert await live_since(api) is not None, "its job may still be on its way to the queue"
    await age_place(api)
    assert await tell(api, told(2)) == (False, True)
    assert await live_since(api) is None


async def test_what_was_deployed_at_the_control_plane_itself_counts_from_then_on(api: Api) -> None:
    """As `funai rollback` does it: nobody asked for a place, and the app runs."""
    await api.owner.create_app()
    assert await live_since(api) is None
    await tell(api, told(1, JobStatus.SUCCEEDED))
    held = await live_since(api)
    assert held is not None
    await tell(api, told(2, JobStatus.SUCCEEDED))
    assert await live_since(api) == held, "who has a place keeps it as it is"
    others = [str((await api.owner.create_app()).id) for _ in range(3)]
    for app_id in others[:2]:
        await api.owner.deploy(app_id)
    with pytest.raises(Refused) as refused:
        await api.owner.deploy(others[2])
    assert refused.value.reason == "app_limit" and APP in str(refused.value)


async def test_the_place_of_an_app_with_a_job_on_its_way_is_kept(api: Api) -> None:
    await api.owner.create_app()
    await api.owner.deploy(APP)
    await age_place(api)
    assert await tell(api, told(1)) == (False, True)
    assert await live_since(api) is not None
    api.plane.failing = ports.PlaneUnreachable("away")
    assert await tell(api, told(2)) == (False, True)
    assert await live_since(api) is not None


async def test_while_the_control_plane_is_away_people_see_what_was_told_last(api: Api) -> None:
    await api.owner.create_app()
    await tell(api, told(1, JobStatus.SUCCEEDED))
    asked = await api.owner.app(APP)
    assert (asked.app_status, asked.status_as_of) == (AppState.CREATED, None)
    api.plane.failing = ports.PlaneUnreachable("away")
    [seen] = await api.owner.apps()
    assert (seen.app_status, seen.access_url) == (AppState.READY, f"http://127.0.0.1:8088/runtime/{APP}/")
    assert seen.status_as_of == told(1).at
    await tell(api, told(2))
    seen = await api.owner.app(APP)
    assert (seen.app_status, seen.last_deploy_error, seen.access_url) == (AppState.FAILED, "failure 2", None)
    await api.owner.create_app()
    with pytest.raises(Refused, match="away"):
        await api.owner.apps()


async def live_since(api: Api) -> int | None:
    row = await api.database.transact(lambda session: session.row("app", id=int(APP)))
    return None if row is None else row["live_since"]


async def age_place(api: Api) -> None:
    """As if it had been taken a while ago."""
    taken = await live_since(api)
    assert taken is not None
    await api.database.transact(
        lambda session: session.change("take_place", id=int(APP), now=taken - 2 * FRESH_PLACE_MS)
    )
