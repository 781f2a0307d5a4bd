"""Pushes are told until they were taken, each once, whoever dies in between."""

import asyncio
import random
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest

from daemons.git.adapters.journals import FolderJournals
from daemons.git.domain.pushes import NOTHING, Journal, Push, noted, pause_seconds, told
from daemons.git.ports import Untold
from daemons.git.services.pushes import Pushes
from daemons.kit.tasks import first, running
from tests.support.eventually import eventually

NAME, OTHER = "funai/u7-app20001", "funai/u7-app20002"


def _ids() -> "count[int]":
    return count(1)


def _next(ids: "count[int]") -> str:
    return f"id-{next(ids)}"


def test_what_differs_is_noted_once() -> None:
    ids = _ids()
    begun = Journal({"main": "a", "old": "b"})
    after = noted(begun, {"main": "c", "new": "d"}, lambda: _next(ids))
    assert after.branches == {"main": "c", "new": "d"}
    assert [(push.branch, push.before, push.after) for push in after.pushes] == [
        ("main", "a", "c"),
        ("new", NOTHING, "d"),
        ("old", "b", NOTHING),
    ]
    assert noted(after, after.branches, lambda: _next(ids)) == after
    assert told(after).pushes == after.pushes[1:]


def test_of_pushes_that_nobody_took_the_newest_stands_for_all_but_the_one_on_its_way() -> None:
    ids, journal = _ids(), Journal({"main": "a"})
    for commit in ("b", "c", "d", "e"):
        journal = noted(journal, {"main": commit}, lambda: _next(ids))
    assert journal.pushes == (Push("id-1", "main", "a", "b"), Push("id-4", "main", "b", "e"))
    assert [pause_seconds(number) for number in (1, 2, 7, 5_000)] == [1.0, 2.0, 60.0, 60.0]


class Hosted:
    """Repositories, and whoever is told of pushes to them."""

    def __init__(self) -> None:
        self.branches_of: dict[str, dict[str, str]] = {NAME: {}, OTHER: {}}
        self.heard: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.away = False
        self.still = False
        self.entered = asyncio.Event()

    async def branches(self, repository: str) -> Mapping[str, str] | None:
        """Of one of them."""
        found = self.branches_of.get(repository)
        return None if found is None else dict(found)

    async def tell(self, repository: str, push: Push) -> None:
        """Taken, unless it is away; `still`: nobody answers, though it was taken."""
        if self.away:
            raise Untold("nobody is there")
        self.ids.append(push.id)
        self.heard.append((repository, push.branch, push.after))
        self.entered.set()
        if self.still:
            await asyncio.Event().wait()

    def push(self, repository: str, branch: str, commit: str) -> None:
        """Somebody pushes."""
        self.branches_of[repository][branch] = commit


class World:
    """The service over journals on the disk."""

    def __init__(self, folder: Path) -> None:
        self.hosted, self.journals = Hosted(), FolderJournals(folder)
        self._numbers = count(1)

    def service(self) -> Pushes:
        """A process of the git server."""
        return Pushes(self.journals, self.hosted, self.hosted, lambda: f"id-{next(self._numbers)}")

    async def push(self, service: Pushes, branch: str, commit: str, repository: str = NAME) -> None:
        """As over SSH."""
        await service.expect(repository)
        self.hosted.push(repository, branch, commit)
        service.look_at(repository)

    async def quiet(self) -> bool:
        """Whether all that happened was told."""
        for repository, branches in self.hosted.branches_of.items():
            journal = await self.journals.load(repository)
            if journal is not None and (journal.pushes or journal.branches != branches):
                return False
        return True


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_what_is_pushed_is_told_and_what_was_there_before_is_not(world: World) -> None:
    world.hosted.push(NAME, "main", "a")
    service = world.service()
    async with running(service.run):
        await world.push(service, "main", "b")
        await world.push(service, "main", "a", OTHER)
        await eventually(world.quiet)
        await eventually(lambda: _heard(world, 2))
    assert sorted(world.hosted.heard) == [(NAME, "main", "b"), (OTHER, "main", "a")]


async def _heard(world: World, number: int) -> bool:
    return len(world.hosted.heard) >= number


async def test_what_nobody_takes_is_told_again_until_somebody_does(world: World) -> None:
    service = world.service()
    world.hosted.away = True
    async with running(service.run):
        await world.push(service, "main", "a")

        async def noted_down() -> bool:
            journal = await world.journals.load(NAME)
            return journal is not None and len(journal.pushes) == 1

        await eventually(noted_down)
    world.hosted.away = False
    async with running(world.service().run):
        await eventually(world.quiet)
    assert world.hosted.heard == [(NAME, "main", "a")]


async def test_a_push_that_nobody_noted_is_found_at_the_next_start(world: World) -> None:
    service = world.service()
    await service.expect(NAME)
    world.hosted.push(NAME, "main", "a")
    async with running(world.service().run):
        await eventually(world.quiet)
    assert world.hosted.heard == [(NAME, "main", "a")]


async def test_a_push_whose_answer_was_lost_is_told_with_the_same_id(world: World) -> None:
    service = world.service()
    world.hosted.still = True
    async with running(service.run):
        await world.push(service, "main", "a")
        await world.hosted.entered.wait()
    world.hosted.still = False
    async with running(world.service().run):
        await eventually(world.quiet)
    assert world.hosted.heard == [(NAME, "main", "a")] * 2 and len(set(world.hosted.ids)) == 1


async def test_a_repository_that_is_gone_has_nothing_to_tell(world: World) -> None:
    service = world.service()
    world.hosted.away = True
    await world.push(service, "main", "a")
    del world.hosted.branches_of[NAME]
    async with running(world.service().run):

        async def forgotten() -> bool:
            return await world.journals.every() == []

        await eventually(forgotten)


async def test_a_journal_that_cannot_be_understood_stops_nobody(world: World, tmp_path: Path) -> None:
    service = world.service()
    await service.expect(NAME)
    [place] = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    await asyncio.to_thread(place.write_bytes, b"{")
    service = world.service()
    async with running(service.run):
        await world.push(service, "main", "a")
        await eventually(world.quiet)
        await eventually(lambda: _heard(world, 1))


@pytest.mark.parametrize("seed", range(8))
async def test_the_last_commit_of_every_branch_is_told_once_whoever_dies(world: World, seed: int) -> None:
    chance = random.Random(seed)
    for round_ in range(6):
        service = world.service()
        world.hosted.away, world.hosted.still = chance.random() < 0.4, chance.random() < 0.3
        async with running(service.run):
            for number in range(chance.randrange(4)):
                branch, repository = chance.choice(["main", "live"]), chance.choice([NAME, OTHER])
                await world.push(service, branch, f"{round_}-{number}", repository)
            await first(asyncio.sleep(chance.random() / 30, result=None))
    world.hosted.away = world.hosted.still = False
    async with running(world.service().run):
        await eventually(world.quiet)
    for repository, branches in world.hosted.branches_of.items():
        for branch, commit in branches.items():
            said = [heard[2] for heard in world.hosted.heard if heard[:2] == (repository, branch)]
            assert said[-1] == commit
    by_id: dict[str, set[tuple[str, str, str]]] = {}
    for each_id, heard in zip(world.hosted.ids, world.hosted.heard, strict=True):
        by_id.setdefault(each_id, set()).add(heard)
    assert all(len(each) == 1 for each in by_id.values()), "an id names one push"
    assert len(by_id) == len(set(world.hosted.heard)), "a push has one id"
