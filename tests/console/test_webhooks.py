"""`funai webhooks`, against the real control plane and a receiver that is away."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from protocol.jobs import CreateJob, JobPayload, JobType
from protocol.webhooks import DeliveryState
from tests.console.plane_server import Served, served
from tests.console.test_one_shot import funai
from tests.support.eventually import eventually
from tests.support.real import free_port


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    nobody = SecretStr(f"http://127.0.0.1:{free_port()}/results")
    with served(tmp_path, webhook_url=nobody, webhook_secrets=(SecretStr("a-secret-for-results-in-tests"),)) as plane:
        asyncio.run(tell_in_vain(plane))
        yield plane


async def tell_in_vain(plane: Served) -> None:
    admin = plane.admin()

    async def tried() -> bool:
        return any(each.attempts for each in (await admin.webhooks()).items)

    async with admin.transport:
        payload = JobPayload(user_id="1", app_id="20001")
        job = await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
        await admin.cancel(job.id)
        await eventually(tried)


def test_what_was_not_taken_is_listed_and_sent_again(plane: Served) -> None:
    [view] = json.loads(funai(plane.environ, "webhooks", "-o", "json").stdout)
    assert (view["event"], view["state"], view["status"]) == ("job.cancelled", DeliveryState.PENDING, None)
    shown = funai(plane.environ, "webhooks", "--state", "PENDING", "--app", "20001").stdout.decode().splitlines()
    assert len(shown) == 2 and "could not be reached" in shown[1]
    assert len(funai(plane.environ, "webhooks", "--state", "FAILED").stdout.splitlines()) <= 1
    again = funai(plane.environ, "webhooks", "retry", str(view["id"]))
    assert (again.returncode, again.stdout.decode()) == (0, f"delivery 1 of job {view['jobId']} is sent now\n")
    unknown = funai(plane.environ, "webhooks", "retry", "4711")
    assert unknown.returncode == 4 and b"there is no delivery 4711" in unknown.stderr
    assert funai(plane.environ, "webhooks", "retry").returncode == 2


def test_without_a_receiver_it_says_so(tmp_path: Path) -> None:
    with served(tmp_path) as plane:
        assert b"set DEPLOY_WEBHOOK_URL and DEPLOY_WEBHOOK_SECRET" in funai(plane.environ, "webhooks").stderr
