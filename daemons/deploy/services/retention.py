"""Removes from the registry what no app needs any more, until it is done: images of releases that newer ones took the
place of and, where the registry tells what was pushed when, those that were pushed and never became a release.

Every app that may have superfluous images stands in a table; several replicas may work on it, each on rows of its own.
What may go is decided anew for every image just before it goes, so that one which became wanted meanwhile stays. An
app that is being built is left alone: its build may push again the very image that is about to be removed.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from daemons.deploy.domain.images import Artifact, PushedImage, RegistryPlace, own_repository, removable, unneeded
from daemons.deploy.domain.releases import BEING_REMOVED, KEPT, Release, Review, superfluous
from daemons.deploy.ports import ImageRegistry, RegistryFailed, Store, Transaction
from protocol.jobs import JobStatus

_BATCH: Final = 10
_PATIENCE_SECONDS: Final = 15.0
_TAKEN_MS: Final = 120_000
_BUSY_MS: Final = 30_000
_BACKOFF_MS: Final = (10_000, 60_000, 600_000)

logger = logging.getLogger(__name__)


class _Busy(Exception):
    """The app has a running job; later."""


@dataclass(frozen=True, slots=True)
class RepositoryRemoval:
    """What became of a deleted app's repository; `problem` None means that it is gone."""

    repository: str
    problem: str | None = None


class Retention:
    """`step` works through what is due. Without a registry that may be cleaned there is nothing to do."""

    def __init__(self, store: Store, registry: ImageRegistry | None, place: RegistryPlace | None) -> None:
        self._store = store
        self._registry = registry
        self._place = place

    @property
    def enabled(self) -> bool:
        """Whether images may be removed."""
        return self._registry is not None and self._place is not None and self._place.cleans

    async def step(self) -> None:
        """Review what is due."""
        if self._registry is None or self._place is None or not self._place.cleans:
            return
        for review in await self._store.transact(_take):
            try:
                await self._carry_out(review, self._registry, self._place)
            except RegistryFailed as error:
                await self._postpone(review, _BACKOFF_MS[min(review.attempts, len(_BACKOFF_MS)) - 1], str(error))
            except _Busy:
                await self._postpone(review, _BUSY_MS, None)
            else:
                await self._settle(review)

    async def remove_repository(self, user_id: str, app_id: str) -> RepositoryRemoval | None:
        """Remove a deleted app's repository now, or else later; None while images may not be removed. Call it once
        the app is forgotten."""
        if self._place is None or not self.enabled:
            return None

        async def ask(tx: Transaction) -> Review | None:
            await tx.ask_review(app_id, user_id, await tx.now() + _TAKEN_MS)
            return await tx.review(app_id)

        review = await self._store.transact(ask)
        repository = own_repository(self._place.project, user_id, app_id)
        if review is None or self._registry is None:
            return RepositoryRemoval(repository, "it is being removed by another replica")
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._carry_out(review, self._registry, self._place)
        except TimeoutError:
            return RepositoryRemoval(repository, "it takes longer than a caller waits; it goes on in the background")
        except RegistryFailed as error:
            await self._postpone(review, _BACKOFF_MS[0], str(error))
            return RepositoryRemoval(repository, f"{error}; it will be tried again")
        except _Busy:
            return RepositoryRemoval(repository, "a job of the app is running; it will be tried again")
        await self._settle(review)
        return RepositoryRemoval(repository)

    async def _carry_out(self, review: Review, registry: ImageRegistry, place: RegistryPlace) -> None:
        """Raises RegistryFailed and _Busy."""
        if review.user_id is not None and await self._store.transact(lambda tx: _forgotten(tx, review.app_id)):
            await registry.delete_repository(own_repository(place.project, review.user_id, review.app_id))
            return
        while (found := await self._next(review.app_id, place)) is not None:
            artifact, releases = found
            await registry.delete(artifact.repository, artifact.digest)
            await self._removed(releases)
        await self._remove_unreleased(review.app_id, registry, place)

    async def _remove_unreleased(self, app_id: str, registry: ImageRegistry, place: RegistryPlace) -> None:
        """Pushes of attempts that failed afterwards, except the newest few. Raises RegistryFailed and _Busy."""
        user_id = await self._store.transact(lambda tx: _owner(tx, app_id))
        if user_id is None:
            return
        repository = own_repository(place.project, user_id, app_id)
        listed = await registry.pushed(repository)
        for image in listed[KEPT:]:
            if await self._store.transact(partial(_unneeded, app_id=app_id, image=image)):
                await registry.delete(repository, image.digest)
                extra = {"app_id": app_id, "image": f"{repository}@{image.digest}"}
                logger.info("an image that never became a release was removed from the registry", extra=extra)

    async def _next(self, app_id: str, place: RegistryPlace) -> tuple[Artifact, Sequence[Release]] | None:
        """An image that may go, as of now, and the releases that share it; from here on nobody can go back to them.

        Raises _Busy.
        """

        async def work(tx: Transaction) -> tuple[Artifact, Sequence[Release]] | None:
            await tx.lock_app(app_id)
            active = await tx.active_jobs(app_id)
            if any(job.status is JobStatus.RUNNING for job in active):
                raise _Busy
            in_use = [str(job.payload["image"]) for job in active if "image" in job.payload]
            present = await tx.releases_with_images(app_id)
            free = superfluous(present, in_use, await tx.now())
            found = _chosen(free, place)
            for release in found[1] if found else ():
                await tx.mark_release(replace(release, held_until=BEING_REMOVED))
            for release in present:
                if release.held_until == BEING_REMOVED and release not in free:
                    await tx.mark_release(replace(release, held_until=0))
            return found

        return await self._store.transact(work)

    async def _removed(self, releases: Sequence[Release]) -> None:
        async def work(tx: Transaction) -> None:
            await tx.lock_app(releases[0].app_id)
            now = await tx.now()
            for release in releases:
                await tx.mark_release(replace(release, held_until=0, image_removed_at=now))

        await self._store.transact(work)
        logger.info(
            "an image was removed from the registry",
            extra={
                "app_id": releases[0].app_id,
                "releases": [release.number for release in releases],
                "image": releases[0].image,
            },
        )

    async def _postpone(self, review: Review, delay_ms: int, problem: str | None) -> None:
        async def work(tx: Transaction) -> None:
            attempts = review.attempts if problem else review.attempts - 1
            again = replace(review, not_before=await tx.now() + delay_ms, attempts=attempts, last_error=problem)
            await tx.save_review(again, review)

        await self._store.transact(work)
        if problem:
            logger.warning(
                "images could not be removed from the registry yet",
                extra={"app_id": review.app_id, "attempt": review.attempts, "error": problem},
            )

    async def _settle(self, review: Review) -> None:
        async def work(tx: Transaction) -> None:
            await tx.delete_review(review)

        await self._store.transact(work)


