"""Crashes, back-off, the watch window and the way back: what is decided, and what an agent over twins does of it."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.agent.domain.configuration import Restart, RunConfig
from daemons.agent.domain.probing import Answer, ContainerState
from daemons.agent.domain.steps import Strategy
from daemons.agent.domain.vigil import (
    HEALTHY_SECONDS,
    LONGEST_DELAY_SECONDS,
    Condition,
    Pulse,
    Trouble,
    crashed,
    delay,
    ending,
    felt,
    final,
    forgotten,
    restarted,
)
from daemons.agent.services.rollout import DeployFailed, TooMuch, Wishes
from tests.support.agent_twins import Behaviour
from tests.support.agent_world import V1, V2, Agent, World, order
from tests.support.eventually import eventually

TIMES = st.floats(0, 2e9)


def test_the_back_off_is_the_promised_one() -> None:
    assert [delay(crashes) for crashes in range(1, 9)] == [0, 10, 20, 40, 80, 160, 300, 300]


@given(st.integers(0, 10**9))
def test_the_back_off_only_grows_and_is_bounded(crashes: int) -> None:
    assert 0 <= delay(crashes) <= delay(crashes + 1) <= LONGEST_DELAY_SECONDS


@given(st.lists(st.floats(0, 1000), max_size=12), TIMES)
def test_an_app_that_keeps_crashing_is_started_at_its_time_and_never_before(waits: list[float], now: float) -> None:
    trouble: Trouble | None = None
    for number, wait in enumerate(waits, 1):
        trouble = crashed(trouble, "it broke", now)
        assert (trouble.crashes, trouble.down) == (number, True)
        restart_at = trouble.restart_at
        assert restart_at is not None and trouble.due(restart_at)
        assert trouble.due(now) == (number == 1)
        now = restart_at + wait
        trouble = restarted(trouble)
        assert not trouble.due(now) and trouble.restart_at is None


@given(TIMES, st.floats(0.001, 1e6))
def test_a_clock_that_was_set_back_delays_no_restart(now: float, back: float) -> None:
    trouble = crashed(crashed(None, "it broke", now + back), "it broke", now + back)
    assert trouble.due(now) == (now < trouble.at)


@given(st.lists(st.booleans(), max_size=20))
def test_only_three_failures_in_a_row_are_an_illness(answers: list[bool]) -> None:
    pulse, row, now = Pulse(), 0, 0.0
    for healthy in answers:
        row = 0 if healthy else row + 1
        pulse = felt(pulse, Answer(status=200 if healthy else 503), now, watched=False)
        assert pulse.sick == (row >= 3)
        assert pulse.next_at > now
        now = pulse.next_at


def test_trouble_is_forgotten_after_ten_minutes_of_health() -> None:
    trouble = restarted(crashed(None, "it broke", 0.0))
    pulse = felt(Pulse(), Answer(status=200), 5.0, watched=False)
    assert not forgotten(trouble, pulse, 5.0 + HEALTHY_SECONDS - 1)
    assert forgotten(trouble, pulse, 5.0 + HEALTHY_SECONDS)
    assert not forgotten(None, pulse, 5.0 + HEALTHY_SECONDS)
    assert not forgotten(trouble, Pulse(), 1e9)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "its container is gone"),
        (ContainerState(False, 137, oom_killed=True), "more than its 512 MiB of memory (OOMKilled)"),
        (ContainerState(False, 137), "killed (SIGKILL, exit code 137), not for its memory"),
        (ContainerState(False, 3, error="no such file"), "exited with code 3: no such file"),
    ],
)
def test_the_reason_names_what_happened(found: ContainerState | None, says: str) -> None:
    assert says in ending(found, RunConfig())


@pytest.mark.parametrize(
    ("restart", "code", "stays_down"),
    [("always", 0, False), ("on-failure", 0, True), ("on-failure", 1, False), ("never", 1, True)],
)
def test_the_restart_policy_decides(restart: str, code: int, stays_down: bool) -> None:
    config = RunConfig(restart=Restart(restart))
    assert final(ContainerState(False, code), config) == stays_down
    assert final(None, config)


# An agent over twins.


def crash(world: World, container: str, *, code: int = 1, oom: bool = False, again: bool = False) -> None:
    """The container ends; with `again` it does at every start."""
    found = world.engine.containers[container]
    found.running, found.ended, found.exit_code = False, True, code
    world.engine.behaviours[found.spec.image_id] = Behaviour(exit_code=code if again else None, oom=oom)


async def recovered(world: World) -> Agent:
    agent = world.agent()
    await agent.recovery.recover()
    return agent


async def condition(agent: Agent, world: World) -> tuple[Condition, str | None]:
    state = agent.ledger.get("5")
    found = await world.engine.state(state.current.container) if state.current is not None else None
    return agent.vigil.condition(state, found)


async def test_a_crash_loop_is_slowed_down_told_and_forgotten() -> None:
    world = World()
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1))
    crash(world, "rt-u-7-5-r1", code=137, oom=True, again=True)
    starts: list[float] = []
    for _ in range(1000):
        before = world.engine.calls.count("start rt-u-7-5-r1")
        await agent.look()
        if world.engine.calls.count("start rt-u-7-5-r1") > before:
            starts.append(world.now)
        world.now += 1
    # The crash after a restart is seen one round later.
    pauses = [round(after - before) for before, after in itertools.pairwise(starts)]
    assert pauses[:6] == [11, 21, 41, 81, 161, 301]
    assert set(pauses[6:]) <= {301}
    assert world.reports >= len(starts)
    stands, reason = await condition(agent, world)
    assert (stands, reason is not None and "OOMKilled" in reason) == (Condition.CRASHED, True)
    (ill,) = agent.vigil.unwell(frozenset())
    assert (ill.app_id, ill.condition, ill.reason) == ("5", Condition.CRASHED, reason)
    assert ill.crashes > 1 and ill.restart_at is not None and ill.restart_at > world.now
    world.engine.behaviours.clear()
    for _ in range(320):
        await agent.look()
        world.now += 1
    assert (await condition(agent, world))[0] is Condition.RUNNING
    assert agent.vigil.unwell({"rt-u-7-5-r1"}) == []
    world.now += HEALTHY_SECONDS
    await agent.look()
    assert agent.ledger.get("5").trouble is None


async def test_an_agent_that_starts_again_remembers_the_crashes() -> None:
    world = World()
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1))
    crash(world, "rt-u-7-5-r1", again=True)
    for _ in range(3):
        await agent.look()
        world.now += 1
    starts = world.engine.calls.count("start rt-u-7-5-r1")
    again = await recovered(world)
    await again.look()
    assert world.engine.calls.count("start rt-u-7-5-r1") == starts
    world.now += 10
    await again.look()
    assert world.engine.calls.count("start rt-u-7-5-r1") == starts + 1


async def test_an_app_that_ends_as_it_should_is_left_alone() -> None:
    world = World()
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1, wishes=Wishes(restart=Restart.ON_FAILURE)))
    crash(world, "rt-u-7-5-r1", code=0)
    for _ in range(20):
        await agent.look()
        world.now += 60
    assert world.engine.calls.count("start rt-u-7-5-r1") == 1
    assert await condition(agent, world) == (Condition.CRASHED, "it exited with code 0")


async def test_what_serves_is_kept_running_while_another_is_deployed() -> None:
    world = World()
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        world.engine.behaviours["sha256:2"] = Behaviour(listens=())
        async with agent.ledger.hold("5", 2):
            crash(world, "rt-u-7-5-r1")
            await eventually(lambda: serves(world, "sha256:1"))


async def serves(world: World, image_id: str) -> bool:
    return world.serving() == image_id


async def test_an_app_that_stops_answering_is_said_to_be_unhealthy() -> None:
    world = World()
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1))
    world.engine.behaviours["sha256:1"] = Behaviour(status=503)
    for _ in range(40):
        await agent.look()
        world.now += 1
    stands, reason = await condition(agent, world)
    assert (stands, reason) == (Condition.UNHEALTHY, "it does not answer as it should: HTTP 503")
    assert world.engine.calls.count("start rt-u-7-5-r1") == 1


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("how", ["crash", "illness"])
async def test_what_fails_in_its_window_gives_way_to_the_old_one(strategy: Strategy, how: str) -> None:
    world = World(watch_seconds=10)
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1, wishes=Wishes(strategy=strategy)))
    world.now += 11
    await agent.look()
    await agent.rollout.deploy(order(V2, 2, wishes=Wishes(strategy=strategy)))
    assert world.serving() == "sha256:2"
    assert (await condition(agent, world))[0] is Condition.WATCHED
    assert world.engine.containers["rt-u-7-5-r1"].running == (strategy is Strategy.START_FIRST)
    if how == "crash":
        crash(world, "rt-u-7-5-r2", code=4)
    else:
        world.engine.behaviours["sha256:2"] = Behaviour(status=500)
    for _ in range(4):
        await agent.look()
        world.now += 1
    assert world.serving() == "sha256:1"
    setback = agent.ledger.get("5").setback
    assert setback is not None
    assert (setback.fence, setback.back_to) == (2, 1)
    assert ("exited with code 4" if how == "crash" else "HTTP 500") in setback.reason
    assert (await condition(agent, world))[0] in (Condition.RUNNING, Condition.DEPLOYING)


async def test_a_former_one_that_had_crashed_is_started_for_its_return() -> None:
    world = World(watch_seconds=10)
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1))
    crash(world, "rt-u-7-5-r1")
    await agent.rollout.deploy(order(V2, 2))
    crash(world, "rt-u-7-5-r2")
    await agent.look()
    assert world.serving() == "sha256:1"


async def test_what_lives_through_its_window_lets_the_old_one_go() -> None:
    world = World(watch_seconds=10)
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        await agent.rollout.deploy(order(V2, 2))
        assert sorted(world.engine.containers) == ["rt-u-7-5-r1", "rt-u-7-5-r2"]
        world.now += 10

        async def alone() -> bool:
            return list(world.engine.containers) == ["rt-u-7-5-r2"] and agent.ledger.get("5").progress is None

        await eventually(alone)


async def test_the_first_version_has_nothing_to_go_back_to() -> None:
    world = World(watch_seconds=10)
    agent = await recovered(world)
    await agent.rollout.deploy(order(V1, 1))
    crash(world, "rt-u-7-5-r1")
    await agent.look()
    await agent.look()
    setback = agent.ledger.get("5").setback
    assert setback is not None
    assert (setback.fence, setback.back_to) == (1, None)
    assert world.serving() == "sha256:1"


@pytest.mark.parametrize("behaviour", [Behaviour(exit_code=1), Behaviour(status=500)], ids=["crash", "broken"])
async def test_a_one_writer_app_that_does_not_come_up_gets_its_old_one_back(behaviour: Behaviour) -> None:
    world = World()
    agent = await recovered(world)
    writer = Wishes(strategy=Strategy.STOP_FIRST)
    await agent.rollout.deploy(order(V1, 1, wishes=writer))
    world.engine.behaviours["sha256:2"] = behaviour
    with pytest.raises(DeployFailed):
        await agent.rollout.deploy(order(V2, 2, wishes=writer))
    assert (world.serving(), list(world.engine.containers)) == ("sha256:1", ["rt-u-7-5-r1"])
    assert agent.ledger.get("5").progress is None


async def test_a_way_back_that_the_engine_refused_is_tried_again() -> None:
    world = World()
    agent = await recovered(world)
    writer = Wishes(strategy=Strategy.STOP_FIRST)
    await agent.rollout.deploy(order(V1, 1, wishes=writer))
    world.engine.broken["start"] = "the engine does not answer"
    with pytest.raises(DeployFailed):
        await agent.rollout.deploy(order(V2, 2, wishes=writer))
    assert world.gateway.routes == {"5": None}
    world.engine.broken.clear()
    await agent.look()
    assert (world.serving(), list(world.engine.containers)) == ("sha256:1", ["rt-u-7-5-r1"])


async def test_a_one_writer_app_never_has_two_at_once() -> None:
    world = World(watch_seconds=10)
    async with world.alive() as agent:
        for fence, image in ((1, V1), (2, V2), (3, V1)):
            await agent.rollout.deploy(order(image, fence, wishes=Wishes(strategy=Strategy.STOP_FIRST)))
            assert [name for name, one in world.engine.containers.items() if one.running] == [f"rt-u-7-5-r{fence}"]


async def test_limits_come_from_the_configuration_within_the_nodes() -> None:
    world = World()
    agent = await recovered(world)
    await agent.rollout.deploy(
        order(V1, 1, wishes=Wishes({"HIDDEN_NAME": "hidden value"}, memory_bytes=64 * 1024**2, pids=64))
    )
    spec = world.engine.containers["rt-u-7-5-r1"].spec
    assert (spec.limits.memory_bytes, spec.limits.pids, spec.environment) == (
        64 * 1024**2,
        64,
        {"HIDDEN_NAME": "hidden value"},
    )
    assert "hidden" not in f"{spec}{world.states.states['5']}".lower()
    with pytest.raises(TooMuch, match="memory"):
        await agent.rollout.deploy(order(V1, 2, wishes=replace(Wishes(), memory_bytes=10 * 1024**3)))
