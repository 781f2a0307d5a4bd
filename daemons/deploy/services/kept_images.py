"""Tells agents which images of apps they must not remove, so that what can be rolled back to is still there."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from daemons.deploy.domain.releases import Release, stays
from daemons.deploy.ports import Store, Transaction
from protocol.names import image_registry


@dataclass(frozen=True, slots=True)
class Kept:
    """References of one app: never to be removed, and to be removed only for want of room."""

    app_id: str
    known: bool
    always: tuple[str, ...]
    recent: tuple[str, ...]


class KeptImages:
    """Read for an agent that is about to make room, or that has just deployed an app."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, app_ids: Collection[str]) -> Sequence[Kept]:
        """One answer for each app."""

        async def work(tx: Transaction) -> Sequence[Kept]:
            return [await _of_app(tx, app_id) for app_id in dict.fromkeys(app_ids)]

        return await self._store.transact(work)


async def _of_app(tx: Transaction, app_id: str) -> Kept:
    releases, active = await tx.releases_with_images(app_id), await tx.active_jobs(app_id)
    always, recent = stays(releases, await tx.now())
    wanted = [str(image) for job in active if (image := job.image or job.payload.get("image"))]
    known = bool(releases or active) or await _heard_of(tx, app_id)
    return Kept(app_id, known, (*_names(always), *_spelled(wanted)), _names(recent))


async def _heard_of(tx: Transaction, app_id: str) -> bool:
    if await tx.placement(app_id) is not None or await tx.app_run(app_id) is not None:
        return True
    return bool(await tx.jobs_of_app(app_id, 1))


def _names(releases: Iterable[Release]) -> tuple[str, ...]:
    found = (name for release in releases for name in (release.image, release.reference) if name is not None)
    return _spelled(dict.fromkeys(found))


def _spelled(names: Iterable[str]) -> tuple[str, ...]:
    """With the hosts that engines write before a name without one."""
    hosts = ("", "localhost/", "docker.io/")
    return tuple(f"{host}{name}" for name in names for host in (hosts if image_registry(name) is None else ("",)))
