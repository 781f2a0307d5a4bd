"""What retention does when jobs, operators, crashes and other replicas come in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.images import RegistryPlace
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.releases import BEING_REMOVED, KEPT, ImageGone, Release, Review
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.releases import Releases
from daemons.deploy.services.retention import Retention
from protocol.jobs import JobStatus, JobType
from tests.support.registries import RegistryTwin

APP, USER, HOST = "20001", "1", "registry.test"
REPOSITORY = f"funaistudio/u{USER}-app{APP}"
PLACE = RegistryPlace(HOST, "funaistudio", cleans=True)


class _Killed(BaseException):
    """The process ends here."""


@dataclass
class FragileRegistry(RegistryTwin):
    """A registry whose caller may be killed in a deletion, or made to wait in it."""

    kill: bool = False
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def delete(self, repository: str, digest: str) -> None:
        self.entered.set()
        if self.kill:
            raise _Killed
        if self.gate is not None:
            await self.gate.wait()
        await super().delete(repository, digest)


@dataclass
class World:
    """A store with five releases, each with an image of its own in the registry, and a review that is due."""

    store: Store
    registry: FragileRegistry
    digests: list[str]

    def retention(self, place: RegistryPlace = PLACE) -> Retention:
        return Retention(self.store, self.registry, place)

    @property
    def left(self) -> list[int]:
        """Numbers of releases whose image is in the registry."""
        there = self.registry.images.get(REPOSITORY, {})
        return [number for number, digest in enumerate(self.digests, start=1) if digest in there]

    async def release(self, number: int) -> Release:
        found = await self.store.transact(lambda tx: tx.release(APP, number))
        assert found is not None
        return found

    async def review(self) -> Review | None:
        return await self.store.transact(lambda tx: tx.review(APP))

    async def ask(self, user_id: str | None = None) -> None:
        async def work(tx: Transaction) -> None:
            await tx.ask_review(APP, user_id, 0)

        await self.store.transact(work)

    async def add_job(self, status: JobStatus, **payload: object) -> None:
        job = Job("job", JobType.BUILD_AND_DEPLOY, status, APP, USER, payload, 1, 1)
        assert await self.store.transact(lambda tx: tx.insert_job(job))

    async def mark(self, number: int, **changes: object) -> None:
        before = await self.release(number)

        async def work(tx: Transaction) -> None:
            await tx.mark_release(replace(before, **changes))  # type: ignore[arg-type]

        await self.store.transact(work)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_store("sqlite:///:memory:") as store:
        registry = FragileRegistry()
        digests = [await registry.put(REPOSITORY, f"aaaaaaa-{number}", str(number)) for number in range(1, 6)]
        made = World(store, registry, digests)
        for number, digest in enumerate(digests, start=1):
            image = f"{HOST}/{REPOSITORY}@{digest}"
            release = Release(APP, number, USER, f"job-{number}", image, digest, None, "0" * 64, {}, 1, number)
            assert await store.transact(lambda tx, release=release: tx.insert_release(release))  # type: ignore[misc]
        await made.ask()
        yield made


async def test_it_ends_when_nothing_is_left_to_remove(world: World) -> None:
    await world.retention().step()
    assert world.left == [3, 4, 5]
    assert await world.review() is None
    assert (await world.release(1)).image_removed_at is not None
    assert (await world.release(3)).image_removed_at is None


async def test_an_app_that_is_being_built_is_left_alone_and_reviewed_later(world: World) -> None:
    await world.add_job(JobStatus.RUNNING)
    await world.retention().step()
    review = await world.review()
    assert world.left == [1, 2, 3, 4, 5] and review is not None
    assert (review.attempts, review.last_error) == (0, None)


async def test_what_a_waiting_job_deploys_stays(world: World) -> None:
    await world.add_job(JobStatus.PENDING, image=(await world.release(1)).image)
    await world.retention().step()
    assert world.left == [1, 3, 4, 5]


async def test_what_somebody_is_about_to_deploy_stays(world: World) -> None:
    await world.mark(2, held_until=2**50)
    await world.retention().step()
    assert world.left == [2, 3, 4, 5]


async def test_nobody_pins_or_gets_what_is_just_being_removed(world: World) -> None:
    world.registry.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(world.retention().step())
        await world.registry.entered.wait()
        releases = Releases(world.store, Bells())
        with pytest.raises(ImageGone, match="being removed"):
            await releases.pin(APP, 2, pinned=True, actor=Actor("admin"))
        pinned, current = await releases.pin(APP, 1, pinned=True, actor=Actor("admin"))
        assert pinned.pinned and not current
        world.registry.gate.set()
    assert world.left == [1, 3, 4, 5]


async def test_a_crash_in_a_deletion_is_made_good(world: World) -> None:
    world.registry.kill = True
    with pytest.raises(_Killed):
        await world.retention().step()
    assert (await world.release(2)).held_until == BEING_REMOVED
    review = await world.review()
    assert review is not None and review.attempts == 1
    world.registry.kill = False
    await world.retention().step()
    assert world.left == [1, 2, 3, 4, 5], "the review is still taken by the one that crashed"
    await world.ask()
    await world.retention().step()
    assert world.left == [3, 4, 5] and await world.review() is None


async def test_what_is_wanted_again_after_a_crash_is_free_again(world: World) -> None:
    await world.mark(2, held_until=BEING_REMOVED)
    await world.add_job(JobStatus.PENDING, image=(await world.release(2)).image)
    await world.retention().step()
    assert world.left == [2, 3, 4, 5] and (await world.release(2)).held_until == 0


async def test_a_registry_that_fails_is_asked_again_later_and_the_error_is_kept(world: World) -> None:
    world.registry.problem = "HTTP 500"
    await world.retention().step()
    review = await world.review()
    assert review is not None and (review.attempts, review.last_error) == (1, "HTTP 500")
    assert review.not_before > 0 and world.left == [1, 2, 3, 4, 5]


async def test_two_replicas_remove_each_image_once(world: World) -> None:
    await asyncio.gather(*(world.retention().step() for _ in range(4)))
    deleted = [call for call in world.registry.calls if call[0] == "delete"]
    assert len(deleted) == len(set(deleted)) == 2 and world.left == [3, 4, 5]


async def test_an_app_that_came_back_keeps_its_repository(world: World) -> None:
    await world.ask(USER)
    await world.retention().step()
    assert world.left == [3, 4, 5]
    assert all(call[0] != "delete_repository" for call in world.registry.calls)


async def test_a_deleted_app_loses_its_repository(world: World) -> None:
    await world.store.transact(lambda tx: tx.delete_releases(APP))
    await world.ask(USER)
    await world.retention().step()
    assert REPOSITORY not in world.registry.images and await world.review() is None


async def test_pushes_that_never_became_a_release_go_except_the_newest(world: World) -> None:
    await world.mark(1, pinned=True)
    failed = [await world.registry.put(REPOSITORY, f"fffffff-{number}", f"failed {number}") for number in range(1, 6)]
    await world.retention().step()
    there = list(world.registry.images[REPOSITORY])
    assert there == [world.digests[0], *world.digests[2:], *failed[-KEPT:]], "the pinned one was pushed first of all"
    assert await world.review() is None


async def test_three_failures_do_not_take_the_image_that_serves(world: World) -> None:
    for number in range(2, 6):
        await world.mark(number, image_removed_at=1)
    for number in range(KEPT + 1):
        await world.registry.put(REPOSITORY, f"fffffff-{number}", f"failed {number}")
    await world.retention().step()
    assert world.left == [1]


async def test_what_a_waiting_job_names_by_its_tag_stays(world: World) -> None:
    wanted = await world.registry.put(REPOSITORY, "fffffff-0", "wanted")
    for number in range(1, 6):
        await world.registry.put(REPOSITORY, f"fffffff-{number}", f"failed {number}")
    await world.add_job(JobStatus.PENDING, image=f"{HOST}/{REPOSITORY}:fffffff-0")
    await world.retention().step()
    assert wanted in world.registry.images[REPOSITORY] and len(world.registry.images[REPOSITORY]) == KEPT * 2 + 1


async def test_without_leave_to_clean_nothing_is_removed(world: World) -> None:
    retention = world.retention(RegistryPlace(HOST, "funaistudio"))
    await retention.step()
    assert await retention.remove_repository(USER, APP) is None
    assert world.left == [1, 2, 3, 4, 5] and world.registry.calls == []
