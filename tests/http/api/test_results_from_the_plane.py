"""A real control plane tells a real API how jobs ended, also when the API was away at that moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.deploy_plane import HttpDeployPlane
from daemons.api.adapters.sql.results import SqlResults
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.app import Parts, build_app
from daemons.api.domain.apps import Result
from daemons.api.domain.deployments import Hosting
from daemons.deploy.adapters.webhook import open_receiver
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, migrate, open_database
from protocol.api import AppState
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from protocol.jobs import JobStatus, ReportJob
from protocol.operations import OperationState
from protocol.webhooks import RESULTS_PATH, DeliveryState
from tests.http.api.conftest import OWNER
from tests.http.deploy.plane import Plane, serving
from tests.support.app_databases import MemoryAppDatabases
from tests.support.eventually import eventually
from tests.support.real import free_port
from tests.support.results import SECRET
from tests.support.workspace_nodes import unreached


@asynccontextmanager
async def api_at(port: int, plane: Plane, database: Database, folder: Path) -> AsyncIterator[ApiClient]:
    """An API process's application, over its database and the control plane."""
    parts = Parts(
        database=database,
        plane=HttpDeployPlane(plane.api),
        databases=MemoryAppDatabases(),
        access=DiskGitAccess(folder / "access.json", None),
        hosting=Hosting("git.example.org", 2222),
        workspaces=unreached(),
        user_tokens={1: [OWNER]},
        admin_tokens=["admin-token-0123456789"],
        webhook_secrets=["webhook-secret-to-be-replaced", SECRET],
    )
    runner = web.AppRunner(await build_app(parts), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with Transport(f"http://127.0.0.1:{port}", bearer(OWNER)) as transport:
            yield ApiClient(transport)
    finally:
        await runner.cleanup()


async def test_the_api_learns_how_a_job_ended_without_asking(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}{RESULTS_PATH}"
    async with (
        open_receiver(url, [SECRET], SystemClock()) as receiver,
        serving(receiver=receiver) as plane,
        open_database(f"sqlite:///{tmp_path}/api.db", QUERIES) as database,
    ):
        await migrate(database, COMPONENT, MIGRATIONS)

        async def known() -> Result | None:
            return (await SqlResults(database).results_of([20001])).get(20001)

        async def knows_of(job_id: str) -> bool:
            result = await known()
            return result is not None and result.job_id == job_id

        async def tried() -> bool:
            return (await plane.admin.webhooks(state=DeliveryState.PENDING)).items[0].attempts > 0

        async def all_delivered() -> bool:
            return not (await plane.admin.webhooks(state=DeliveryState.PENDING)).items

        await plane.beat()
        async with api_at(port, plane, database, tmp_path) as people:
            await people.create_app()
            first = await people.deploy("20001")
            await claim_and_report(plane, JobStatus.SUCCEEDED)
            await eventually(lambda: knows_of(first.id))
            second = await people.deploy("20001")
        await claim_and_report(plane, JobStatus.FAILED)
        await eventually(tried)
        assert await knows_of(first.id)
        async with api_at(port, plane, database, tmp_path) as people:
            await eventually(lambda: knows_of(second.id))
            result = await known()
            assert result is not None and (result.status, result.error) == (JobStatus.FAILED, "the build failed")
            assert (await people.app("20001")).app_status is AppState.FAILED
            await eventually(all_delivered)


async def test_the_api_tells_that_a_stop_waits_for_its_node(tmp_path: Path) -> None:
    async with (
        serving() as plane,
        open_database("sqlite:///:memory:", QUERIES) as database,
        api_at(free_port(), plane, await prepared(database), tmp_path) as people,
    ):
        await plane.beat()
        await people.create_app()
        await people.deploy("20001")
        await claim_and_report(plane, JobStatus.SUCCEEDED)
        plane.agent.problem = "connection refused"
        stopped = await people.stop("20001")
        assert (stopped.status, stopped.pending) == ("STOPPING", True)
        assert "connection" not in (stopped.message or ""), "the addresses of nodes are not for users"
        assert (await people.app("20001")).stop_pending
        plane.agent.problem = None
        (operation,) = (await plane.admin.operations(state=OperationState.PENDING)).items
        await plane.admin.retry_operation(operation.id)

        async def done() -> bool:
            return not (await people.app("20001")).stop_pending

        await eventually(done)


async def prepared(database: Database) -> Database:
    """With the API's tables."""
    await migrate(database, COMPONENT, MIGRATIONS)
    return database


async def claim_and_report(plane: Plane, status: JobStatus) -> None:
    """A runner does the one job there is."""
    job = await plane.claim()
    assert job is not None
    words = "the build failed" if status is JobStatus.FAILED else None
    done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=status, error_message=words)
    await plane.runners.report(job.id, done)
