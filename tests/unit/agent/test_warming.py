"""What is fetched for later stands back for everything else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from daemons.agent.ports import NoRoom
from daemons.agent.services.warming import Warming
from daemons.kit.tasks import running
from tests.support.eventually import eventually
from tests.unit.agent.test_room import Node, release


def image(app_id: str, number: int = 1) -> str:
    return f"r.example/funai/u7-app{app_id}@sha256:{number:064x}"


def offered(node: Node, *images: str, size: int = 1_000) -> None:
    for each in images:
        node.engine.registry[each] = f"sha256:{each}"
        node.offers(each, size)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    found = Node()
    await found.ledger.load()
    yield found


def warming(node: Node) -> Warming:
    return Warming(node.engine, node.room, most=2)


async def test_an_image_is_fetched_once_and_then_it_is_here(node: Node) -> None:
    offered(node, image("9"))
    fetcher = warming(node)
    async with running(fetcher.run):
        assert await fetcher.begin("7", "9", image("9")) == (True, None)
        assert await fetcher.begin("7", "9", image("9")) == (True, None)

        async def here() -> bool:
            return await fetcher.begin("7", "9", image("9")) == (False, None)

        await eventually(here)
        assert node.engine.calls.count(f"pull {image('9')}") == 1
        assert node.watch.reserved_bytes == 0


async def test_room_that_would_have_to_be_made_is_not_taken(node: Node) -> None:
    node.holds(release("5", 1), 20_000)
    node.disk.other = 53_000
    offered(node, image("9"))
    with pytest.raises(NoRoom, match="no spare room"):
        async with node.room.spare(image("9")):
            raise AssertionError("there is none")
    with pytest.raises(NoRoom, match="no spare room"):
        async with node.room.spare(image("8")):
            raise AssertionError("nobody knows how large it is")
    assert not [call for call in node.engine.calls if call.startswith("remove")]


async def test_a_deployment_that_needs_the_room_has_it(node: Node) -> None:
    offered(node, image("9"), image("6"), size=7_500)
    node.disk.other = 30_000
    offered(node, image("8"), size=20_000)
    node.engine.gate = asyncio.Event()
    fetcher = warming(node)
    async with running(fetcher.run):
        for app_id in ("9", "6"):
            await fetcher.begin("7", app_id, image(app_id))
            await eventually_pulling(node, image(app_id))
        assert node.watch.reserved_bytes == 30_000
        async with node.room.reserve("8", image("8")):
            assert node.watch.reserved_bytes == 40_000
    assert not [call for call in node.engine.calls if call.startswith("remove")]


async def test_a_deployment_of_the_image_itself_does_not_wait_and_counts_it_once(node: Node) -> None:
    offered(node, image("9"), size=15_000)
    node.disk.other = 20_000
    node.engine.gate = asyncio.Event()
    fetcher = warming(node)
    async with running(fetcher.run):
        await fetcher.begin("7", "9", image("9"))
        await eventually_pulling(node, image("9"))
        async with node.room.reserve("9", image("9")):
            assert node.watch.reserved_bytes == 30_000
            pulling = asyncio.ensure_future(node.engine.pull(image("9")))
            node.engine.gate.set()
            await pulling
    assert node.watch.reserved_bytes == 0


async def test_as_many_as_allowed_one_for_each_app_and_the_newest_counts(node: Node) -> None:
    node.disk.other = 0
    offered(node, *(image(app, number) for app in "12" for number in (1, 2)), image("3"))
    node.engine.gate = asyncio.Event()
    fetcher = warming(node)
    async with running(fetcher.run):
        assert await fetcher.begin("7", "1", image("1")) == (True, None)
        assert await fetcher.begin("7", "1", image("1", 2)) == (True, None)
        assert await fetcher.begin("7", "2", image("2")) == (True, None)
        begun, why = await fetcher.begin("7", "3", image("3"))
        assert not begun and why is not None and "already" in why
        assert not fetcher.end("8", "1") and fetcher.end("7", "1") and not fetcher.end("7", "1")
        assert await fetcher.begin("7", "3", image("3")) == (True, None)
        await eventually_pulling(node, image("3"))
        node.engine.gate.set()

        async def done() -> bool:
            return node.watch.reserved_bytes == 0 and {image("2"), image("3")} <= set(node.engine.local)

        await eventually(done)
    assert image("1", 2) not in node.engine.local


async def eventually_pulling(node: Node, reference: str) -> None:
    async def pulling() -> bool:
        return f"pull {reference}" in node.engine.calls

    await eventually(pulling)
