"""Deletions of apps: whatever fails and whoever dies, in the end nothing is left, and nobody makes it anew."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlApps, SqlKeys, SqlUsers
from daemons.api.domain.access import Subject
from daemons.api.domain.apps import Draft
from daemons.api.domain.deletions import Deletion, attempted, doable
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.pauses import pause_ms
from daemons.api.ports import PlaneUnreachable
from daemons.api.ports.deletions import PartLeft
from daemons.api.services.deletions import Deletions, Holders
from daemons.api.services.keys import KeyRing
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, migrate, open_database
from daemons.kit.tasks import first, running
from protocol.api import AppPart, GitAccessFile
from tests.support.database_time import let_pass
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.eventually import eventually

#: Models are completed with their first use, which reads from the disk.
GitAccessFile(keys=())
FRESH = Deletion(20001, 1, "shop", asked_at=5, settled_at=5, next_at=5)


def test_the_repository_goes_when_nobody_can_make_it_anew() -> None:
    others = (AppPart.ACCESS, AppPart.WORKSPACE, AppPart.DEPLOYMENTS)
    assert doable(FRESH) == others
    assert doable(FRESH, [AppPart.ACCESS]) == others[1:]
    assert doable(FRESH, [AppPart.ACCESS, AppPart.WORKSPACE]) == (AppPart.DEPLOYMENTS, AppPart.REPOSITORY)
    assert doable(FRESH, list(AppPart)) == ()


def test_what_is_left_is_tried_later_and_later() -> None:
    first = attempted(FRESH, {AppPart.WORKSPACE: "away", AppPart.REPOSITORY: "waits"}, now=100)
    assert (first.left, first.attempts, first.next_at) == ((AppPart.WORKSPACE, AppPart.REPOSITORY), 1, 1_100)
    assert first.problem == "workspace: away; repository: waits" and first.done_at is None
    second = attempted(first, {AppPart.REPOSITORY: "slow"}, now=2_000)
    assert (second.left, second.next_at, second.problem) == ((AppPart.REPOSITORY,), 4_000, "repository: slow")
    done = attempted(second, {}, now=9_000)
    assert (done.left, done.next_at, done.done_at, done.problem, done.attempts) == ((), None, 9_000, None, 3)
    assert [pause_ms(number) for number in (1, 2, 9, 10, 5_000)] == [1_000, 2_000, 256_000, 300_000, 300_000]


@dataclass
class Place:
    """Somewhere that something of an app is; `trouble` is how many calls fail, `still` whether none ever ends."""

    name: str
    order: list[str]
    trouble: int = 0
    still: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def remove(self, *_which: object) -> None:
        self.entered.set()
        if self.still:
            await asyncio.Event().wait()
        if self.trouble:
            self.trouble -= 1
            raise PartLeft(f"{self.name} is away")
        self.order.append(self.name)


class World:
    """The service over a real database; the places are this test's."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.order: list[str] = []
        self.workspaces, self.repositories = Place("workspace", self.order), Place("repository", self.order)
        self.plane, self.store = MemoryDeployPlane(SystemClock()), SqlDeletions(database)
        self.apps, self.access_file = SqlApps(database), folder / "access.json"
        hosting = Hosting("git.example.org", 2222)
        keys = KeyRing(SqlKeys(database), self.apps, DiskGitAccess(self.access_file, None), hosting)
        self.holders = Holders(keys, self.workspaces, self.plane, self.repositories, hosting)

    def service(self, hold_ms: int = 60_000) -> Deletions:
        """A process of the API."""
        return Deletions(self.store, self.holders, hold_ms=hold_ms)

    async def app(self) -> int:
        """A new app of user 1."""
        return (await self.apps.create(1, Draft(), None, 1_000)).id

    async def complete(self, app_id: int) -> bool:
        """Whether nothing is left of it."""
        found = await self.store.find(app_id)
        return found is not None and found.done_at is not None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_database("sqlite:///:memory:", QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        await SqlUsers(database).ensure(1, "one")
        yield World(database, tmp_path)


async def test_an_app_is_gone_at_once_and_everywhere(world: World) -> None:
    app_id, service = await world.app(), world.service()
    async with running(service.run):
        done = await service.delete(Subject(1), str(app_id))
        assert (done.left, done.attempts) == ((), 1) and done.done_at is not None
        assert await service.delete(Subject(1), str(app_id)) == done
    assert world.order == ["workspace", "repository"]
    assert await world.apps.every() == [] and await service.unfinished() == []


async def test_what_fails_is_told_and_tried_again(world: World) -> None:
    app_id, service = await world.app(), world.service()
    world.workspaces.trouble = 1
    world.plane.failing = PlaneUnreachable("the control plane is away")
    async with running(service.run):
        begun = await service.delete(Subject(1), str(app_id))
        assert begun.left == (AppPart.WORKSPACE, AppPart.DEPLOYMENTS, AppPart.REPOSITORY)
        assert begun.problem is not None
        for words in ("workspace is away", "the control plane is away", "repository: waits"):
            assert words in begun.problem
        assert [one.app_id for one in await service.unfinished()] == [app_id]
        world.plane.failing = None
        await eventually(lambda: world.complete(app_id))
    assert world.order == ["workspace", "repository"]


async def test_a_deployment_on_its_way_is_looked_for_once_more(world: World) -> None:
    """Its place was taken, its job comes after the first look."""
    app_id, service = await world.app(), world.service()
    app = await world.apps.app(app_id)
    assert app is not None and await world.apps.take_place(app, 3) is not None
    async with running(service.run):
        begun = await service.delete(Subject(1), str(app_id))
    assert begun.left == (AppPart.DEPLOYMENTS,) and begun.settled_at > begun.asked_at
    assert "once more" in (begun.problem or "")


@pytest.mark.parametrize("seed", range(6))
async def test_whoever_dies_the_next_one_goes_on(world: World, seed: int) -> None:
    """Processes are killed in the middle of whatever they do."""
    chance = random.Random(seed)
    app_ids = [await world.app() for _ in range(3)]
    for app_id in app_ids:
        await world.store.begin(1, app_id)
    for _ in range(4):
        place = chance.choice([world.workspaces, world.repositories])
        place.still, place.trouble = True, chance.randrange(2)
        place.entered.clear()
        async with running(world.service(100).run, world.service(100).run):
            await first(place.entered.wait(), asyncio.sleep(chance.random() / 10, result=True))
        place.still = False

    let_pass(world.database, 600)

    async def all_complete() -> bool:
        return all([await world.complete(app_id) for app_id in app_ids])

    async with running(world.service(1_000).run):
        await eventually(all_complete)
    assert set(world.order) == {"workspace", "repository"}
    assert world.order.index("workspace") < world.order.index("repository")
    assert await world.store.unfinished() == []
