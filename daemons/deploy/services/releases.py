"""The ledger of releases: written with the success of a job, read and pinned by operators and the API."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun
from daemons.deploy.domain.releases import KEPT, Release, ReleaseNotFound, Review, released
from daemons.deploy.domain.views import app_run_view
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells

ABOVE_ALL: Final = 2**31
_SEARCHED: Final = 100


class NumberTaken(StoreUnavailable):
    """Two successes of one app at the same moment; nothing was written."""

    def __init__(self, app_id: str) -> None:
        super().__init__(f"another release of app {app_id} was recorded at the same moment; try again")


@dataclass(frozen=True, slots=True)
class Ledger:
    """A page of an app's releases: `current` is the newest one's number, `more` whether older ones follow."""

    items: Sequence[Release]
    current: int
    more: bool
    review: Review | None


class Releases:
    """What can be seen and said of releases; `cleans` tells whether reviews of images are carried out here."""

    def __init__(self, store: Store, bells: Bells, *, cleans: bool = False) -> None:
        self._store = store
        self._bells = bells
        self._cleans = cleans

    async def page(self, app_id: str, before: int, limit: int) -> Ledger:
        """The app's releases with a number below `before`, newest first; an app without any has an empty page."""

        async def work(tx: Transaction) -> Ledger:
            newest = await tx.releases(app_id, ABOVE_ALL, 1)
            found = await tx.releases(app_id, before, limit + 1)
            number = newest[0].number if newest else 0
            review = await tx.review(app_id) if self._cleans else None
            return Ledger(found[:limit], number, len(found) > limit, review)

        return await self._store.transact(work)

    async def pin(self, app_id: str, number: int, *, pinned: bool, actor: Actor) -> tuple[Release, bool]:
        """The release, kept for good or not, and whether it is the current one. Raises ReleaseNotFound, and
        ImageGone for a pin that comes too late."""

        async def work(tx: Transaction) -> tuple[Release, bool]:
            await tx.lock_app(app_id)
            newest = await tx.releases(app_id, ABOVE_ALL, 1)
            before = await tx.release(app_id, number)
            if before is None:
                raise ReleaseNotFound(app_id, number)
            if pinned:
                before.require_kept()
            after = replace(before, pinned=pinned)
            if after != before:
                await tx.mark_release(after)
                if not pinned:
                    await tx.ask_review(app_id, None, await tx.now())
                run = await tx.app_run(app_id) or AppRun(app_id)
                body = app_run_view(run).to_json().decode()
                change = f"release {number} {'pinned' if pinned else 'unpinned'}"
                was = orjson.dumps({"release": number, "pinned": before.pinned}).decode()
                await tx.append(NewEvent("app", change, app_id, actor, body, before=was))
            return after, newest[0].number == number

        pair = await self._store.transact(work)
        self._bells.changed()
        return pair


async def record_release(tx: Transaction, job: Job, node_id: int | None) -> None:
    """Write the release of a job that succeeds in this transaction. Raises NumberTaken."""
    newest = await tx.newest_release(job.app_id)
    number = newest.number + 1 if newest else 1
    before = await _of_same_image(tx, job) if newest and "image" in job.payload else None
    now = await tx.now()
    if not await tx.insert_release(released(job, number, node_id, before, now)):
        raise NumberTaken(job.app_id)
    if number > KEPT:
        await tx.ask_review(job.app_id, None, now)


async def _of_same_image(tx: Transaction, job: Job) -> Release | None:
    image = job.payload.get("image")
    earlier = await tx.releases(job.app_id, ABOVE_ALL, _SEARCHED)
    return next((release for release in earlier if image in (release.image, release.reference)), None)
