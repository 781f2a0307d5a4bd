"""An app's log through the control plane, from a real agent over twins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from daemons.agent.domain.usage import Sample
from daemons.deploy.adapters.agent_door import AgentDoor
from daemons.deploy.adapters.agent_streams import HttpRunningApps
from daemons.deploy.ports import AgentFailed
from protocol.client.transport import Refused, Unreachable
from protocol.jobs import JobStatus, ReportJob
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery, AppOutputQuery, OutputStream
from tests.http.deploy.plane import TOKENS, Plane, serving
from tests.support.agent_served import AgentServed, agent_served

_APP = "20001"


class World:
    """A control plane, an agent and an app on it."""

    def __init__(self, plane: Plane, agent: AgentServed, container: str) -> None:
        self.plane = plane
        self.agent = agent
        self.container = container

    async def read(self, most: int = 100, **asked: object) -> list[AppLogEvent]:
        """The next events."""
        found = []
        query = AppLogQuery.model_validate(asked)
        async with asyncio.timeout(60), aclosing(self.plane.admin.app_log(_APP, query)) as events:
            async for event in events:
                found.append(event)
                if len(found) == most:
                    break
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with agent_served(TOKENS["agent"]) as agent, serving() as plane:
        await plane.beat(agentBaseUrl=agent.url)
        await plane.create(_APP)
        job = await plane.claim()
        assert job is not None
        container = await agent.deploy(_APP, "1", 1)
        report = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, report)
        await agent.outputs.write(container, "one\n", "two\n")
        await agent.outputs.write(container, "broken\u2028line\r\n", stream=OutputStream.STDERR)
        yield World(plane, agent, container)


async def test_the_log_of_an_app_is_read_through_the_control_plane(world: World) -> None:
    head, out, problem = await world.read(tail=2)
    assert (head.kind, head.container) == (AppLogKind.CONTAINER, world.container)
    assert (out.text, out.stream) == ("two\n", OutputStream.STDOUT)
    assert (problem.text, problem.stream) == ("broken\u2028line\r\n", OutputStream.STDERR)
    await world.agent.outputs.write(world.container, "three\n")
    assert [event.text for event in await world.read(cursor=problem.cursor)] == ["", "three\n"]


async def test_a_follower_sees_a_redeployment_and_the_end(world: World) -> None:
    found = []
    asked = AppLogQuery(follow=True, tail=0)
    async with asyncio.timeout(60), aclosing(world.plane.admin.app_log(_APP, asked)) as events:
        async for event in events:
            found.append(event)
            if len(found) == 1:
                await world.agent.outputs.write("rt-u-1-20001-r2", "new\n")
                assert await world.agent.deploy(_APP, "1", 2) == "rt-u-1-20001-r2"
            if event.text == "new\n":
                world.agent.outputs.broken = "the engine is away"
    assert [event.kind for event in found] == [
        AppLogKind.CONTAINER,
        AppLogKind.CONTAINER,
        AppLogKind.OUTPUT,
        AppLogKind.END,
    ]
    assert found[-1].text == "the engine is away"


async def test_refusals_say_which_node_and_never_how_it_is_reached(world: World) -> None:
    with pytest.raises(Refused, match="on no runtime node") as refusal:
        async for _ in world.plane.admin.app_log("20009"):
            pass
    assert refusal.value.status == 404
    world.agent.outputs.written.clear()
    assert "none such" in (await world.read())[-1].text
    await world.agent.runner.cleanup()
    answer = await world.plane.call("GET", f"/admin/apps/{_APP}/log", role="admin")
    assert answer.status_code == 502
    assert "node n1 cannot give the log of app 20001: its agent does not answer" in answer.text
    assert "127.0.0.1" not in answer.text and TOKENS["agent"] not in answer.text


async def test_an_app_that_its_node_does_not_have_is_not_found(world: World) -> None:
    await world.plane.create("20002")
    assert await world.plane.claim("r2") is not None
    answer = await world.plane.call("GET", "/admin/apps/20002/log", role="admin")
    assert (answer.status_code, "it does not run there" in answer.text) == (404, True)


async def test_an_agent_that_refuses_is_told_apart(world: World) -> None:
    await world.plane.beat(agentBaseUrl=world.plane.url)
    answer = await world.plane.call("GET", f"/admin/apps/{_APP}/log", role="admin")
    assert (answer.status_code, "its agent answered HTTP" in answer.text or "too old" in answer.text) == (502, True)


async def test_the_agents_token_goes_to_no_address_where_no_agent_may_be() -> None:
    asked = AppOutputQuery(user_id="1", app_id=_APP)
    with pytest.raises(AgentFailed, match="DEPLOY_AGENT_ADDRESSES"):
        async with HttpRunningApps(AgentDoor("token")).output("http://203.0.113.7:7005", asked):
            pass


async def test_readers_are_bounded_and_what_they_ask_is_checked(world: World) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(8):
            events = await stack.enter_async_context(
                aclosing(world.plane.admin.app_log(_APP, AppLogQuery(follow=True)))
            )
            await anext(events)
        answer = await world.plane.call("GET", f"/admin/apps/{_APP}/log", role="admin")
        assert (answer.status_code, answer.json()["reason"]) == (429, "rate_limited")
    for wrong in ("cursor=r1", "tail=-1", "tail=x", "follow=perhaps"):
        assert (await world.plane.call("GET", f"/admin/apps/{_APP}/log?{wrong}", role="admin")).status_code == 400
    assert (await world.plane.call("GET", "/admin/apps/UP/log", role="admin")).status_code == 400
    for role in (None, "api", "runner", "node"):
        assert (await world.plane.call("GET", f"/admin/apps/{_APP}/log", role=role)).status_code == 401


async def test_what_apps_use_is_told_by_app_and_by_node(world: World) -> None:
    world.agent.usages.samples[world.container] = Sample(0, 1.0, 10, 20, 2, 3, 4)
    found = await world.plane.admin.app_stats(_APP)
    assert (found.node, [item.app_id for item in found.items]) == ("n1", [_APP])
    assert found.items[0].memory_bytes == 10 and found.items[0].running
    assert (await world.plane.admin.node_stats("n1")).items[0].container == world.container
    with pytest.raises(Refused, match="there is no runtime node n9"):
        await world.plane.admin.node_stats("n9")
    with pytest.raises(Refused, match="on no runtime node"):
        await world.plane.admin.app_stats("20009")


@pytest.mark.parametrize("who", ["plane", "agent"])
async def test_a_shutdown_does_not_wait_for_followers(world: World, who: str) -> None:
    app = world.plane.app if who == "plane" else world.agent.runner.app
    async with asyncio.timeout(4), aclosing(world.plane.admin.app_log(_APP, AppLogQuery(follow=True))) as events:
        await anext(events)
        await app.shutdown()
        try:
            last = [event async for event in events][-1].kind
        except Unreachable:
            last = AppLogKind.END
    assert last is AppLogKind.END
