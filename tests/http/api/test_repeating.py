"""Deployments that may be repeated: a caller's key on its way through the API to the control plane and back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.deploy_plane import HttpDeployPlane
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.app import Parts, build_app
from daemons.api.domain.deployments import Hosting
from daemons.deploy.adapters.store import open_store
from daemons.kit.sql import migrate, open_database
from protocol.api import AppState, CreateApp, StartDeployment
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Refused, Transport
from protocol.jobs import CreateJob, JobStatus, JobType, OnConflict, ReportJob
from tests.contract.test_supersede_races import LostAnswers
from tests.http.api.conftest import OTHER, OWNER
from tests.http.deploy.plane import MEMORY, Plane, serving
from tests.support.app_databases import MemoryAppDatabases
from tests.support.workspace_nodes import unreached


class Whole:
    """The API over a real control plane; `store` loses as many answers as it is told."""

    def __init__(self, deploy: Plane, store: LostAnswers, url: str) -> None:
        self.deploy = deploy
        self.store = store
        self.url = url


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with AsyncExitStack() as stack:
        store = LostAnswers(await stack.enter_async_context(open_store(MEMORY)), lost=0)
        deploy = await stack.enter_async_context(serving(store))
        database = await stack.enter_async_context(open_database(MEMORY, QUERIES))
        await migrate(database, COMPONENT, MIGRATIONS)
        app = await build_app(
            Parts(
                database=database,
                plane=HttpDeployPlane(deploy.api),
                databases=MemoryAppDatabases(),
                access=DiskGitAccess(tmp_path / "access.json", tmp_path / "bot.pub"),
                hosting=Hosting("git.example.org", 2222),
                workspaces=unreached(),
                user_tokens={1: [OWNER], 2: [OTHER]},
                admin_tokens=["admin-token-0123456789"],
            )
        )
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Whole(deploy, store, f"http://127.0.0.1:{runner.addresses[0][1]}")


@pytest.fixture
async def owner(whole: Whole) -> AsyncIterator[ApiClient]:
    async with Transport(whole.url, bearer(OWNER)) as transport:
        client = ApiClient(transport)
        await client.create_app(CreateApp(app_name="shop"))
        yield client


async def test_a_deployment_repeated_under_its_key_is_one_job(owner: ApiClient) -> None:
    first = await owner.deploy("20001", idempotency_key="k1")
    assert (await owner.deploy("20001", idempotency_key="k1")).id == first.id
    with pytest.raises(Refused, match=first.id) as refused:
        await owner.deploy("20001", StartDeployment(git_ref="release"), idempotency_key="k1")
    assert (refused.value.status, refused.value.reason) == (409, "idempotency_mismatch")
    assert len(await owner.jobs()) == 1


async def test_the_same_key_of_two_people_makes_two_jobs(whole: Whole, owner: ApiClient) -> None:
    async with Transport(whole.url, bearer(OTHER)) as transport:
        other = ApiClient(transport)
        app = await other.create_app(CreateApp(app_name="blog"))
        theirs = await other.deploy(str(app.id), idempotency_key="k1")
        assert (await owner.deploy("20001", idempotency_key="k1")).id != theirs.id


@pytest.mark.parametrize("key", ["k1", None])
async def test_an_answer_that_is_lost_behind_the_api_makes_one_job(
    whole: Whole, owner: ApiClient, key: str | None
) -> None:
    whole.store.lost = 2
    job = await owner.deploy("20001", idempotency_key=key)
    assert whole.store.lost == 0 and job.status is JobStatus.PENDING
    assert [each.id for each in await owner.jobs()] == [job.id]


async def test_a_burst_of_superseded_orders_hides_no_running_version(whole: Whole, owner: ApiClient) -> None:
    """The app's state is told from its jobs, and the last success may lie far behind."""
    await whole.deploy.beat()
    job = await owner.deploy("20001")
    claimed = await whole.deploy.claim()
    assert claimed is not None and claimed.id == job.id
    done = ReportJob(runner_id="r1", lease_token=claimed.lease_token, status=JobStatus.SUCCEEDED)
    await whole.deploy.runners.report(job.id, done)
    order = CreateJob(
        type=JobType.BUILD_AND_DEPLOY,
        payload=job.payload,
        on_conflict=OnConflict.SUPERSEDE,
    )
    made = [await whole.deploy.admin.create(order) for _ in range(40)]
    app = await owner.app("20001")
    assert (app.app_status, app.last_job_id) == (AppState.DEPLOYING, made[-1].id)
    assert app.deploy_url is not None
