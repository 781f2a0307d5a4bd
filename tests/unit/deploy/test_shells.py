"""Shells between two lines: what is passed on, what is refused, and what the audit log has of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor, Event, Search
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.running import Host, Running
from daemons.deploy.services.shells import Shells, Way
from daemons.kit.lines import Frame, Line, LineLost
from protocol.running import AppOutputQuery, AppStatsQuery, NodeStats
from protocol.shell import SHELL_WORD, ShellBegun, ShellEnd, ShellEndReason, ShellQuery, ShellStart, ShellView
from tests.support.failing_store import FailingStore

_START = ShellStart(command=("top",)).to_json().decode()
_BEGUN = ShellBegun(container="rt-u-1-20001-r1").to_json().decode()
_OVER = ShellEnd(reason=ShellEndReason.EXITED, exit_code=3)


class OneSide:
    """A line that gives these frames, and then nothing any more or its end; what it was sent is kept."""

    def __init__(self, *frames: Frame, ends: bool = False, takes: bool = True) -> None:
        self._frames = list(frames)
        self._ends = ends
        self._takes = takes
        self.sent: list[Frame] = []

    async def receive(self) -> Frame | None:
        if self._frames:
            return self._frames.pop(0)
        if not self._ends:
            await asyncio.Event().wait()
        return None

    async def send(self, frame: Frame) -> None:
        if not self._takes:
            raise LineLost("it is gone")
        self.sent.append(frame)


class NoAgents:
    """The ways are given."""

    @asynccontextmanager
    async def output(self, base_url: str, asked: AppOutputQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def shell(self, base_url: str, asked: ShellQuery) -> AsyncIterator[Line]:
        raise NotImplementedError
        yield

    async def stats(self, base_url: str, asked: AppStatsQuery) -> NodeStats:
        raise NotImplementedError


class World:
    """One shell between a terminal and an agent."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def serve(self, near: OneSide, far: OneSide, works: int = 100) -> ShellEnd | None:
        """The last word that the terminal is told."""
        store, agents = FailingStore(self.store, works), NoAgents()
        shells = Shells(store, Bells(), Running(store, agents), agents)
        node = RuntimeNode(1, "n1", "http://10.0.0.1:7005", "http://10.0.0.1")
        async with asyncio.timeout(60):
            await shells.serve(Way("20001", Host(node, "1"), far), near, Actor("admin", "10.0.0.9"))
        last = near.sent[-1] if near.sent else None
        word = SHELL_WORD.validate_json(last) if isinstance(last, str) else None
        return word if isinstance(word, ShellEnd) else None

    async def audited(self) -> list[tuple[Event, ShellView]]:
        """Oldest first."""

        async def work(tx: Transaction) -> list[Event]:
            return list(await tx.events_before(2**60, 0, 100, Search(kind="shell")))

        events = await self.store.transact(work)
        return [(event, ShellView.model_validate_json(event.body)) for event in reversed(events)]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_store("sqlite:///:memory:") as store:
        yield World(store)


async def test_frames_are_passed_on_and_counted(world: World) -> None:
    near, far = OneSide(_START, b"ab", b"c"), OneSide(_BEGUN, b"1234", _OVER.to_json().decode())
    assert await world.serve(near, far) == _OVER
    assert near.sent[:2] == [_BEGUN, b"1234"] and far.sent[0] == _START
    (opened, before), (closed, after) = await world.audited()
    assert (opened.change, closed.change, opened.subject) == ("opened", "closed", "20001")
    assert opened.actor == closed.actor == Actor("admin", "10.0.0.9")
    assert (before.id, before.command, before.closed_at) == (after.id, ("top",), None)
    assert (after.container, after.exit_code, after.written_bytes) == ("rt-u-1-20001-r1", 3, 4)
    assert after.closed_at is not None and after.closed_at >= after.opened_at


async def test_without_the_audit_log_none_is_opened(world: World) -> None:
    far = OneSide(_BEGUN)
    end = await world.serve(OneSide(_START), far, works=0)
    assert end is not None and end.reason is ShellEndReason.FAILED and "audit log" in end.text
    assert far.sent == [] and await world.audited() == []


async def test_an_end_that_cannot_be_written_is_told_all_the_same(world: World) -> None:
    far = OneSide(_BEGUN, _OVER.to_json().decode())
    assert await world.serve(OneSide(_START), far, works=1) == _OVER
    assert [event.change for event, _ in await world.audited()] == ["opened"]


@pytest.mark.parametrize(
    ("near", "far", "reason", "words"),
    [
        (OneSide(_START, ends=True), OneSide(_BEGUN), ShellEndReason.LEFT, ""),
        (OneSide(_START), OneSide(_BEGUN, ends=True), ShellEndReason.LOST, "connection to the app's node was lost"),
        (OneSide(_START), OneSide(takes=False), ShellEndReason.LOST, "connection to the app's node was lost"),
        (OneSide(_START), OneSide("{}"), ShellEndReason.FAILED, "not understood"),
        (OneSide(_START, _START), OneSide(_BEGUN), ShellEndReason.FAILED, "not understood"),
    ],
    ids=["left", "agent gone", "agent takes nothing", "agent talks nonsense", "terminal talks nonsense"],
)
async def test_every_other_end_has_its_reason(
    world: World, near: OneSide, far: OneSide, reason: ShellEndReason, words: str
) -> None:
    end = await world.serve(near, far)
    assert end is not None and end.reason is reason and words in end.text
    assert [view.reason for _, view in await world.audited()] == [None, reason]


async def test_a_terminal_that_is_gone_is_noted(world: World) -> None:
    assert await world.serve(OneSide(_START, takes=False), OneSide(_BEGUN, b"x")) is None
    assert (await world.audited())[1][1].reason is ShellEndReason.LEFT