def _chosen(releases: Sequence[Release], place: RegistryPlace) -> tuple[Artifact, Sequence[Release]] | None:
    """The newest of these whose image is ours to remove, with all that share it."""
    for release in releases:
        image = release.reference or release.image
        artifact = removable(place, image, release.user_id, release.app_id)
        if artifact is not None:
            return artifact, [each for each in releases if each.reference == release.reference]
    return None


async def _take(tx: Transaction) -> list[Review]:
    now = await tx.now()
    taken = []
    for review in await tx.due_reviews(_BATCH, now):
        mine = replace(review, not_before=now + _TAKEN_MS, attempts=review.attempts + 1, version=review.version + 1)
        if await tx.save_review(mine, review):
            taken.append(mine)
    return taken


async def _owner(tx: Transaction, app_id: str) -> str | None:
    """Whose repository the app's images are in; None once nothing is known of it."""
    newest = await tx.jobs_of_app(app_id, 1) or await tx.releases(app_id, 2**31, 1)
    return newest[0].user_id if newest else None


async def _unneeded(tx: Transaction, app_id: str, image: PushedImage) -> bool:
    """Whether no release and no active job has it, as of now. Raises _Busy."""
    await tx.lock_app(app_id)
    active = await tx.active_jobs(app_id)
    if any(job.status is JobStatus.RUNNING for job in active):
        raise _Busy
    present = await tx.releases_with_images(app_id)
    released, building = [each.image_digest for each in present], [job.image_digest for job in active]
    digests = [digest for digest in (*released, *building) if digest]
    named = [str(name) for job in active for name in (job.image, job.payload.get("image")) if name]
    return bool(unneeded([image], 0, digests, [*named, *(release.image for release in present)]))


async def _forgotten(tx: Transaction, app_id: str) -> bool:
    """Whether nothing is left of the app: one that came back keeps its repository."""
    return not await tx.releases(app_id, 2**31, 1) and not await tx.jobs_of_app(app_id, 1)
