"""Rollouts over twins: what serves, what is left, what is remembered, whatever fails."""

import asyncio
from dataclasses import replace

import pytest

from daemons.agent.domain.apps import AppState, FenceRequired, Instance, StaleFence, advance, begin, commit, start
from daemons.agent.domain.steps import Step, Strategy
from daemons.agent.ports import StateError
from daemons.agent.services.apps import StopFailed
from daemons.agent.services.holds import AppBusy, Superseded
from daemons.agent.services.ledger import Recovering
from daemons.agent.services.rollout import ConfirmationUnavailable, DeployFailed, NotConfirmed
from tests.support.agent_twins import Behaviour
from tests.support.agent_world import V1, V2, V3, World, order
from tests.support.eventually import eventually


async def only(world: World, container: str) -> None:
    async def settled() -> bool:
        return list(world.engine.containers) == [container] and not world.states.states["5"].retiring

    await eventually(settled)


async def present(world: World, container: str) -> bool:
    return container in world.engine.containers


async def test_the_second_replaces_the_first() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        assert world.serving() == "sha256:1"
        live = await agent.rollout.deploy(order(V2, 2))
        assert (world.serving(), live.container) == ("sha256:2", "rt-u-7-5-r2")
        await only(world, "rt-u-7-5-r2")
    assert world.plane.asked == [("5", 1), ("5", 2)]


async def test_the_old_one_is_stopped_only_when_it_serves_nobody() -> None:
    world = World(drain_seconds=60)
    async with world.alive() as agent:
        first = await agent.rollout.deploy(order(V1, 1))
        world.gateway.busy[first.port] = 1
        await agent.rollout.deploy(order(V2, 2))
        await asyncio.sleep(0.3)
        assert world.engine.containers["rt-u-7-5-r1"].running
        world.gateway.busy.clear()
        await only(world, "rt-u-7-5-r2")


async def test_a_drain_ends_when_its_time_is_up() -> None:
    world = World(drain_seconds=0.2)
    async with world.alive() as agent:
        first = await agent.rollout.deploy(order(V1, 1))
        world.gateway.busy[first.port] = 1
        await agent.rollout.deploy(order(V2, 2))
        await only(world, "rt-u-7-5-r2")


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (Behaviour(listens=(8080,)), "listens on 8080"),
        (
            Behaviour(exit_code=3, output="one\ntwo\n"),
            "exited with code 3 while it was starting; its last output:\none\ntwo",
        ),
        (Behaviour(exit_code=137, oom=True), "512 MiB of memory (OOMKilled); it printed nothing"),
        (Behaviour(status=500), "HTTP 500"),
    ],
    ids=["port", "crash", "memory", "broken"],
)
async def test_an_image_that_fails_leaves_the_old_one(behaviour: Behaviour, says: str) -> None:
    world = World()
    world.engine.behaviours["sha256:2"] = behaviour
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        with pytest.raises(DeployFailed) as failure:
            await agent.rollout.deploy(order(V2, 2))
        assert says in str(failure.value)
        await only(world, "rt-u-7-5-r1")
    assert world.serving() == "sha256:1"
    assert world.plane.asked == [("5", 1)]


@pytest.mark.parametrize("step", ["create", "start", "state", "image_id"])
async def test_an_engine_that_fails_leaves_the_old_one(step: str) -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        await only(world, "rt-u-7-5-r1")
        world.engine.broken[step] = "no space left on device"
        with pytest.raises(DeployFailed, match="no space left on device"):
            await agent.rollout.deploy(order(V2, 2))
        world.engine.broken.clear()
        await only(world, "rt-u-7-5-r1")
        assert world.serving() == "sha256:1"
        await agent.rollout.deploy(order(V2, 2))
    assert world.serving() == "sha256:2"


async def test_a_gateway_that_fails_leaves_the_old_one() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.gateway.broken = "the gateway did not answer"
        with pytest.raises(DeployFailed, match="did not answer"):
            await agent.rollout.deploy(order(V2, 2))
        world.gateway.broken = None
        await only(world, "rt-u-7-5-r1")
        assert world.serving() == "sha256:1"
        world.gateway.restart()
        assert world.serving() == "sha256:1"


