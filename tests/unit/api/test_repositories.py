"""Repositories are set up beside the creation of apps: whatever fails and whoever dies, in the end an app has one and a
deleted app none."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.repositories import SqlRepositories
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlApps, SqlKeys, SqlUsers
from daemons.api.domain.access import Subject
from daemons.api.domain.apps import App, Draft
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.repositories import Wanted, attempted
from daemons.api.services.deletions import Deletions, Holders
from daemons.api.services.keys import KeyRing
from daemons.api.services.repositories import Repositories
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, migrate, open_database
from daemons.kit.tasks import first, running
from protocol.api import GitAccessFile, RepoStatus
from tests.support.database_time import let_pass
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.eventually import eventually
from tests.support.repository_host import MemoryHost

#: Models are completed with their first use, which reads from the disk.
GitAccessFile(keys=())
HOSTING = Hosting("git.example.org", 2222)
FILES = {"Dockerfile": "FROM scratch\n"}
WANTED = Wanted(20001, 1, begun=False, attempts=0, next_at=5, held_until=90)


def test_what_was_in_vain_is_tried_later_and_later() -> None:
    failed = attempted(WANTED, "away", now=100)
    assert (failed.status, failed.reason, failed.attempts, failed.next_at) == (RepoStatus.FAILED, "away", 1, 1_100)
    assert not failed.begun
    ready = attempted(WANTED, None, now=100)
    assert (ready.status, ready.reason, ready.next_at, ready.begun) == (RepoStatus.READY, None, None, True)


@pytest.mark.parametrize(
    ("template", "name", "found"),
    [
        ("u{userId}-app{appId}", "funai/u7-app20001", (7, 20001)),
        ("{appId}.of.{userId}", "funai/20001.of.7", (7, 20001)),
        ("{userId}/{userId}-{appId}", "funai/7/7-20001", (7, 20001)),
        ("{userId}/{userId}-{appId}", "funai/7/8-20001", None),
        ("u{userId}-app{appId}", "other/u7-app20001", None),
        ("u{userId}-app{appId}", "funai/u7-app20001x", None),
        ("u{userId}-app{appId}", "funai/u07-app20001", None),
        ("u.{userId}-app{appId}", "funai/ux7-app20001", None),
    ],
)
def test_a_repository_says_whose_it_is(template: str, name: str, found: tuple[int, int] | None) -> None:
    assert Hosting("git.example.org", 22, repository_template=template).app_of(name) == found


class Slow(MemoryHost):
    """Stands still in the middle of a call while `still`: in one that was not done yet, or in one that was."""

    def __init__(self) -> None:
        super().__init__()
        self.still: str | None = None
        self.entered = asyncio.Event()

    async def create(self, repository: str, files: object) -> None:
        """Made before or after it stands still."""
        await self._stand("before")
        await super().create(repository, FILES)
        await self._stand("made")

    async def admit_bots(self, repository: str) -> None:
        """Done, then it stands still."""
        await super().admit_bots(repository)
        await self._stand("admitted")

    async def announce(self, repository: str) -> None:
        """Done, then it stands still."""
        await super().announce(repository)
        await self._stand("announced")

    async def _stand(self, place: str) -> None:
        if self.still == place:
            self.entered.set()
            await asyncio.Event().wait()


class World:
    """The service over a real database; the host is in memory."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.apps, self.host, self.store = SqlApps(database), Slow(), SqlRepositories(database)
        self.deletions = SqlDeletions(database)
        keys = KeyRing(SqlKeys(database), self.apps, DiskGitAccess(folder / "access.json", None), HOSTING)
        plane = MemoryDeployPlane(SystemClock())
        self.holders = Holders(keys, _Nowhere(), plane, self.host, HOSTING)

    def service(self, hold_ms: int = 60_000) -> Repositories:
        """A process of the API."""
        return Repositories(self.store, self.host, HOSTING, FILES, hold_ms=hold_ms)

    def remover(self, hold_ms: int = 60_000) -> Deletions:
        """A process of the API."""
        return Deletions(self.deletions, self.holders, hold_ms=hold_ms)

    async def app(self) -> App:
        """A new app of user 1."""
        return await self.apps.create(1, Draft(), None, 1_000)

    async def status(self, app_id: int) -> tuple[RepoStatus, str | None] | None:
        """How its repository stands; None when it is gone."""
        found = await self.apps.app(app_id)
        return None if found is None else (found.repo_status, found.repo_reason)

    async def ready(self, app_id: int) -> bool:
        """Whether it has one."""
        return await self.status(app_id) == (RepoStatus.READY, None)

    async def held(self, app_id: int) -> bool:
        """Whether it is to be deleted while its repository is being set up."""
        found = await self.deletions.find(app_id)
        return found is not None and found.repo_held_until is not None

    async def gone(self, app_id: int) -> bool:
        """Whether nothing is left of it."""
        found = await self.deletions.find(app_id)
        return found is not None and found.done_at is not None


