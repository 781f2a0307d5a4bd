"""What the API entry needs from the outside, and how the outside fails.

PlaneError           the deploy control plane did not do what was asked
+-- PlaneUnreachable nobody knows whether it happened
+-- PlaneRefused     it said no, and nothing changed
    +-- one class per reason that people can act on
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from daemons.api.domain.access import KeyGrants
from daemons.api.domain.apps import App, Draft, Result
from protocol.jobs import JobPayload, JobView, OnConflict
from protocol.releases import ReleasePage, RollbackJob
from protocol.running import AppLogQuery


class PlaneError(Exception):
    """The deploy control plane did not do what was asked."""


class PlaneUnreachable(PlaneError):
    """The control plane does not answer, or answers that it cannot serve now."""


class PlaneRefused(PlaneError):
    """The control plane said no for a reason that has no class of its own; nothing changed."""


class PlaneInvalid(PlaneRefused):
    """It found the request not well formed."""


class PlaneNotFound(PlaneRefused):
    """It does not know the job or app."""


class AppBusy(PlaneRefused):
    """Another job of the app is waiting or running."""


class KeyUsed(PlaneRefused):
    """The idempotency key was used for another request."""


class TooLate(PlaneRefused):
    """The job is going live and can no longer be cancelled."""


class JobEnded(PlaneRefused):
    """The job is in a state that does not allow this."""


class ImageGone(PlaneRefused):
    """The image of the release is nowhere any more, or may be another by now."""


class TooManyReaders(PlaneRefused):
    """Others read the app's output already, as many as may."""


class NodeRefused(PlaneRefused):
    """The app's node is disabled, silent or full, or there is none."""


class AgentFailed(PlaneRefused):
    """The app's node was asked and failed."""


class AccessUnwritten(Exception):
    """The access file could not be written; the git server still goes by the one before."""


class DeployPlane(Protocol):
    """The deploy control plane. Every call raises PlaneError."""

    async def create(
        self, payload: JobPayload, idempotency_key: str | None, on_conflict: OnConflict = OnConflict.REJECT
    ) -> JobView:
        """Queue a deployment; the same key and payload again answer its job. SUPERSEDE takes the place of a job of the
        app that waits, and waits behind one that runs. Raises AppBusy, KeyUsed."""
        ...

    async def job(self, job_id: str) -> JobView:
        """One job. Raises PlaneNotFound."""
        ...

    async def jobs_of(self, app_ids: Sequence[int], limit: int) -> Mapping[int, Sequence[JobView]]:
        """The newest jobs of each of these apps, newest first."""
        ...

    async def retry(self, job_id: str, idempotency_key: str) -> JobView:
        """Queue the order of a job that failed or was cancelled once more. Raises AppBusy, JobEnded, KeyUsed."""
        ...

    async def rollback(self, user_id: int, app_id: int, release: int | None, idempotency_key: str) -> RollbackJob:
        """Queue an earlier release, by default the one before. Raises PlaneNotFound, AppBusy, ImageGone, KeyUsed."""
        ...

    async def releases(self, app_id: int, cursor: str | None, limit: int) -> ReleasePage:
        """A page of what the app ran, newest first."""
        ...

    def job_log(self, job_id: str, offset: int, *, follow: bool) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A job's log from `offset`; with `follow`, until the job ended. Reading raises PlaneUnreachable."""
        ...

    def app_log(self, app_id: int, asked: AppLogQuery) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """What the app writes, as server-sent events. Reading raises PlaneUnreachable."""
        ...

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job; repeating it is harmless. Raises TooLate, JobEnded."""
        ...

    async def stop(self, user_id: int, app_id: int) -> bool:
        """Have the app stopped on its node; whether the node has done it, or does it once it can. Raises PlaneNotFound
        when it is on none, NodeRefused, AgentFailed."""
        ...

    async def delete(self, user_id: int, app_id: int) -> None:
        """Nothing of the app is on the platform that runs it: no job, container, release or image. Raises PartLeft
        while something is."""
        ...

    async def unfinished(self, user_id: int | None) -> Collection[int]:
        """The apps of the user, or of all users, whose nodes have yet to carry out a stop or a delete."""
        ...

    async def check(self) -> None:
        """Raises PlaneUnreachable when the control plane does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class User:
    """A person."""

    id: int
    name: str
    type: int


