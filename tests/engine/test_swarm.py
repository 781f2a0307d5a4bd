"""What a swarm does beyond one machine's engine: several tasks of an app, and machines that are closed."""

import asyncio

import pytest

from daemons.agent.adapters.networks import OverlayNetworks
from daemons.agent.adapters.swarm import SwarmEngine
from daemons.kit.engine.errors import EngineError
from tests.engine.test_lifecycle import get, served
from tests.support.engines import Bench

pytestmark = pytest.mark.real
ENGINES = ("swarm",)


async def test_the_tasks_of_an_app_have_addresses_of_their_own(bench: Bench) -> None:
    engine = bench.engine
    assert isinstance(engine, SwarmEngine)
    assert isinstance(engine._networks, OverlayNetworks)
    several = SwarmEngine(
        engine._docker, engine._node, engine._networks, constraints=["node.role==manager"], replicas=2
    )
    spec = await bench.spec("1")
    await several.create(spec)
    await several.start(spec.name)
    endpoints = await several.endpoints(spec.name)
    assert len({(one.address, one.port) for one in endpoints}) == 2
    for one in endpoints:
        await served(one.port)
        assert await asyncio.to_thread(get, one.port, one.address) == 404


async def test_the_last_machine_is_not_drained(bench: Bench) -> None:
    assert isinstance(bench.engine, SwarmEngine)
    (machine,) = await bench.engine._docker.nodes.list()
    with pytest.raises(EngineError, match="no other machine"):
        await bench.engine.drain(machine["ID"])
    (after,) = await bench.engine._docker.nodes.list()
    assert after["Spec"]["Availability"] == "active"


async def test_a_machine_that_no_constraint_allows_is_not_used(bench: Bench) -> None:
    engine = bench.engine
    assert isinstance(engine, SwarmEngine)
    assert isinstance(engine._networks, OverlayNetworks)
    nowhere = SwarmEngine(engine._docker, engine._node, engine._networks, constraints=["node.labels.apps==never"])
    spec = await bench.spec("1")
    await nowhere.create(spec)
    with pytest.raises(EngineError, match="no suitable node"):
        await nowhere.start(spec.name)
