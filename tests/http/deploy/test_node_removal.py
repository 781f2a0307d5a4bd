"""Deleting a node: what stands in the way, what force gives up, and whether its agent may come back."""

import pytest

from protocol.apps import AppCommand
from protocol.client.transport import Refused
from protocol.events import NodeEvent
from protocol.jobs import JobStatus, ReportJob
from protocol.nodes import ReassignApp, UpsertNode
from protocol.operations import OperationState
from tests.http.deploy.plane import Plane, serving
from tests.http.deploy.test_events import following


async def finished(plane: Plane, app_id: str) -> None:
    job = await plane.claimed(app_id)
    done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
    await plane.runners.report(job.id, done)


async def refused(plane: Plane, name: str = "n1") -> Refused:
    with pytest.raises(Refused) as caught:
        await plane.admin.delete_node(name)
    return caught.value


async def test_what_hangs_on_a_node_stands_in_the_way() -> None:
    async with serving() as plane:
        await finished(plane, "a")
        plane.agent.problem = "no route to host"
        await plane.api.stop_app(AppCommand(user_id="1", app_id="a"))
        error = await refused(plane)
        assert (error.status, error.reason) == (409, "node_in_use")
        assert error.data == {
            "placements": 1,
            "apps": ["a"],
            "operations": 1,
            "drain": None,
            "obstacles": [
                "1 apps live there",
                "it still has 1 operations to carry out",
                "it is in service; disable it first",
            ],
        }
        await plane.admin.set_enabled("n1", enabled=False)
        assert "disable it" not in str(await refused(plane))
        assert (await refused(plane, "n9")).status == (await refused(plane, "..%2f")).status == 404


async def test_a_node_that_nothing_hangs_on_goes_and_its_agent_is_refused_until_it_is_registered_again() -> None:
    async with serving() as plane:
        await finished(plane, "a")
        await plane.beat("n2")
        await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=2))
        await plane.admin.set_enabled("n1", enabled=False)
        assert "1 apps that live elsewhere still run there" in str(await refused(plane))
        await plane.create("a")
        job = await plane.claim()
        assert job is not None
        await plane.runners.report(
            job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )
        while (await plane.api.operations(node_id=1, state=OperationState.PENDING)).items:
            continue
        before = (await plane.admin.nodes())[0]
        gone = await plane.admin.delete_node("n1")
        assert (gone.node.node_id, gone.node.name) == (before.node_id, "n1") and not gone.apps + gone.operations
        assert [node.name for node in await plane.admin.nodes()] == ["n2"]
        run = (await plane.admin.snapshot()).apps[0]
        assert run.node_id == 2
        with pytest.raises(Refused) as caught:
            await plane.beat("n1")
        assert (caught.value.status, caught.value.reason) == (409, "node_deleted")
        again = await plane.admin.upsert_node(
            UpsertNode(name="n1", agent_base_url="http://n1:7005", gateway_base_url="http://n1:8088")
        )
        assert again.node_id > 2, "numbers are not used twice"
        assert (await plane.beat("n1")).id.value == again.node_id
        async with following(plane, 0) as stream:
            async for event in stream:
                if isinstance(event, NodeEvent) and event.change == "deleted":
                    assert (event.node.name, event.actor) == ("n1", "admin")
                    break


async def test_force_says_what_it_gives_up() -> None:
    async with serving() as plane:
        for app_id in ("a", "b"):
            await finished(plane, app_id)
        plane.agent.problem = "no route to host"
        number = (await plane.api.stop_app(AppCommand(user_id="1", app_id="a"))).operations[0].id
        gone = await plane.admin.delete_node("n1", force=True, readmit=True)
        assert (gone.apps, gone.operations, gone.readmitted) == (("a", "b"), (number,), True)
        ended = (await plane.api.operations(app_id="a")).items[0]
        assert (ended.state, ended.reason) == (OperationState.ABANDONED, "node_deleted")
        app = await plane.api.app("a")
        assert app.node_id is None and "n1 was deleted" in (app.message or "")
        plane.agent.problem = None
        assert (await plane.beat("n1")).id.value > 1, "registered anew"
        await finished(plane, "a")
        assert (await plane.api.app("a")).node_name == "n1"
