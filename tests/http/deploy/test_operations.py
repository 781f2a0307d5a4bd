"""Apps as wholes and what their nodes have yet to do, as the API and operators see them."""

import pytest

from protocol.apps import AppCommand, AppCondition
from protocol.audit import AuditQuery
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, ReportJob
from protocol.nodes import AppHealth, NodeVitals, ReassignApp, UnwellApp
from protocol.operations import OperationState
from tests.http.deploy.plane import Plane, serving


async def finished(plane: Plane, app_id: str, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    job = await plane.claimed(app_id)
    await plane.runners.report(job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=status))


def command(app_id: str) -> AppCommand:
    return AppCommand(user_id="1", app_id=app_id)


async def test_an_app_tells_its_condition_through_its_life() -> None:
    async with serving() as plane:
        await plane.beat()
        await plane.create("a")
        queued = await plane.api.app("a")
        assert (queued.condition, queued.user_id, queued.node_id) == (AppCondition.QUEUED, "1", None)
        job = await plane.claim()
        assert job is not None
        deploying = await plane.api.app("a")
        assert (deploying.condition, deploying.job_id, deploying.node_name) == (AppCondition.DEPLOYING, job.id, "n1")
        await plane.runners.report(
            job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )
        assert (await plane.api.app("a")).condition is AppCondition.RUNNING
        plane.agent.problem = "the engine is on fire"
        await plane.api.stop_app(command("a"))
        stopping = await plane.api.app("a")
        assert stopping.condition is AppCondition.STOPPING
        assert stopping.message == "stopping: node n1: the engine is on fire; it will be tried again"
        assert [(each.kind.value, each.cause, each.actor) for each in stopping.operations] == [("stop", "stop", "api")]
        await plane.api.cleanup_app(command("a"))
        assert (await plane.api.app("a")).condition is AppCondition.DELETING
        plane.agent.problem = None
        number = (await plane.api.app("a")).operations[0].id
        await plane.admin.retry_operation(number)
        await ended(plane, number)
        with pytest.raises(Refused) as gone:
            await plane.api.app("a")
        assert gone.value.status == 404
        with pytest.raises(Refused) as too_late:
            await plane.admin.retry_operation(number)
        assert (too_late.value.status, too_late.value.reason) == (409, "illegal_transition")


async def test_an_app_is_as_its_node_says_until_it_says_otherwise() -> None:
    crashed = UnwellApp(app_id="a", health=AppHealth.CRASHED, reason="it exited with code 3", crashes=4)
    async with serving() as plane:
        await plane.beat()
        for status, well in ((JobStatus.SUCCEEDED, AppCondition.RUNNING), (JobStatus.FAILED, AppCondition.FAILED)):
            await finished(plane, "a", status)
            await plane.beat(vitals=NodeVitals(unwell=(crashed,), unwell_total=1))
            app = await plane.api.app("a")
            assert (app.condition, app.message) == (
                AppCondition.CRASHED,
                "it exited with code 3; it crashed 4 times",
            )
            await plane.beat(vitals=NodeVitals(unwell_total=0))
            assert (await plane.api.app("a")).condition is well
        told = [entry.change for entry in (await plane.admin.audit(AuditQuery(kind="node"))).items]
        assert sorted(told) == ["apps_unwell", "apps_unwell", "apps_well", "apps_well", "registered"]
        await plane.beat(vitals=NodeVitals(unwell=(crashed,), unwell_total=1))
        await plane.api.stop_app(command("a"))
        assert (await plane.api.app("a")).condition is AppCondition.STOPPED


async def ended(plane: Plane, number: int) -> None:
    """Return when the operation is done; the test's time limit ends a wait in vain."""
    while True:
        found = await plane.api.operations(state=OperationState.DONE)
        if number in [each.id for each in found.items]:
            return


