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
from daemons.api.domain.access import NotFound, Subject
from daemons.api.domain.apps import Draft
from daemons.api.domain.deletions import Deletion, attempted, doable, reasons, underway
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.pauses import pause_ms
from daemons.api.ports import PlaneUnreachable
from daemons.api.ports.deletions import PartLeft
from daemons.api.services.deletions import Deletions, Holders
from daemons.api.services.keys import KeyRing
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, DatabaseUnavailable, migrate, open_database
from daemons.kit.tasks import first, running
from protocol.api import MOST_APPS, AppPart, GitAccessFile
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


def test_while_one_part_is_long_in_coming_the_others_are_told() -> None:
    ended = {AppPart.ACCESS: None, AppPart.DEPLOYMENTS: "n1 is away"}
    assert reasons(FRESH, ended) == {
        AppPart.WORKSPACE: "was asked and has not answered yet",
        AppPart.DEPLOYMENTS: "n1 is away",
        AppPart.REPOSITORY: "waits until nobody can push to it",
    }
    told = underway(FRESH, ended)
    assert told.left == (AppPart.WORKSPACE, AppPart.DEPLOYMENTS, AppPart.REPOSITORY)
    assert (told.attempts, told.next_at, told.done_at) == (FRESH.attempts, FRESH.next_at, None)
    assert told.problem is not None and "deployments: n1 is away" in told.problem
    assert reasons(FRESH, {AppPart.ACCESS: None, AppPart.WORKSPACE: None})[AppPart.REPOSITORY].startswith("was asked")


@dataclass
class Place:
    """Somewhere that something of an app is; `trouble` is how many calls fail, `still` whether none ever ends but of
    the user who is `spared`, `dark` whether the database is away; `inside` counts the calls that go on."""

    name: str
    order: list[str]
    trouble: int = 0
    still: bool = False
    spared: int | None = None
    dark: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0

    async def remove(self, *which: object) -> None:
        self.entered.set()
        if self.still and which[:1] != (self.spared,):
            self.inside += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.inside -= 1
        if self.dark:
            raise DatabaseUnavailable("the database does not answer")
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

    def service(self, hold_ms: int = 60_000, wait_ms: int = 60_000) -> Deletions:
        """A process of the API."""
        return Deletions(self.store, self.holders, wait_ms=wait_ms, hold_ms=hold_ms)

    async def app(self, user_id: int = 1) -> int:
        """A new app."""
        return (await self.apps.create(user_id, Draft(), None, 1_000)).id

    async def complete(self, app_id: int) -> bool:
        """Whether nothing is left of it."""
        found = await self.store.find(app_id)
        return found is not None and found.done_at is not None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_database("sqlite:///:memory:", QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        for user_id in (1, 2):
            await SqlUsers(database).ensure(user_id, f"user{user_id}")
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


async def test_whoever_asks_waits_for_no_node_that_says_nothing(world: World) -> None:
    """The answer comes while the node's call is open, and what others have is taken away meanwhile."""
    app_id, service = await world.app(), world.service(wait_ms=0)
    world.workspaces.still = True
    async with running(service.run):
        begun = await service.delete(Subject(1), str(app_id))
        assert begun.done_at is None and AppPart.WORKSPACE in begun.left and begun.attempts == 0
        await world.workspaces.entered.wait()

        async def others_gone() -> bool:
            again = await service.delete(Subject(1), str(app_id))
            return again.left == (AppPart.WORKSPACE, AppPart.REPOSITORY)

        await eventually(others_gone)
        (told,) = await service.unfinished()
        assert world.workspaces.inside == 1, "the node's call is open still"
        assert told.problem is not None and "workspace: was asked and has not answered yet" in told.problem
        assert (told.attempts, told.done_at) == (0, None)


async def test_an_answer_waits_for_its_bound_at_most(world: World) -> None:
    """Nothing ever ends, but the wait of who asked."""
    app_id, service = await world.app(), world.service(wait_ms=800)
    world.workspaces.still = True
    async with running(service.run):
        begun = await service.delete(Subject(1), str(app_id))
        assert begun.done_at is None and AppPart.WORKSPACE in begun.left
        await world.workspaces.entered.wait()
        assert world.workspaces.inside == 1


async def test_nobody_waits_behind_all_the_apps_of_somebody_whose_node_is_silent(world: World) -> None:
    service, mine = world.service(wait_ms=0), [await world.app() for _ in range(MOST_APPS)]
    other = await world.app(2)
    world.workspaces.still, world.workspaces.spared = True, 2
    async with running(service.run):
        for app_id in mine:
            await service.delete(Subject(1), str(app_id))

        async def all_asked() -> bool:
            return world.workspaces.inside == len(mine)

        await eventually(all_asked)
        await service.delete(Subject(2), str(other))
        await eventually(lambda: world.complete(other))
        assert world.workspaces.inside == len(mine)


async def test_a_database_that_is_away_in_the_middle_ends_nothing(world: World) -> None:
    app_id, service = await world.app(), world.service()
    world.workspaces.dark = True
    async with running(service.run):
        begun = await service.delete(Subject(1), str(app_id))
        assert "workspace: the database does not answer" in (begun.problem or "")
        world.workspaces.dark = False
        await eventually(lambda: world.complete(app_id))


async def test_whose_an_app_was_is_known_while_it_is_deleted(world: World) -> None:
    app_id, service = str(await world.app()), world.service(wait_ms=0)
    assert await service.owner(app_id, None) == await service.owner(app_id, "1") == Subject(1)
    await service.delete(Subject(1), app_id)
    assert await service.owner(app_id, "1") == Subject(1)
    for which, named in ((app_id, "2"), ("29999", None), ("no-number", None), ("9" * 30, None)):
        with pytest.raises(NotFound):
            await service.owner(which, named)


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
