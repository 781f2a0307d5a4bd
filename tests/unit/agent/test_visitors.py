"""What is waited for, and what visitors are told."""

from dataclasses import replace

import pytest

from daemons.agent.domain.apps import AppState, Instance
from daemons.agent.domain.visitors import InFlight, Notice, Patience, notice, worth_waiting
from daemons.agent.services.notices import Notices
from tests.support.agent_world import V1, World, order

_ONE = Instance("rt-u-7-5-r1", "i", "sha256:1", 20001, 3000, 1)


@pytest.mark.parametrize(
    ("left", "waited", "waits"),
    [
        (InFlight(0, 0, 0), 0, False),
        (InFlight(1, 0, 0), 29, True),
        (InFlight(1, 0, 0), 30, False),
        (InFlight(1, 1, 0), 30, True),
        (InFlight(0, 1, 0), 119, True),
        (InFlight(0, 0, 1), 119, True),
        (InFlight(0, 1, 1), 120, False),
        (InFlight(5, 1, 1), 120, False),
    ],
)
def test_each_kind_has_a_time_of_its_own(left: InFlight, waited: float, waits: bool) -> None:
    assert worth_waiting(left, waited, Patience(30, 120)) is waits


def test_a_notice_names_what_is_the_matter() -> None:
    absent = AppState("5")
    assert notice(absent, set()) is None
    assert notice(replace(absent, candidate=_ONE), set()) is Notice.STARTING
    assert notice(replace(absent, current=_ONE), {_ONE.container}) is None
    assert notice(replace(absent, current=_ONE), set()) is Notice.CRASHED
    # A new version that starts beside it does not matter to visitors.
    assert notice(replace(absent, current=_ONE, candidate=_ONE), {_ONE.container}) is None


async def test_the_gateway_is_told_when_it_changes() -> None:
    world = World()
    async with world.alive() as agent:
        notices, runs = Notices(world.gateway, agent.ledger), {"rt-u-7-5-r1"}
        await agent.rollout.deploy(order(V1, 1))
        await notices.look(runs)
        assert world.gateway.notices == {}
        await notices.look(frozenset())
        assert world.gateway.notices == {"5": Notice.CRASHED}
        world.gateway.broken = "the gateway is deaf"
        await notices.look(runs)
        world.gateway.broken = None
        await notices.look(runs)
        assert world.gateway.notices == {}
