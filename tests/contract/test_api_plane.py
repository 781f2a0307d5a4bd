"""The control plane as the API sees it: the twin in memory and the real one over HTTP behave alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from daemons.api import ports
from daemons.api.adapters.deploy_plane import HttpDeployPlane
from daemons.deploy.app import open_app
from daemons.deploy.settings import DeploySettings
from daemons.kit.clock import SystemClock
from protocol import headers
from protocol.client.deploy import JobsClient
from protocol.client.transport import Transport
from protocol.jobs import JobPayload, JobStatus, OnConflict
from protocol.running import AppLogQuery
from tests.support.deploy_plane import MemoryDeployPlane

SECRET = "deploy-secret-0123456789"


async def serving(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def deploy_url() -> AsyncIterator[str]:
    settings = DeploySettings.model_validate(
        {
            "DEPLOY_DB_URL": "sqlite:///:memory:",
            "DEPLOY_ADMIN_TOKEN": "deploy-admin-0123456789",
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": SECRET,
            "DEPLOY_RUNNER_TOKEN": "runner-token-0123456789",
            "DEPLOY_NODE_TOKEN": "node-token-0123456789",
            "RUNTIME_AGENT_TOKEN": "agent-token-0123456789",
        }
    )
    runner, url = await serving(await open_app(settings))
    try:
        yield url
    finally:
        await runner.cleanup()


@pytest.fixture(params=["memory", "http"])
async def plane(request: pytest.FixtureRequest, deploy_url: str) -> AsyncIterator[ports.DeployPlane]:
    if request.param == "memory":
        yield MemoryDeployPlane(SystemClock())
        return
    async with Transport(deploy_url, {headers.DEPLOY_SECRET: SECRET}) as transport:
        yield HttpDeployPlane(JobsClient(transport))


def payload(app_id: int = 20001) -> JobPayload:
    return JobPayload(user_id="1", app_id=str(app_id), image="busybox:1.36", base_path=f"/runtime/{app_id}")


async def test_a_created_job_is_found_again(plane: ports.DeployPlane) -> None:
    job = await plane.create(payload(), None)
    assert (job.status, job.app_id, job.user_id) == (JobStatus.PENDING, "20001", "1")
    assert (await plane.job(job.id)).payload.image == "busybox:1.36"
    other = await plane.create(payload(20002), "key-1")
    found = await plane.jobs_of([20001, 20002, 20003], 5)
    assert {app_id: [of_app.id for of_app in jobs] for app_id, jobs in found.items()} == {
        20001: [job.id],
        20002: [other.id],
        20003: [],
    }


async def test_an_app_has_one_active_job(plane: ports.DeployPlane) -> None:
    job = await plane.create(payload(), None)
    with pytest.raises(ports.AppBusy):
        await plane.create(payload(), None)
    assert (await plane.cancel(job.id)).status is JobStatus.CANCELLED
    assert (await plane.cancel(job.id)).status is JobStatus.CANCELLED
    newer = await plane.create(payload(), None)
    assert [found.id for found in (await plane.jobs_of([20001], 5))[20001]] == [newer.id, job.id]
    assert [found.id for found in (await plane.jobs_of([20001], 1))[20001]] == [newer.id]


async def test_a_job_that_waits_may_be_superseded(plane: ports.DeployPlane) -> None:
    first = await plane.create(payload(), "key-1", OnConflict.SUPERSEDE)
    second = await plane.create(payload(), "key-2", OnConflict.SUPERSEDE)
    assert (await plane.create(payload(), "key-2", OnConflict.SUPERSEDE)).id == second.id
    assert (await plane.job(first.id)).status is JobStatus.CANCELLED
    assert (await plane.job(second.id)).status is JobStatus.PENDING
    with pytest.raises(ports.AppBusy):
        await plane.create(payload(), "key-3")


async def test_a_key_answers_the_job_that_it_made_and_no_other_request(plane: ports.DeployPlane) -> None:
    job = await plane.create(payload(), "the-key")
    assert (await plane.create(payload(), "the-key")).id == job.id
    with pytest.raises(ports.KeyUsed, match=job.id):
        await plane.create(payload().model_copy(update={"git_ref": "release"}), "the-key")
    await plane.cancel(job.id)
    again = await plane.create(payload(), "the-key")
    assert (again.id, again.status) == (job.id, JobStatus.CANCELLED)
    assert (await plane.create(payload(), "another-key")).id != job.id


async def test_an_unknown_job_is_not_found(plane: ports.DeployPlane) -> None:
    for job_id in ("unknown", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(ports.PlaneNotFound):
            await plane.job(job_id)
        with pytest.raises(ports.PlaneNotFound):
            await plane.cancel(job_id)


async def test_an_app_that_was_never_placed_cannot_be_stopped(plane: ports.DeployPlane) -> None:
    with pytest.raises(ports.PlaneNotFound):
        await plane.stop(1, 20001)


async def test_what_was_cancelled_is_queued_once_more(plane: ports.DeployPlane) -> None:
    job = await plane.create(payload(), None)
    with pytest.raises(ports.JobEnded):
        await plane.retry(job.id, "key-1")
    await plane.cancel(job.id)
    again = await plane.retry(job.id, "key-2")
    assert (again.status, again.payload.image) == (JobStatus.PENDING, "busybox:1.36") and again.id != job.id
    assert (await plane.retry(job.id, "key-2")).id == again.id
    with pytest.raises(ports.PlaneNotFound):
        await plane.retry("00000000-0000-4000-8000-000000000000", "key-3")


async def test_an_app_that_never_ran_has_nothing_to_go_back_to(plane: ports.DeployPlane) -> None:
    await plane.create(payload(), None)
    page = await plane.releases(20001, None, 5)
    assert (page.app_id, page.items, page.next_cursor) == ("20001", (), None)
    for release in (None, 3):
        with pytest.raises(ports.PlaneNotFound):
            await plane.rollback(1, 20001, release, "key-1")
    with pytest.raises(ports.PlaneNotFound):
        async with plane.app_log(20001, AppLogQuery()):
            pass


async def test_whoever_follows_a_log_is_let_go_when_the_job_ended(plane: ports.DeployPlane) -> None:
    job = await plane.create(payload(), None)
    async with plane.job_log(job.id, 0, follow=False) as pieces:
        assert b"".join([piece async for piece in pieces]) == b""
    async with asyncio.timeout(60), plane.job_log(job.id, 0, follow=True) as pieces:
        await plane.cancel(job.id)
        assert b"".join([piece async for piece in pieces]) == b""
    with pytest.raises(ports.PlaneNotFound):
        async with plane.job_log("00000000-0000-4000-8000-000000000000", 0, follow=False):
            pass


async def test_a_deleted_app_is_forgotten_with_its_jobs(plane: ports.DeployPlane) -> None:
    job, other = await plane.create(payload(), None), await plane.create(payload(20002), None)
    await plane.delete(1, 20001)
    with pytest.raises(ports.PlaneNotFound):
        await plane.job(job.id)
    await plane.delete(1, 20001)
    assert (await plane.job(other.id)).status is JobStatus.PENDING


async def test_it_answers(plane: ports.DeployPlane) -> None:
    await plane.check()
    assert await plane.jobs_of([], 5) == {}
    assert await plane.unfinished(1) == await plane.unfinished(None) == set()


async def test_a_wrong_secret_is_our_fault_not_the_users(deploy_url: str) -> None:
    async with Transport(deploy_url, {headers.DEPLOY_SECRET: "wrong-secret-0123456789"}) as transport:
        with pytest.raises(ports.PlaneUnreachable, match="DEPLOY_PROXY_AUTH_SHARED_SECRET must be the same"):
            await HttpDeployPlane(JobsClient(transport)).jobs_of([20001, 20002], 5)


async def test_nobody_at_the_address_says_what_to_check(unused_tcp_port: int) -> None:
    async with Transport(f"http://127.0.0.1:{unused_tcp_port}", {}) as transport:
        plane = HttpDeployPlane(JobsClient(transport))
        with pytest.raises(ports.PlaneUnreachable, match="DEPLOY_PROXY_BASE_URL"):
            await plane.create(payload(), None)
        with pytest.raises(ports.PlaneUnreachable, match="DEPLOY_PROXY_BASE_URL"):
            await plane.jobs_of([20001, 20002], 5)


async def test_an_answer_of_something_else_is_not_taken_for_one() -> None:
    app = web.Application()

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    app.router.add_route("*", "/{path:.*}", page)
    runner, url = await serving(app)
    try:
        async with Transport(url, {}) as transport:
            with pytest.raises(ports.PlaneUnreachable, match="another contract"):
                await HttpDeployPlane(JobsClient(transport)).job("unknown")
    finally:
        await runner.cleanup()