async def test_a_full_disk_of_our_own_stops_before_anything_starts() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.states.full = True
        with pytest.raises(StateError, match="no space left"):
            await agent.rollout.deploy(order(V2, 2))
        world.states.full = False
        await only(world, "rt-u-7-5-r1")
    assert world.serving() == "sha256:1"


async def test_no_means_no_and_silence_means_no() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.plane.refusal = "the job was cancelled"
        with pytest.raises(NotConfirmed, match="cancelled"):
            await agent.rollout.deploy(order(V2, 2))
        world.plane.refusal, world.plane.silent = None, True
        with pytest.raises(ConfirmationUnavailable, match="did not go live"):
            await agent.rollout.deploy(order(V2, 3))
        await only(world, "rt-u-7-5-r1")
    assert world.serving() == "sha256:1"


async def test_stale_and_missing_fences_change_nothing() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V2, 2))
        before = list(world.engine.calls)
        with pytest.raises(StaleFence):
            await agent.rollout.deploy(order(V1, 1))
        with pytest.raises(FenceRequired):
            await agent.rollout.deploy(order(V1, None))
        assert [call for call in world.engine.calls if call.startswith(("create", "pull"))] == [
            call for call in before if call.startswith(("create", "pull"))
        ]


async def test_the_fence_of_a_failed_attempt_counts() -> None:
    world = World()
    world.engine.behaviours["sha256:3"] = Behaviour(exit_code=1)
    async with world.alive() as agent:
        with pytest.raises(DeployFailed):
            await agent.rollout.deploy(order(V3, 3))
    async with world.alive() as agent:
        with pytest.raises(StaleFence):
            await agent.rollout.deploy(order(V2, 2))


async def test_the_same_attempt_again_is_answered_with_what_runs() -> None:
    world = World()
    async with world.alive() as agent:
        first = await agent.rollout.deploy(order(V1, 1))
        creates = world.engine.calls.count("create rt-u-7-5-r1")
        assert await agent.rollout.deploy(order(V1, 1)) == first
        assert world.engine.calls.count("create rt-u-7-5-r1") == creates


async def test_the_same_attempt_again_replaces_what_no_longer_runs() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.engine.containers["rt-u-7-5-r1"].running = False
        again = await agent.rollout.deploy(order(V1, 1))
        assert again.container == "rt-u-7-5-r1.2"
        await only(world, "rt-u-7-5-r1.2")
    assert world.serving() == "sha256:1"


async def test_without_fences_deployments_follow_each_other() -> None:
    world = World(require_fence=False)
    async with world.alive() as agent:
        for image in (V1, V2, V3, V1):
            await agent.rollout.deploy(order(image, None))
            assert world.serving() == world.engine.local[image]
    assert world.plane.asked == []


async def test_one_deployment_of_an_app_at_a_time() -> None:
    world = World()
    world.engine.behaviours["sha256:1"] = Behaviour(status=500)
    async with world.alive() as agent, asyncio.TaskGroup() as group:
        first = group.create_task(agent.rollout.deploy(order(V1, 1)))
        await asyncio.sleep(0)
        with pytest.raises(AppBusy):
            await agent.rollout.deploy(order(V2, 1))
        with pytest.raises(AppBusy):
            await agent.apps.stop("7", "5", None)
        world.engine.behaviours.clear()
    assert first.result().container == "rt-u-7-5-r1"


async def test_a_newer_attempt_takes_over_from_one_that_does_not_come_up() -> None:
    world = World()
    world.engine.behaviours["sha256:2"] = Behaviour(status=500)
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        stuck = asyncio.gather(agent.rollout.deploy(order(V2, 2)), return_exceptions=True)
        await eventually(lambda: present(world, "rt-u-7-5-r2"))
        live = await agent.rollout.deploy(order(V3, 3))
        assert [type(error) for error in await stuck] == [Superseded]
        assert (world.serving(), live.container) == ("sha256:3", "rt-u-7-5-r3")
        await only(world, "rt-u-7-5-r3")
    assert ("5", 2) not in world.plane.asked


