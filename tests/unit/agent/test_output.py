"""Places in output, and following an app through its redeployments."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from daemons.agent.domain.apps import AppState, Instance, Setback
from daemons.agent.domain.configuration import RunConfig
from daemons.agent.domain.output import (
    Cursor,
    NotOutput,
    Piece,
    Pieces,
    Place,
    Telling,
    attempt_of,
    engine_time,
    run_of,
)
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.output import AppOutput
from daemons.kit.seats import NoSeat, Seats
from protocol.running import AppLogEvent, AppLogKind, AppOutputQuery, OutputStream
from tests.support.agent_twins import TwinStates
from tests.support.output_twins import TwinOutputs

_T = 1_767_323_045_123_456_789
_OUT, _ERR = OutputStream.STDOUT, OutputStream.STDERR
_R1, _R2 = "rt-u-7-5-r1", "rt-u-7-5-r2"
FOLLOW = AppOutputQuery(user_id="7", app_id="5", follow=True)


def raw(kind: int, text: bytes) -> bytes:
    body = b"2026-01-02T03:04:05.123456789Z " + text
    return bytes([kind, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


def test_pieces_are_put_together_wherever_they_were_cut() -> None:
    whole = raw(1, b"a\n") + raw(2, "é\n".encode()) + raw(1, b"")
    for size in (1, 7, 39, len(whole)):
        reader = Pieces()
        found = [piece for at in range(0, len(whole), size) for piece in reader.feed(whole[at : at + size])]
        assert found == [Piece(_OUT, _T, b"a\n"), Piece(_ERR, _T, "é\n".encode()), Piece(_OUT, _T, b"")]


@pytest.mark.parametrize("wrong", [raw(3, b"x"), b"\1\0\0\0\xff\0\0\0", b"\1\0\0\0\0\0\0\4abcd"])
def test_what_is_no_output_is_refused(wrong: bytes) -> None:
    with pytest.raises(NotOutput):
        Pieces().feed(wrong)


def test_times_go_to_the_engine_whole() -> None:
    assert engine_time(_T) == "1767323045.123456789"
    assert engine_time(5) == "0.000000005"


def test_a_cursor_reads_as_it_was_written() -> None:
    assert Cursor.read(str(Cursor("r12.2", _T, 3))) == Cursor("r12.2", _T, 3)
    for wrong in ("", "r1", "r1:2", "r1:2:-1", "x1:2:3", "r1:2:3 ", "r1:2:3:4"):
        with pytest.raises(ValueError, match="cursor"):
            Cursor.read(wrong)


def _pieces(*milliseconds: float) -> list[Piece]:
    return [Piece(_OUT, _T + int(at * 1e6), str(number).encode()) for number, at in enumerate(milliseconds)]


@pytest.mark.parametrize(
    "times",
    [
        (0, 0, 0, 0),
        (0, 10, 20, 30, 60, 61, 200),
        (0, 5, 3, 4, 100, 95, 99, 300),
        tuple(each / 10 for each in range(2000)),
    ],
    ids=["one long line", "steady", "overtaken", "flood"],
)
def test_every_place_leads_back_to_itself(times: tuple[float, ...]) -> None:
    everything = _pieces(*times)
    for cut in range(1, len(everything), max(1, len(everything) // 50)):
        place = Place("r1")
        assert list(place.take(everything[:cut])) == everything[:cut]
        later = place.again()
        assert list(later.take(each for each in everything if each.stamp >= later.since)) == everything[cut:]


def test_what_was_rotated_away_is_not_skipped_twice() -> None:
    place = Place("r1")
    place.take(_pieces(0, 1, 2, 3))
    later = place.again()
    fresh = [Piece(_OUT, _T + 10**9, b"new")]
    assert list(later.take(fresh)) == fresh


def test_neighbours_are_told_together_and_characters_are_mended() -> None:
    word = "é".encode()
    pieces = [Piece(_OUT, _T, word[:1]), Piece(_OUT, _T, word[1:]), Piece(_ERR, _T, b"\xff\r"), Piece(_OUT, _T, b"z")]
    events = Telling(_R1).events(pieces, Cursor("r1", _T, 4))
    assert [(event.stream, event.text) for event in events] == [(_OUT, "é"), (_ERR, "\ufffd\r"), (_OUT, "z")]
    assert [event.cursor for event in events] == [None, None, f"r1:{_T}:4"]
    assert events[0].at == _T // 10**6


async def test_seats_are_bounded_in_all_and_each() -> None:
    seats = Seats("log readers", 3, 2)
    with seats.take("a"), seats.take("a"):
        with pytest.raises(NoSeat, match="2 log readers of a"), seats.take("a"):
            pass
        with seats.take("b"), pytest.raises(NoSeat, match="3 log readers already"), seats.take("c"):
            pass
    assert seats.taken == 0


def instance(container: str, secrets: tuple[str, ...] = ()) -> Instance:
    config = RunConfig(secrets=secrets)
    return Instance(container, "image", "sha256:1", 20001, 3000, attempt_of(run_of(container)), config)


class World:
    """An app with a container."""

    def __init__(self) -> None:
        self.outputs = TwinOutputs()
        self.ledger = Ledger(TwinStates())
        self.service = AppOutput(self.outputs, self.ledger, look_seconds=0.01)

    async def begin(self) -> None:
        await self.ledger.load()
        await self.serve(_R1)

    async def serve(self, container: str | None, *secrets: str) -> None:
        current = instance(container, secrets) if container else None

        def step(state: AppState) -> AppState:
            return replace(state, user_id="7", current=current)

        await self.ledger.change("5", step)

    async def sent_back(self, container: str, setback: Setback) -> None:
        def step(state: AppState) -> AppState:
            return replace(state, current=instance(container), setback=setback)

        await self.ledger.change("5", step)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.begin()
    return world


async def some(world: World, asked: AppOutputQuery, most: int = 100) -> list[AppLogEvent]:
    """The next events, silence left out."""
    found: list[AppLogEvent] = []
    async with asyncio.timeout(60), aclosing(world.service.read(asked)) as events:
        async for event in events:
            if event is not None:
                found.append(event)
            if len(found) == most:
                break
    return found


async def test_a_log_is_read_to_its_end(world: World) -> None:
    await world.outputs.write(_R1, "a\n", "b\n", "c\n")
    head, output = await some(world, AppOutputQuery(user_id="7", app_id="5", tail=2))
    assert (head.kind, head.container, head.text) == (AppLogKind.CONTAINER, _R1, "")
    assert (output.kind, output.text, output.stream) == (AppLogKind.OUTPUT, "b\nc\n", _OUT)
    await world.outputs.write(_R1, "d\n")
    _, rest = await some(world, AppOutputQuery(user_id="7", app_id="5", cursor=output.cursor))
    assert rest.text == "d\n"


async def test_a_follower_goes_on_to_the_next_container_from_its_beginning(world: World) -> None:
    await world.outputs.write(_R1, "a\n")

    found: list[AppLogEvent] = []
    async with asyncio.timeout(60), aclosing(world.service.read(FOLLOW)) as events:
        async for event in events:
            found += [event] if event else []
            if len(found) == 2 and event:
                await world.outputs.write(_R2, "hello\n")
                await world.outputs.write(_R1, "bye\n")
                await world.serve(_R2)
            if found[-1].text == "hello\n":
                break
    assert [each.text for each in found if each.container == _R2] == ["the app was deployed anew", "hello\n"]
    assert "".join(each.text for each in found if each.container == _R1) == "a\nbye\n"


async def test_a_cursor_of_an_earlier_container_says_that_output_may_be_missing(world: World) -> None:
    await world.outputs.write(_R1, "a\n")
    _, output = await some(world, AppOutputQuery(user_id="7", app_id="5"))
    await world.outputs.write(_R2, "b\n")
    await world.serve(_R2)
    head, later = await some(world, AppOutputQuery(user_id="7", app_id="5", cursor=output.cursor, tail=0))
    assert "may be missing" in head.text and later.text == "b\n"


async def test_a_container_that_starts_again_is_followed_on(world: World) -> None:
    await world.outputs.write(_R1, "a\n")
    await world.outputs.stop(_R1)

    found: list[AppLogEvent] = []
    async with asyncio.timeout(60), aclosing(world.service.read(FOLLOW)) as events:
        async for event in events:
            found += [event] if event else []
            if len(found) == 2 and event is None and world.outputs.opened > 1:
                await world.outputs.write(_R1, "again\n")
            if len(found) == 3:
                break
    assert [event.text for event in found] == ["", "a\n", "again\n"]


async def test_visitors_who_are_sent_back_take_their_readers_along(world: World) -> None:
    await world.outputs.write(_R1, "a\n")
    found: list[AppLogEvent] = []
    async with asyncio.timeout(60), aclosing(world.service.read(FOLLOW)) as events:
        async for event in events:
            found += [event] if event else []
            if found[-1].text == "a\n" and event:
                await world.outputs.write(_R2, "broken\n")
                await world.serve(_R2)
            if found[-1].text == "broken\n" and event:
                await world.outputs.write(_R1, "back\n")
                await world.sent_back(_R1, Setback(2, "it exited with code 7", 0.0, 1))
            if found[-1].text == "back\n":
                break
    failed = "visitors were sent back to it, because the newer one failed: it exited with code 7"
    assert [event.text for event in found] == ["", "a\n", "the app was deployed anew", "broken\n", failed, "back\n"]


async def test_a_cursor_of_a_version_that_failed_goes_on_in_the_one_before(world: World) -> None:
    await world.outputs.write(_R1, "old\n")
    await world.outputs.write(_R2, "broken\n")
    await world.serve(_R2)
    _, output = await some(world, AppOutputQuery(user_id="7", app_id="5"))
    await world.outputs.write(_R1, "back\n")
    await world.serve(_R1)
    head, later = await some(world, AppOutputQuery(user_id="7", app_id="5", cursor=output.cursor))
    assert "sent back" in head.text and later.text == "back\n"


async def test_secrets_of_the_app_are_not_shown_however_they_are_written(world: World) -> None:
    world.outputs.given[_R2] = {"KEY": "first of a key\nsecond of a key\n", "WORD": "p/ss w0rd!", "MODE": "production"}
    await world.outputs.write(_R2, "in production\n", "> first of a key\n", "second of a key\n", "p%2Fss%20w0rd%21\n")
    await world.outputs.write(_R2, "p/ss w", "0rd! cGA+c3MgdzByZCE\n")
    await world.serve(_R2, "KEY", "WORD", "GONE")
    _, output = await some(world, AppOutputQuery(user_id="7", app_id="5"))
    assert output.text.startswith("in production\n> [secret]")
    assert not any(word in output.text for word in ("of a key", "w0rd"))


async def test_the_end_says_why(world: World) -> None:
    await world.outputs.write(_R1, "a\n")
    world.outputs.broken = "the engine is away"
    assert (await some(world, FOLLOW))[-1].text == "the engine is away"
    world.outputs.broken = None
    await world.serve(None)
    end = (await some(world, FOLLOW))[-1]
    assert end.kind is AppLogKind.END and "no container" in end.text


async def test_nobody_reads_an_app_that_is_not_here_or_not_theirs(world: World) -> None:
    for asked in (AppOutputQuery(user_id="8", app_id="5"), AppOutputQuery(user_id="7", app_id="6")):
        with pytest.raises(UnknownApp):
            world.service.seat(asked)
