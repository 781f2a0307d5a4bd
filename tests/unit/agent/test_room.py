"""Room is kept before an image is pulled, made when there is none, and given back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from daemons.agent.domain.collection import LARGE_LOG_BYTES, Kept
from daemons.agent.domain.disk import Line, Watermarks
from daemons.agent.domain.images import Layer
from daemons.agent.ports import NoRoom
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.room import Room
from daemons.kit.clock import SystemClock
from daemons.kit.engine.errors import EngineError
from daemons.kit.tasks import running
from protocol.nodes import DiskLevel
from tests.support.agent_twins import (
    SilentMeter,
    TwinControlPlane,
    TwinDisk,
    TwinEngine,
    TwinManifests,
    TwinStates,
    TwinStore,
)
from tests.support.eventually import eventually

MARKS = Watermarks(Line(25, 2**40), Line(15, 2**40), Line(7, 2**40))
NEW = "r.example/funai/u7-app9:aaaaaaaaaaaa-1"


def release(app_id: str, number: int) -> str:
    return f"r.example/funai/u7-app{app_id}:aaaaaaaaaaaa-{number}"


@dataclass
class Node:
    """A disk of 100,000 bytes; pulls take twice what the registry says."""

    engine: TwinEngine = field(default_factory=TwinEngine)
    plane: TwinControlPlane = field(default_factory=TwinControlPlane)
    manifests: TwinManifests = field(default_factory=TwinManifests)

    def __post_init__(self) -> None:
        self.disk = TwinDisk(self.engine)
        self.store = TwinStore(self.engine)
        meter = SilentMeter()
        self.ledger = Ledger(TwinStates())
        self.watch = DiskWatch(self.disk, MARKS, meter)
        self.collector = Collector(self.engine, self.store, self.ledger, self.plane, self.watch, meter, SystemClock())
        self.room = Room(self.watch, self.collector, self.manifests, self.store, meter, 2)

    def holds(self, reference: str, size: int) -> None:
        """An image that is here."""
        self.engine.local[reference] = f"sha256:{reference}"
        self.disk.sizes[f"sha256:{reference}"] = size

    def offers(self, reference: str, size: int) -> None:
        """An image of so many packed bytes in the registry."""
        self.manifests.known[reference] = (Layer(size, f"layer of {reference}"),)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    found = Node()
    await found.ledger.load()
    yield found


async def test_what_is_reserved_counts_until_the_pull_has_ended(node: Node) -> None:
    node.offers(NEW, 10_000)
    async with node.room.reserve("9", NEW):
        assert node.watch.reserved_bytes == 20_000
    assert node.watch.reserved_bytes == 0
    with pytest.raises(EngineError, match="what broke"):
        async with node.room.reserve("9", NEW):
            raise EngineError("what broke")
    assert node.watch.reserved_bytes == 0


async def test_layers_that_are_here_take_nothing(node: Node) -> None:
    node.disk.other = 99_000
    node.offers(NEW, 10_000)
    node.holds("others/base:1", 10)
    node.store.layers["sha256:others/base:1"] = (f"layer of {NEW}", "another")
    async with node.room.reserve("9", NEW):
        assert node.watch.reserved_bytes == 0


async def test_any_number_of_pulls_at_once_never_crosses_the_line(node: Node) -> None:
    """Ten that want 20,000 each where 35,000 are: one after the other, none refused, none beside another."""
    node.disk.other = 50_000
    at_once, most = 0, 0

    async def pull(number: int) -> None:
        nonlocal at_once, most
        reference = release("9", number)
        node.offers(reference, 10_000)
        async with node.room.reserve("9", reference):
            at_once += 1
            most = max(most, node.watch.reserved_bytes)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(pull(number) for number in range(10)))
    assert (most, at_once, node.watch.reserved_bytes) == (20_000, 0, 0)


async def test_what_can_never_fit_is_refused_in_words_that_help(node: Node) -> None:
    node.offers(NEW, 30_000)
    with pytest.raises(NoRoom) as refused:
        async with node.room.reserve("9", NEW):
            pytest.fail("it was let in")
    words = str(refused.value)
    assert "no space left on device" in words
    assert "58.6 KiB" in words and "RUNTIME_DISK_NO_PULLS" in words


async def test_room_is_made_for_an_image_and_no_more_than_is_needed(node: Node) -> None:
    node.disk.other = 40_000
    for number in range(1, 5):
        node.holds(release("5", number), 10_000)
    node.plane.kept = {"5": Kept(True, always=frozenset((release("5", 1),)))}
    node.offers(NEW, 5_000)
    async with node.room.reserve("9", NEW):
        assert sorted(node.engine.local) == [release("5", 1), release("5", 4)]
    done = node.collector.last
    assert done is not None
    assert (done.images, done.freed_bytes, done.problem) == (2, 20_000, None)


async def test_the_app_that_needs_room_gives_up_its_own_old_releases_but_not_what_it_wants(node: Node) -> None:
    node.disk.other = 60_000
    for number in range(1, 4):
        node.holds(release("9", number), 10_000)
    node.plane.kept = {"9": Kept(True)}
    node.offers(release("9", 3), 1_000)
    async with node.ledger.hold("9", 5), node.room.reserve("9", release("9", 3)):
        assert sorted(node.engine.local) == [release("9", 3)]


async def test_what_deploy_cannot_be_asked_about_stays(node: Node) -> None:
    node.disk.other = 70_000
    node.holds(release("5", 1), 20_000)
    node.plane.silent = True
    node.offers(NEW, 5_000)
    with pytest.raises(NoRoom):
        async with node.room.reserve("9", NEW):
            pytest.fail("it was let in")
    assert list(node.engine.local) == [release("5", 1)]


async def test_an_app_that_is_being_worked_on_is_left_alone(node: Node) -> None:
    node.disk.other = 75_000
    node.holds(release("5", 1), 20_000)
    node.plane.kept = {"5": Kept(True)}
    async with node.ledger.hold("5", 2):
        await node.collector.collect(lambda _: False)
        assert list(node.engine.local) == [release("5", 1)]
    await node.collector.collect(lambda _: False)
    assert node.engine.local == {}


async def test_an_image_of_unknown_size_is_pulled_alone_and_ended_at_the_last_line(node: Node) -> None:
    node.disk.other = 50_000
    beside = asyncio.Event()

    async def another() -> None:
        node.offers(release("5", 1), 1_000)
        async with node.room.reserve("5", release("5", 1)):
            beside.set()

    async with asyncio.TaskGroup() as group:
        with pytest.raises(NoRoom, match="ended half-way"):
            async with node.room.reserve("9", NEW):
                group.create_task(another())
                await asyncio.sleep(0.05)
                assert not beside.is_set()
                node.disk.other = 95_000
                await node.watch.look()
                await asyncio.sleep(10)
        node.disk.other = 50_000
    assert beside.is_set()


async def test_at_the_last_line_only_what_lives_here_is_deployed_from_here(node: Node) -> None:
    node.disk.other = 95_000
    await node.watch.look()
    node.room.admit("5", release("5", 1), lives_here=True)
    with pytest.raises(NoRoom, match="only stops"):
        node.room.admit("6", release("6", 1), lives_here=False)


async def test_a_disk_that_fills_by_itself_is_tidied_and_told(node: Node) -> None:
    levels: list[DiskLevel] = []
    node.watch.tell(lambda: levels.append(node.watch.level))
    node.holds(release("5", 1), 20_000)
    node.plane.kept = {"5": Kept(True)}
    async with running(node.watch.run, node.collector.run):

        async def looked() -> bool:
            return node.watch.figures is not None

        async def tidied() -> bool:
            return node.collector.last is not None

        await eventually(looked)
        node.disk.other = 66_000
        await eventually(tidied)
    assert node.engine.local == {}
    assert levels[0] is DiskLevel.NO_PULLS and levels[-1] is DiskLevel.OK


async def test_an_operator_has_everything_removed_that_may_go_however_much_room_there_is(node: Node) -> None:
    for number in range(1, 4):
        node.holds(release("5", number), 1_000)
    node.plane.kept = {"5": Kept(True, always=frozenset((release("5", 3),)))}
    async with running(node.watch.run, node.collector.run):
        first, second = await asyncio.gather(node.collector.everything(), node.collector.everything())
        again = await node.collector.everything()
    assert list(node.engine.local) == [release("5", 3)]
    assert first is second and first is not None and again is not None
    assert (first.images, first.freed_bytes, first.problem) == (2, 2_000, None)
    assert (again.images, again.freed_bytes, again.problem) == (0, 0, None)


async def test_oversized_logs_are_emptied_when_nothing_else_is_left(node: Node) -> None:
    node.disk.other = 95_000
    node.store.logs = {"rt-u-7-5-r1": LARGE_LOG_BYTES, "rt-u-7-6-r1": 10}
    await node.collector.collect(lambda _: False)
    assert node.store.logs == {"rt-u-7-5-r1": 0, "rt-u-7-6-r1": 10}
    assert node.collector.last is not None
    assert (node.collector.last.logs, node.collector.last.problem) == (1, "there is nothing more that may be removed")


async def test_a_disk_that_cannot_be_measured_is_no_reason_to_remove_or_to_let_in(node: Node) -> None:
    node.holds(release("5", 1), 10)
    node.disk.broken = "the engine's data folder cannot be measured"
    assert await node.collector.collect(lambda _: False) is None
    with pytest.raises(EngineError, match="measured"):
        async with node.room.reserve("9", NEW):
            pytest.fail("it was let in")
    assert list(node.engine.local) == [release("5", 1)]
