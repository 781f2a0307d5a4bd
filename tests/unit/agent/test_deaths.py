"""An agent over twins dies before every single call that a rollout makes, its recovery and its clean-up included.

At each of those moments a visitor is served or waits, and no two writers run; the next life brings the app to rest.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.configuration import Restart
from daemons.agent.domain.steps import Strategy
from daemons.agent.services.rollout import DeployFailed, Wishes
from daemons.kit.tasks import running
from tests.support.agent_twins import Behaviour, TwinControlPlane, TwinEngine, TwinGateway, TwinStates
from tests.support.agent_world import V1, V2, World, order
from tests.support.eventually import eventually


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class Fate:
    """Counts calls to the outside; the one after `last` and all later ones are never made."""

    last: int | None = None
    made: int = 0
    check: Callable[[], None] = lambda: None

    def call(self) -> None:
        """One more."""
        self.check()
        if self.last is not None and self.made >= self.last:
            raise Killed
        self.made += 1


@dataclass
class MortalEngine(TwinEngine):
    fate: Fate = field(default_factory=Fate)

    def _called(self, method: str, subject: str = "") -> None:
        self.fate.call()
        super()._called(method, subject)


@dataclass
class MortalGateway(TwinGateway):
    fate: Fate = field(default_factory=Fate)

    def _check(self) -> None:
        self.fate.call()
        super()._check()

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        self.fate.call()
        return await super().reconcile(routes)


@dataclass
class MortalStates(TwinStates):
    fate: Fate = field(default_factory=Fate)

    async def save(self, state: AppState) -> None:
        self.fate.call()
        await super().save(state)


@dataclass
class MortalPlane(TwinControlPlane):
    fate: Fate = field(default_factory=Fate)

    async def confirm(self, app_id: str, fence: int) -> str | None:
        self.fate.call()
        return await super().confirm(app_id, fence)


class Universe:
    """A world whose agents may die, with version 1 at rest in it."""

    def __init__(self, strategy: Strategy) -> None:
        self.fate = fate = Fate()
        self.engine = MortalEngine(local={V1: "sha256:1", V2: "sha256:2"}, fate=fate)
        self.gateway, self.states = MortalGateway(fate=fate), MortalStates(fate=fate)
        plane = MortalPlane(fate=fate)
        self.world = World(self.engine, self.gateway, self.states, plane, drain_seconds=0, watch_seconds=5)
        self.wishes = Wishes(strategy=strategy, restart=Restart.ALWAYS)
        self.one_writer = strategy is Strategy.STOP_FIRST

    async def begin(self) -> None:
        """Version 1 goes live; from then on somebody visits it all the time."""
        await self.live(V1, 1)
        self.fate.check = self.visited

    def visited(self) -> None:
        """What a visitor meets right now."""
        waits = self.gateway.routes.get("5", 0) is None
        assert self.world.serving() is not None or (waits and self.one_writer), self.engine.calls[-5:]
        running = [name for name, one in self.engine.containers.items() if one.running]
        assert len(running) <= (1 if self.one_writer else 2), running

    async def live(self, image: str | None, fence: int) -> None:
        """One life of an agent: it recovers, deploys if it is asked to, and brings the app to rest."""
        agent = self.world.agent()
        await agent.recovery.recover()
        async with running(agent.retirement.run):
            if image is not None:
                with contextlib.suppress(DeployFailed):
                    await agent.rollout.deploy(order(image, fence, wishes=self.wishes))

            async def at_rest() -> bool:
                self.world.now += 10
                await agent.look()
                return self.states.states["5"].progress is None and len(self.engine.containers) == 1

            # Nothing but twins of this process: what is to come comes with the next turns of the loop.
            await eventually(at_rest, pause=0.0005)


def only_deaths(error: BaseException) -> bool:
    """Whether nothing but the death ended a life."""
    if isinstance(error, BaseExceptionGroup):
        return all(only_deaths(inner) for inner in error.exceptions)
    return isinstance(error, Killed)


async def dies(universe: Universe, after: int, image: str | None) -> bool:
    """Whether the agent died in this life, `after` so many calls."""
    universe.fate.made, universe.fate.last = 0, after
    try:
        await universe.live(image, 2)
    except BaseException as error:
        if not only_deaths(error):
            raise
        return True
    finally:
        universe.fate.last = None
    return False


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("works", [True, False], ids=["works", "breaks"])
async def test_whenever_it_dies_somebody_serves_and_nothing_is_left(strategy: Strategy, works: bool) -> None:
    served = set()
    for calls in range(200):
        universe = Universe(strategy)
        await universe.begin()
        if not works:
            universe.engine.behaviours["sha256:2"] = Behaviour(exit_code=3)
        died = await dies(universe, calls, V2)
        # The second life dies as well, half as far; the third brings the app to rest.
        if died:
            await dies(universe, calls // 2, None)
        await universe.live(None, 0)
        served.add(universe.world.serving())
        if not died:
            break
    else:
        pytest.fail("the rollout never came to its end")
    assert calls >= 15
    assert served == ({"sha256:1", "sha256:2"} if works else {"sha256:1"})


async def test_a_window_that_fails_is_survived_as_well() -> None:
    for strategy in Strategy:
        for calls in range(60):
            universe = Universe(strategy)
            await universe.begin()
            agent = universe.world.agent()
            await agent.recovery.recover()
            await agent.rollout.deploy(order(V2, 2, wishes=universe.wishes))
            universe.fate.check = lambda: None
            container = universe.engine.containers["rt-u-7-5-r2"]
            container.running, container.ended = False, True
            universe.engine.behaviours["sha256:2"] = Behaviour(exit_code=3)
            died = await dies(universe, calls, None)
            universe.fate.check = universe.visited if universe.world.serving() else lambda: None
            await universe.live(None, 0)
            assert universe.world.serving() == "sha256:1", (strategy, calls)
            assert universe.states.states["5"].setback is not None
            if not died:
                break
        assert calls > 5