class _Nowhere:
    """There are no workspaces."""

    async def remove(self, user_id: int, app_id: int) -> None:
        """Nothing is to be done."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_database("sqlite:///:memory:", QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        await SqlUsers(database).ensure(1, "one")
        yield World(database, tmp_path)


async def test_an_app_has_its_repository_soon_and_says_so(world: World) -> None:
    app, service = await world.app(), world.service()
    assert await world.status(app.id) == (RepoStatus.PENDING, None)
    async with running(service.run):
        await eventually(lambda: world.ready(app.id))
        later = await world.app()
        service.ask()
        await eventually(lambda: world.ready(later.id))
    names = {HOSTING.repository(1, each.id) for each in (app, later)}
    assert set(world.host.repositories) == world.host.admitted == world.host.announced == names
    assert await world.store.claim(1) is None


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_what_fails_is_told_and_tried_again(world: World, failing: int) -> None:
    app = await world.app()
    world.host.failing = failing

    service = world.service()
    async with running(service.run):
        for left in reversed(range(failing)):

            async def failed(left: int = left) -> bool:
                told = await world.status(app.id)
                return world.host.failing == left and told == (RepoStatus.FAILED, "the host is away")

            await eventually(failed)
            let_pass(world.database, 600)
            service.ask()
        await eventually(lambda: world.ready(app.id))


@pytest.mark.parametrize("place", ["before", "made", "admitted", "announced"])
async def test_whoever_dies_the_next_one_completes_it(world: World, place: str) -> None:
    app = await world.app()
    world.host.still = place
    async with running(world.service(100).run):
        await world.host.entered.wait()
    assert await world.status(app.id) == (RepoStatus.PENDING, None)
    world.host.still = None
    async with running(world.service().run):
        await eventually(lambda: world.ready(app.id))
    name = HOSTING.repository(1, app.id)
    assert world.host.repositories == {name: FILES}
    assert world.host.admitted == world.host.announced == {name}


@pytest.mark.parametrize("place", ["before", "made", "admitted", "announced"])
async def test_an_app_that_is_deleted_meanwhile_leaves_nothing(world: World, place: str) -> None:
    """Who sets the repository up goes on after the deletion began; who removes it waits for that."""
    app = await world.app()
    world.host.still = place
    remover = world.remover()
    async with running(world.service().run, remover.run), asyncio.TaskGroup() as group:
        await world.host.entered.wait()
        group.create_task(remover.delete(Subject(1), str(app.id)))
        await eventually(lambda: world.held(app.id))
        assert not await world.gone(app.id)
        let_pass(world.database, 600)
        await eventually(lambda: world.gone(app.id))
    assert world.host.repositories == {} and world.host.admitted == world.host.announced == set()


async def test_whoever_removes_a_repository_waits_for_whoever_sets_it_up(world: World) -> None:
    app = await world.app()
    claimed = await world.store.claim(600_000)
    assert claimed is not None
    remover = world.remover()

    async def waits() -> bool:
        begun = await world.deletions.find(app.id)
        return begun is not None and begun.done_at is None and "it is being set up" in (begun.problem or "")

    async with running(remover.run):
        assert (await remover.delete(Subject(1), str(app.id))).done_at is None
        await eventually(waits)
        await world.host.create(HOSTING.repository(1, app.id), {})
        assert not await world.store.save(claimed, attempted(claimed, None, await world.store.now()))
        await eventually(lambda: world.gone(app.id))
    assert world.host.repositories == {}


@pytest.mark.parametrize("seed", range(6))
async def test_creations_and_deletions_in_any_order_with_deaths_in_between(world: World, seed: int) -> None:
    chance = random.Random(seed)
    apps = [await world.app() for _ in range(4)]
    deleted: set[int] = set()
    for _ in range(4):
        world.host.still = chance.choice([None, "before", "made", "admitted", "announced"])
        world.host.failing = chance.randrange(2)
        world.host.entered.clear()
        async with running(world.service(100).run, world.remover(100).run, world.service(100).run):
            await first(world.host.entered.wait(), asyncio.sleep(chance.random() / 10, result=True))
            app = chance.choice(apps)
            if app.id not in deleted and chance.random() < 0.5:
                await world.deletions.begin(1, app.id)
                deleted.add(app.id)
    world.host.still, world.host.failing = None, 0
    let_pass(world.database, 600)

    async def settled() -> bool:
        kept = [await world.ready(app.id) for app in apps if app.id not in deleted]
        return all(kept) and all([await world.gone(app_id) for app_id in deleted])

    async with running(world.service().run, world.remover().run):
        await eventually(settled)
    kept = {HOSTING.repository(1, app.id) for app in apps if app.id not in deleted}
    assert set(world.host.repositories) == world.host.admitted == world.host.announced == kept