async def test_a_newer_stop_ends_a_deployment_that_does_not_come_up() -> None:
    world = World()
    world.engine.behaviours["sha256:1"] = Behaviour(status=500)
    async with world.alive() as agent:
        stuck = asyncio.gather(agent.rollout.deploy(order(V1, 1)), return_exceptions=True)
        await eventually(lambda: present(world, "rt-u-7-5-r1"))
        await agent.apps.stop("7", "5", 2)
        assert [type(error) for error in await stuck] == [Superseded]
    assert world.engine.containers == {}


async def test_what_is_past_its_point_of_no_return_is_waited_for() -> None:
    world = World()
    async with world.alive() as agent:
        first, second = await asyncio.gather(
            agent.rollout.deploy(order(V1, 1)), agent.rollout.deploy(order(V2, 2)), return_exceptions=True
        )
        assert isinstance(first, Instance | Superseded) and isinstance(second, Instance)
        assert world.serving() == "sha256:2"
        await only(world, "rt-u-7-5-r2")


async def test_apps_that_start_together_get_ports_of_their_own() -> None:
    world = World()
    async with world.alive() as agent:
        apps = [str(number) for number in range(20)]
        live = await asyncio.gather(*(agent.rollout.deploy(order(V1, 1, app_id=app)) for app in apps))
    assert len({one.port for one in live}) == 20


async def test_a_port_that_is_taken_meanwhile_is_passed_over() -> None:
    world = World()
    world.engine.taken = {20001, 20002}
    async with world.alive() as agent:
        assert (await agent.rollout.deploy(order(V1, 1))).port == 20003
    world.engine.taken = set(range(20000, 20100))
    async with world.alive() as agent:
        with pytest.raises(DeployFailed, match="RUNTIME_APP_PORTS"):
            await agent.rollout.deploy(order(V2, 2))
        await only(world, "rt-u-7-5-r1")


async def test_an_image_with_a_registry_is_pulled_and_a_failed_pull_is_no_deployment() -> None:
    world = World()
    reference = "registry:5000/funai/u7-app5:latest"
    world.engine.local[reference] = "sha256:stale"
    async with world.alive() as agent:
        with pytest.raises(DeployFailed, match="could not pull"):
            await agent.rollout.deploy(order(reference, 1))
        world.engine.registry[reference] = "sha256:fresh"
        await agent.rollout.deploy(order(reference, 1))
    assert world.serving() == "sha256:fresh"


async def test_an_image_by_digest_that_is_here_needs_no_registry() -> None:
    world = World()
    reference = f"registry:5000/funai/u7-app5@sha256:{'a' * 64}"
    async with world.alive() as agent:
        with pytest.raises(DeployFailed, match="could not pull"):
            await agent.rollout.deploy(order(reference, 1))
        world.engine.local[reference] = "sha256:here"
        await agent.rollout.deploy(order(reference, 1))
    assert world.serving() == "sha256:here"


async def test_old_images_go_and_the_former_one_stays() -> None:
    world = World()
    async with world.alive() as agent:
        for fence, image in enumerate((V1, V2, V3), 1):
            await agent.rollout.deploy(order(image, fence))

        async def pruned() -> bool:
            return set(world.engine.local) == {V2, V3}

        await eventually(pruned)
        world.visits.kept = {"5": ["{}"], "55": ["{}"]}
        removal = await agent.apps.delete("7", "5", 3)
        assert (set(removal.removed), removal.kept) == ({V2, V3}, ())
        assert world.visits.kept == {"55": ["{}"]}
        assert (world.engine.containers, world.gateway.routes) == ({}, {})
        with pytest.raises(StaleFence):
            await agent.rollout.deploy(order(V2, 2))


async def test_a_stop_that_fails_is_no_stop() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.engine.broken["stop"] = "the engine does not answer"
        with pytest.raises(StopFailed, match="does not answer"):
            await agent.apps.stop("7", "5", None)
        world.engine.broken.clear()
        await agent.apps.stop("7", "5", None)
        await agent.apps.stop("7", "5", None)
        assert (world.engine.containers, world.gateway.routes) == ({}, {})
        standing = await agent.apps.status("7", "5")
        assert (standing.state, standing.fence) == (None, 1)


