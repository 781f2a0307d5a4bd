"""Heartbeats: spread, caught up after silence, and what they say of the node."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.agent.domain.report import NodeReport
from daemons.agent.ports import GatewayDown
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.heartbeat import Heartbeat, pause
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.selfview import SelfView
from daemons.kit.clock import SystemClock
from daemons.kit.engine.errors import EngineError
from daemons.kit.tasks import running
from tests.support.agent_twins import SilentMeter, TwinControlPlane, TwinDisk, TwinEngine, TwinStates, TwinStore
from tests.support.agent_world import MARKS
from tests.support.eventually import eventually


@settings(deadline=None)
@given(st.floats(0.1, 3600), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_beats_are_spread_and_a_silent_deploy_is_tried_within_seconds(
    interval: float, failures: int, chance: float
) -> None:
    seconds = pause(interval, failures, chance)
    if failures == 0:
        assert 0.9 * interval <= seconds <= 1.1 * interval
    else:
        assert 0 < seconds <= min(5.0, interval)


def test_nodes_that_lost_deploy_together_come_back_apart() -> None:
    """A thousand nodes in a window of some seconds, no tenth of it with more than a fifth of them."""
    moments = [pause(10, 20, number / 1000) for number in range(1000)]
    width = (max(moments) - min(moments)) / 10
    assert width > 0.3
    counts = [
        sum(start * width <= each - min(moments) < (start + 1) * width for each in moments) for start in range(10)
    ]
    assert max(counts) < 200


class Machine:
    def load1(self) -> float | None:
        return 0.5

    def cpus(self) -> int | None:
        return 4


def view(engine: TwinEngine, disk: TwinDisk, parts: dict[str, Callable[[], Awaitable[str]]]) -> SelfView:
    meter = SilentMeter()
    watch = DiskWatch(disk, MARKS, meter)
    collector = Collector(
        engine, TwinStore(engine), Ledger(TwinStates()), TwinControlPlane(), watch, meter, SystemClock()
    )
    return SelfView(engine, watch, collector, Machine(), parts, lambda _: ())


async def engine_says() -> str:
    return "26.1"


async def gateway_fails() -> str:
    raise GatewayDown("no gateway listens")


async def test_a_node_tells_what_it_knows_and_leaves_out_the_rest() -> None:
    engine, disk = TwinEngine(), TwinDisk()
    found = await view(engine, disk, {"engine": engine_says, "gateway": gateway_fails}).report()
    assert found.disk is not None and found.disk.free_pct == 50.0
    assert (found.running, found.containers, found.load1, found.cpus) == (0, 0, 0.5, 4)
    assert (dict(found.versions), dict(found.problems)) == ({"engine": "26.1"}, {"gateway": "no gateway listens"})
    disk.broken, engine.broken = "gone", {"own": "gone"}
    lost = await view(engine, disk, {}).report()
    assert (lost.disk, lost.level, lost.running, lost.containers) == (None, None, None, None)


async def test_a_node_that_was_cut_off_is_heard_of_soon_and_told_things_at_once() -> None:
    plane = TwinControlPlane(silent=True)
    measured = 0

    async def report() -> NodeReport:
        nonlocal measured
        measured += 1
        return NodeReport()

    heartbeat = Heartbeat(plane, report, 3600)

    async def tried_again() -> bool:
        return measured >= 2

    async def heard() -> bool:
        return bool(plane.beats)

    async def heard_twice() -> bool:
        return len(plane.beats) == 2

    async with running(heartbeat.run):
        await eventually(tried_again)
        plane.silent = False
        await eventually(heard)
        heartbeat.soon()
        await eventually(heard_twice)


async def test_an_engine_that_does_not_answer_holds_up_no_heartbeat() -> None:
    async def hangs() -> str:
        raise EngineError("the engine hangs")

    plane = TwinControlPlane()
    found = view(TwinEngine(), TwinDisk(), {"engine": hangs})
    await asyncio.wait_for(Heartbeat(plane, found.report, 10).beat(), 5)
    assert dict(plane.beats[0].problems) == {"engine": "the engine hangs"}