class UserStore(Protocol):
    """Table `fun_ai_user`."""

    async def ensure(self, user_id: int, name: str) -> None:
        """Make the user unless it is there."""
        ...

    async def user(self, user_id: int) -> User | None:
        """One user."""
        ...


class AppStore(Protocol):
    """Table `fun_ai_app`."""

    async def create(self, user_id: int, draft: Draft, key: str | None, limit: int) -> App:
        """Make an app, or answer the one that the same idempotency key made. Raises AppLimit, NameTaken."""
        ...

    async def update(self, app: App, draft: Draft) -> App:
        """Change what the draft names, all of it or nothing. Raises NameTaken, SlugTaken, NotFound."""
        ...

    async def slug_holder(self, slug: str) -> int | None:
        """The app that has the slug; of a deleted one until its deletion has ended."""
        ...

    async def app(self, app_id: int) -> App | None:
        """One app."""
        ...

    async def of_user(self, user_id: int) -> Sequence[App]:
        """A user's apps, oldest first."""
        ...

    async def every(self) -> Sequence[App]:
        """All apps, oldest first."""
        ...

    async def take_place(self, app: App, limit: int) -> int | None:
        """Take, or take anew, a place for the live app: epoch milliseconds of the database, or None: all are taken.
        Raises NotFound when the app is gone."""
        ...

    async def leave_place(self, app_id: int, taken_at: int) -> bool:
        """Give the place back if nobody took it anew since."""
        ...

    async def mark_stopped(self, app_id: int, job_id: str | None) -> None:
        """Note the app's newest ended job at the moment of its stop."""
        ...

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        ...


class Learned(StrEnum):
    """What became of a result that was told."""

    NEWEST = "newest"
    OUTDATED = "outdated"
    REPEATED = "repeated"
    UNKNOWN_APP = "unknown-app"


class ResultStore(Protocol):
    """Tables `fun_ai_app_result`, one row per app, and `fun_ai_deploy_delivery`, what was told."""

    async def learn(self, delivery: str, app_id: int, result: Result) -> Learned:
        """Write down how the app's job ended, unless this delivery was taken before or a newer result is known."""
        ...

    async def results_of(self, app_ids: Sequence[int]) -> Mapping[int, Result]:
        """How the newest job of each of these apps ended, of those that were told."""
        ...

    async def forget(self, age_ms: int) -> int:
        """Forget which deliveries were taken so long ago; how many."""
        ...


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A user's SSH key."""

    id: int
    user_id: int
    title: str
    public_key: str
    fingerprint: str
    created_at: int


class KeyTaken(Exception):
    """The key is already registered, by this user or another."""


class KeyLimit(Exception):
    """The user has as many keys as allowed."""


class KeyStore(Protocol):
    """Table `fun_ai_user_git_key`."""

    async def add(self, user_id: int, title: str, public_key: str, fingerprint: str, limit: int) -> StoredKey:
        """Store a key. Raises KeyTaken, KeyLimit."""
        ...

    async def of_user(self, user_id: int) -> Sequence[StoredKey]:
        """A user's keys, oldest first."""
        ...

    async def every(self) -> Sequence[StoredKey]:
        """All keys, oldest first."""
        ...

    async def remove(self, user_id: int, key_id: int) -> bool:
        """Delete a key of this user; False when there is none."""
        ...


class GitAccess(Protocol):
    """The access file that the git server goes by."""

    async def bot_key(self) -> str | None:
        """The runner bot's public key line, when one is configured and there."""
        ...

    async def write(self, grants: Sequence[KeyGrants]) -> None:
        """Replace the file, whole and durable, or raise AccessUnwritten."""
        ...