async def test_status_shows_an_app_to_its_user_alone() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        mine, other = await agent.apps.status("7", "5"), await agent.apps.status("8", "5")
    assert mine.state is not None
    assert (mine.state.running, mine.port, mine.fence) == (True, 20001, 1)
    assert (other.state, other.port, other.fence) == (None, None, None)


async def crashed(world: World) -> None:
    """Version 1 is live and everything is settled; then the agent dies."""
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))


def started(state: AppState, candidate: Instance) -> AppState:
    return start(begin(state, Strategy.START_FIRST), candidate)


def committed(world: World) -> None:
    """The journal as it is right after the commit of version 2."""
    state = world.states.states["5"]
    assert state.candidate is not None
    confirmed = advance(advance(state, Step.PROBE), Step.CONFIRM)
    world.states.states["5"] = commit(confirmed, state.candidate, world.now)


async def second_started(world: World) -> None:
    """Version 2 was started by an agent that died before the switch."""
    agent = world.agent()
    await agent.ledger.load()
    candidate = Instance("rt-u-7-5-r2", V2, "sha256:2", 20050, 3000, 2)
    state = await agent.ledger.change("5", lambda state: started(replace(state, fence=2), candidate))
    spec = replace(
        world.engine.containers["rt-u-7-5-r1"].spec, name="rt-u-7-5-r2", image_id="sha256:2", host_port=20050
    )
    await world.engine.create(spec)
    await world.engine.start(spec.name)
    assert state.candidate == candidate


async def test_a_crash_before_the_switch_rolls_back() -> None:
    world = World()
    await crashed(world)
    await second_started(world)
    async with world.alive():
        await only(world, "rt-u-7-5-r1")
    assert world.serving() == "sha256:1"


async def test_a_crash_after_the_commit_rolls_forward() -> None:
    world = World()
    await crashed(world)
    await second_started(world)
    committed(world)
    async with world.alive():
        await only(world, "rt-u-7-5-r2")
    assert world.serving() == "sha256:2"


async def test_a_current_one_that_is_lost_gives_way_to_the_former() -> None:
    world = World()
    await crashed(world)
    await second_started(world)
    committed(world)
    del world.engine.containers["rt-u-7-5-r2"]
    async with world.alive():
        await only(world, "rt-u-7-5-r1")
    assert world.serving() == "sha256:1"


async def test_an_app_that_stopped_with_the_engine_is_started_again() -> None:
    world = World()
    await crashed(world)
    world.engine.containers["rt-u-7-5-r1"].running = False
    world.gateway.routes.clear()
    async with world.alive():
        assert world.serving() == "sha256:1"


async def test_nothing_is_retired_while_the_gateway_cannot_be_told() -> None:
    """The gateway still sends visitors to the old container and does not listen."""
    world = World()
    await crashed(world)
    await second_started(world)
    committed(world)
    world.gateway.broken = "the gateway did not answer"
    async with world.alive():
        await asyncio.sleep(0.2)
        assert world.serving() == "sha256:1"


async def test_a_gateway_that_is_not_running_serves_nobody() -> None:
    world = World()
    await crashed(world)
    await second_started(world)
    world.gateway.down = True
    committed(world)
    async with world.alive():
        await only(world, "rt-u-7-5-r2")
        world.gateway.restart()
    assert world.serving() == "sha256:2"


async def test_containers_of_unknown_apps_are_left_alone() -> None:
    world = World()
    await crashed(world)
    spec = world.engine.containers["rt-u-7-5-r1"].spec
    await world.engine.create(replace(spec, name="rt-u-7-6-r1", app_id="6", host_port=20060))
    await world.engine.create(replace(spec, name="rt-u-7-5-r9", host_port=20061))
    async with world.alive():
        assert sorted(world.engine.containers) == ["rt-u-7-5-r1", "rt-u-7-6-r1"]


async def test_nothing_is_deployed_before_the_node_is_known() -> None:
    agent = World().agent()
    with pytest.raises(Recovering):
        agent.recovery.check()
    await agent.recovery.recover()
    agent.recovery.check()