async def test_apps_are_paged_and_filtered() -> None:
    async with serving() as plane:
        for app_id in ("c", "a", "b"):
            await finished(plane, app_id)
        first = await plane.api.apps(limit=2)
        assert [each.app_id for each in first.items] == ["a", "b"] and first.next_cursor == "b"
        rest = await plane.api.apps(limit=2, cursor=first.next_cursor)
        assert [each.app_id for each in rest.items] == ["c"] and rest.next_cursor is None
        for found, wanted in (
            (await plane.api.apps(node_id=1, limit=2), ["a", "b"]),
            (await plane.api.apps(node_id=2), []),
            (await plane.api.apps(user_id="1", node_id=1), ["a", "b", "c"]),
            (await plane.api.apps(user_id="1", limit=1), ["a"]),
            (await plane.api.apps(user_id="2"), []),
        ):
            assert [each.app_id for each in found.items] == wanted
        for path, field in (
            ("/deploy/apps?userId=x", "userId"),
            ("/deploy/apps?nodeId=0", "nodeId"),
            ("/deploy/apps?cursor=..%2f", "cursor"),
            ("/deploy/apps/..%2fadmin", "appId"),
            ("/deploy/operations?state=LATE", "state"),
            ("/deploy/operations?cursor=x", "cursor"),
        ):
            answer = await plane.call("GET", path, role="api")
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field]), path


async def test_an_operator_gives_an_operation_up_and_the_apps_state_says_so() -> None:
    async with serving() as plane:
        await finished(plane, "a")
        plane.agent.problem = "no route to host"
        stopped = await plane.api.stop_app(command("a"))
        number = stopped.operations[0].id
        given_up = await plane.admin.abandon_operation(number)
        assert (given_up.state, given_up.reason) == (OperationState.ABANDONED, "by_operator")
        app = await plane.api.app("a")
        assert (app.condition, app.message) == (AppCondition.UNKNOWN, "not stopping any more: given up by an operator")
        with pytest.raises(Refused) as again:
            await plane.admin.abandon_operation(number)
        assert again.value.status == 409
        for path in ("/admin/operations/99/retry", "/admin/operations/x/abandon"):
            assert (await plane.call("POST", path, role="admin")).status_code == 404
        assert (await plane.call("GET", f"/deploy/operations/{number}", role="api")).json()["data"]["id"] == number


async def test_a_second_stop_takes_the_place_of_one_that_waits() -> None:
    async with serving() as plane:
        await finished(plane, "a")
        plane.agent.problem = "no route to host"
        first = (await plane.api.stop_app(command("a"))).operations[0]
        plane.agent.problem = None
        second = await plane.api.stop_app(command("a"))
        assert not second.pending and second.operations[0].fence == first.fence + 1
        pages = await plane.api.operations(app_id="a", limit=1)
        assert [each.state for each in pages.items] == [OperationState.DONE]
        older = await plane.api.operations(app_id="a", cursor=pages.next_cursor)
        assert [(each.state, each.reason) for each in older.items] == [(OperationState.ABANDONED, "superseded")]


async def test_a_cleanup_cancels_the_running_job_which_can_then_neither_go_live_nor_report() -> None:
    async with serving() as plane:
        job = await plane.claimed("a")
        plane.agent.problem = "no route to host"
        cleaned = await plane.api.cleanup_app(command("a"))
        assert cleaned.cancelled_jobs == (job.id,) and cleaned.pending
        confirm = {"appId": "a", "fence": job.fence}
        answer = await plane.call("POST", "/internal/fences/confirm", role="node", json=confirm)
        assert answer.json()["data"] == {"holds": False, "reason": "stale_fence"}
        with pytest.raises(Refused):
            await plane.runners.report(
                job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
            )
        assert (await plane.api.operations(app_id="a")).items[0].fence > (job.fence or 0)


async def test_a_copy_that_an_app_left_behind_is_stopped() -> None:
    async with serving() as plane:
        await finished(plane, "a")
        await plane.beat("n2")
        await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=2))
        await plane.create("a")
        job = await plane.claim()
        assert job is not None
        plane.agent.calls.clear()
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, done)
        asked = (await plane.api.operations(app_id="a")).items[0]
        assert (asked.node_id, asked.cause, asked.kind.value) == (1, f"job:{job.id}", "stop")
        assert asked.fence > (job.fence or 0)
        await ended(plane, asked.id)
        assert plane.agent.calls == [("stop", "http://n1:7005", "1", "a", asked.fence)]
        app = await plane.api.app("a")
        assert (app.condition, app.node_name) == (AppCondition.RUNNING, "n2")
        await finished(plane, "a")
        assert len((await plane.api.operations(app_id="a")).items) == 1, "nothing is left behind this time"
