"""Which layers go, when, and what stays out of the way of builds."""

import asyncio
from pathlib import Path

import pytest

from daemons.runner.adapters.layer_notes import FileLayerNotes
from daemons.runner.domain.layers import Layer, Use, is_ours, key, removable, told
from daemons.runner.domain.room import Room, RoomLine
from daemons.runner.services.cache import LayerCache
from tests.unit.runner.twins import FakePacer, LayerTally, MemoryLayers, MemoryNotes, turns_until

GB = 1024**3


def named(number: int) -> str:
    """An id of 64 digits, as an engine's."""
    return f"{number:011x}" + "0" * 53


class Lines:
    """A log."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text


class World:
    """A cache whose line is half of a disk of 100 layers."""

    def __init__(self) -> None:
        self.store, self.notes, self.tally = MemoryLayers(), MemoryNotes(), LayerTally()
        self.time = 1000.0
        line = RoomLine(50, GB)
        self.cache = LayerCache(self.store, self.notes, line, self.tally, FakePacer(), lambda: self.time)
        self.count = 0

    async def build(self, app_id: str, layers: int, parent: str = "") -> list[str]:
        """A build that makes so many layers, one upon the other."""
        made = []
        async with self.cache.building(app_id, Lines()) as seen:
            for _ in range(layers):
                self.count += 1
                await seen.write(self.store.made(named(self.count), int(self.time), parent))
                made.append(parent := named(self.count))
        self.time += 10
        return made

    def there(self) -> set[str]:
        return {layer.id for layer in self.store.images}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        (" ---> a5a55a64bbc7", "a5a55a64bbc"),
        ("--> 94cd5612f20", "94cd5612f20"),
        ("--> Using cache 94cd5612f201fe19ad173595004efd410f43062003eb9da395e4e89b8396e7b2", "94cd5612f20"),
        (" ---> Using cache", None),
        (" ---> Running in 7240568f8c68", None),
        ("Removing intermediate container 7240568f8c68", None),
        ("it says ---> a5a55a64bbc7", None),
    ],
)
def test_a_builder_tells_of_a_layer_in_a_line_of_its_own(line: str, layer: str | None) -> None:
    assert told(line) == layer


@pytest.mark.parametrize(
    ("free", "inodes", "words"),
    [
        (500, None, ""),
        (299, None, "299 B of disk are free, less than 300 B"),
        (500, 29, "29 inodes are free, less than 30"),
    ],
)
def test_a_line_is_a_share_of_bytes_and_inodes(free: int, inodes: int | None, words: str) -> None:
    assert RoomLine(30, GB).lacking(Room(free, 1000, inodes, 100)) == words


def test_a_line_is_no_more_than_what_is_enough_and_holds_until_a_fifth_more_is_free() -> None:
    line, disk = RoomLine(30, 60 * GB), 10_000 * GB
    assert not line.lacking(Room(60 * GB, disk))
    assert line.lacking(Room(60 * GB, disk), again=True)
    assert not line.lacking(Room(72 * GB, disk), again=True)
    assert RoomLine(0, GB).lacking(Room(0, disk)) == ""


def test_ours_is_what_came_to_be_after_the_build_that_tells_of_it_began() -> None:
    uses = {key(named(1)): Use("1", 100.5, 200)}
    assert is_ours(Layer(named(1), 100), uses)
    assert not is_ours(Layer(named(1), 99), uses), "made before: a build's program printed its id"
    assert not is_ours(Layer(named(1), 100, named=True), uses)
    assert not is_ours(Layer(named(2), 100), uses)
    assert is_ours(Layer(named(2), 100, own=True), uses)


def test_what_stands_on_a_layer_goes_before_it_and_what_stays_keeps_what_it_stands_on() -> None:
    first, second, third, other, foreign = (named(number) for number in range(1, 6))
    layers = [
        Layer(first, 10),
        Layer(second, 11, first),
        Layer(third, 12, second),
        Layer(other, 13, first),
        Layer(foreign, 9, other),
    ]
    uses = {key(each): Use("1", 5, 5) for each in (first, second, third, other)}
    assert removable(layers, uses) == (third, second)


async def test_old_builds_go_first_and_of_each_app_the_newest_two_stay_while_others_can_go(world: World) -> None:
    slow = [await world.build("slow", 10) for _ in range(2)]
    busy = [await world.build("busy", 10) for _ in range(4)]
    await world.cache.look()
    assert world.there() == {*slow[0], *slow[1], *busy[2], *busy[3]}
    assert world.tally.gone == 20
    for _ in range(2):
        await world.build("third", 20)
        await world.cache.look()
    assert world.tally.free >= 500
    assert not world.there() & {*slow[0], *slow[1]}, "the longest unused"


async def test_a_layer_that_a_later_build_used_is_as_new_as_that_build(world: World) -> None:
    first = await world.build("1", 10)
    for number in range(2, 6):
        await world.build(str(number), 10)
    async with world.cache.building("1", Lines()) as seen:
        for layer in first:
            await seen.write(f" ---> Using cache\n ---> {layer[:12]}\n")
    await world.build("6", 5)
    await world.cache.look()
    assert set(first) <= world.there()
    assert world.tally.gone > 0


async def test_nothing_of_others_goes_however_little_room_there_is(world: World) -> None:
    foreign = [named(number) for number in range(900, 960)]
    for each in foreign:
        world.store.made(each, 1)
    base = world.store.made(named(990), 1, named=True).split()[1]
    async with world.cache.building("1", Lines()) as seen:
        for each in (*foreign, base):
            await seen.write(f" ---> {each[:12]}\n")
    made = await world.build("2", 3, base)
    await world.cache.look()
    assert world.there() == {*foreign, base}
    assert world.store.drops == [made[::-1]]


async def test_nothing_goes_while_a_build_runs(world: World) -> None:
    await world.build("1", 60)
    async with world.cache.building("2", Lines()):
        await world.cache.look()
        assert world.tally.gone == 0
    await world.cache.look()
    assert world.tally.gone > 0


async def test_with_less_than_half_the_line_a_build_waits_until_there_is_room(world: World) -> None:
    log = Lines()

    async def later() -> None:
        async with world.cache.building("3", log):
            pass

    await world.build("1", 40)
    async with asyncio.TaskGroup() as group:
        async with world.cache.building("2", Lines()):
            for number in range(500, 540):
                world.store.made(named(number), 1)
            await world.cache.look()
            waiting = group.create_task(later())
            await turns_until(lambda: "waiting until layers of former builds are removed" in log.text)
        await world.cache.look()
    assert waiting.done() and world.tally.gone == 20, "as little as lets it begin"


async def test_builds_do_not_wait_for_what_cannot_be_removed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(500, 590):
        world.store.made(named(number), 1)
    await world.cache.look()
    await world.build("1", 0)
    assert "no layers of former builds are left to remove" in caplog.text
    world.store.down = True
    await world.cache.look()
    await world.cache.look()
    await world.build("1", 0)
    assert caplog.text.count("layers of former builds stay, however full the disk gets") == 1


async def test_a_program_that_prints_ids_without_end_is_not_believed(world: World) -> None:
    async with world.cache.building("1", Lines()) as seen:
        await seen.write(world.store.made(named(1), 1000))
        for number in range(10_000, 15_000):
            await seen.write(f" ---> {named(number)[:12]}\n")
        await seen.write(world.store.made(named(2), 1000))
    assert {key(named(1)), key(named(2))} <= set(world.notes.uses)
    assert len(world.notes.uses) < 1100


async def test_layers_are_bounded_in_number_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemons.runner.services.cache._MOST_LAYERS", 30)
    builds = [await world.build("1", 8) for _ in range(4)]
    await world.cache.look()
    assert world.tally.gone > 0
    assert {*builds[2], *builds[3]} <= world.there()


async def test_the_cache_looks_at_once_when_a_build_ended(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(world.cache.run())
        await world.build("1", 60)
        await turns_until(lambda: world.tally.gone > 0)
        running.cancel()


def test_notes_outlast_the_process_and_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    notes = FileLayerNotes(path)
    uses = {key(named(number)): Use("20001", 1.5, 2.5) for number in range(3)}
    asyncio.run(notes.add(uses))
    asyncio.run(notes.add({key(named(1)): Use("20002", 1.5, 9)}))
    with path.open("ab") as file:
        file.write(b'["0000')
    again = FileLayerNotes(path)
    assert again.uses == uses | {key(named(1)): Use("20002", 1.5, 9)}
    asyncio.run(again.keep([key(named(1))]))
    assert FileLayerNotes(path).uses == {key(named(1)): Use("20002", 1.5, 9)}
    assert len(path.read_bytes().splitlines()) == 1


def test_the_file_of_notes_stays_small(tmp_path: Path) -> None:
    notes = FileLayerNotes(tmp_path / "notes")

    async def builds() -> None:
        for number in range(60):
            await notes.add({key(named(layer)): Use("1", 1, number) for layer in range(100)})

    asyncio.run(builds())
    assert len((tmp_path / "notes").read_bytes().splitlines()) < 5200
    assert FileLayerNotes(tmp_path / "notes").uses == notes.uses
