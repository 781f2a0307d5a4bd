"""Deployments of a user's apps, on the deploy control plane."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid4

from daemons.api.domain.access import Subject
from daemons.api.domain.apps import App
from daemons.api.domain.deployments import Hosting, InvalidDeployment, check_image
from daemons.api.ports import AppStore, DeployPlane, PlaneNotFound, PlaneRefused
from daemons.api.services.ownership import Ownership
from daemons.api.services.places import Places
from protocol.api import StartDeployment
from protocol.jobs import JobPayload, JobView, OnConflict
from protocol.names import own_base_path, public_path
from protocol.releases import ReleasePage, RollbackJob

logger = logging.getLogger(__name__)

_PORT = 3000
_TAG = "latest"
#: All that the control plane keeps of an app, also after a burst of orders that superseded each other.
_HISTORY = 200

Job = TypeVar("Job", bound=JobView)


@dataclass(frozen=True, slots=True)
class Stopped:
    """An app that is to be stopped; `done` once its node has done it."""

    app: App
    done: bool


class Deployments:
    """Start, repeat, go back, follow, cancel, stop."""

    def __init__(
        self, apps: AppStore, plane: DeployPlane, ownership: Ownership, places: Places, hosting: Hosting
    ) -> None:
        self._apps = apps
        self._plane = plane
        self._ownership = ownership
        self._places = places
        self._hosting = hosting

    async def start(
        self,
        subject: Subject,
        app_id: str,
        order: StartDeployment,
        idempotency_key: str | None,
        *,
        on_conflict: OnConflict = OnConflict.REJECT,
    ) -> JobView:
        """Queue a deployment; `on_conflict` is about an active job of the app. Raises NotFound, InvalidDeployment,
        AppLimit, AppBusy, KeyUsed and every other PlaneError."""
        app = await self._ownership.app(subject, app_id)
        payload = self._payload(app, order)
        key = _key(app, idempotency_key)
        return await self._in_place(app, lambda: self._plane.create(payload, key, on_conflict))

    async def retry(self, subject: Subject, job_id: str, idempotency_key: str | None) -> JobView:
        """Queue the order of a job that failed or was cancelled once more. Raises NotFound, AppLimit, AppBusy, JobEnded
        and every other PlaneError."""
        job = await self._ownership.job(subject, job_id)
        app = await self._ownership.app(subject, job.app_id)
        key = _key(app, idempotency_key)
        return await self._in_place(app, lambda: self._plane.retry(job.id, key))

    async def rollback(
        self, subject: Subject, app_id: str, release: int | None, idempotency_key: str | None
    ) -> RollbackJob:
        """Queue an earlier release; nothing is built. Raises NotFound, AppLimit, AppBusy, ImageGone and every other
        PlaneError."""
        app = await self._ownership.app(subject, app_id)
        key = _key(app, idempotency_key)
        return await self._in_place(app, lambda: self._plane.rollback(app.user_id, app.id, release, key))

    async def releases(self, subject: Subject, app_id: str, cursor: str | None, limit: int) -> ReleasePage:
        """What the app ran, newest first. Raises NotFound, PlaneError."""
        app = await self._ownership.app(subject, app_id)
        return await self._plane.releases(app.id, cursor, limit)

    async def job(self, subject: Subject, job_id: str) -> JobView:
        """One job. Raises NotFound, PlaneError."""
        return await self._ownership.job(subject, job_id)

    async def cancel(self, subject: Subject, job_id: str) -> JobView:
        """Cancel a job. Raises NotFound, TooLate, JobEnded and every other PlaneError."""
        job = await self._ownership.job(subject, job_id)
        return await self._plane.cancel(job.id)

    async def newest(self, subject: Subject, limit: int) -> Sequence[JobView]:
        """The newest jobs of all the subject's apps. Raises PlaneError."""
        apps = await self._apps.of_user(subject.user_id)
        found = await self._plane.jobs_of([app.id for app in apps], limit)
        jobs = [job for of_app in found.values() for job in of_app]
        return sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)[:limit]

    async def history(self, subject: Subject, app_id: str, limit: int) -> Sequence[JobView]:
        """The newest jobs of one app. Raises NotFound, PlaneError."""
        app = await self._ownership.app(subject, app_id)
        return (await self._plane.jobs_of([app.id], limit)).get(app.id, ())

    async def stop(self, subject: Subject, app_id: str) -> Stopped:
        """Stop the app, if it is on a node, and free its place. Raises NotFound and every PlaneError."""
        app = await self._ownership.app(subject, app_id)
        before = (await self._plane.jobs_of([app.id], _HISTORY)).get(app.id, ())
        done = True
        try:
            done = await self._plane.stop(app.user_id, app.id)
        except PlaneNotFound:
            logger.info("an app to be stopped is on no node", extra={"app_id": app.id, "user_id": app.user_id})
        newest = next((job.id for job in before if job.status.terminal), None)
        await self._apps.mark_stopped(app.id, newest)
        stopped = replace(app, stopped_job=newest)
        await self._places.settle(stopped)
        logger.info("stopped an app", extra={"app_id": app.id, "user_id": app.user_id, "pending": not done})
        return Stopped(stopped, done)

    async def _in_place(self, app: App, queue: Callable[[], Awaitable[Job]]) -> Job:
        taken_at = await self._places.take(app)
        try:
            job = await queue()
        except PlaneRefused:
            await self._places.leave(app, taken_at)
            raise
        logger.info("queued a deployment", extra={"job_id": job.id, "app_id": app.id, "user_id": app.user_id})
        return job

    def _payload(self, app: App, order: StartDeployment) -> JobPayload:
        app_id = str(app.id)
        check_image(order.image, app.user_id, app.id)
        try:
            base_path = own_base_path(order.base_path, app_id) or public_path(app_id)
        except ValueError as error:
            raise InvalidDeployment("basePath", str(error)) from None
        return JobPayload(
            user_id=str(app.user_id),
            app_id=app_id,
            app_name=app.name,
            repo_ssh_url=self._hosting.repository_url(app.user_id, app.id),
            git_ref=order.git_ref or self._hosting.git_ref,
            git_submodules=order.git_submodules,
            base_path=base_path,
            container_port=order.container_port or _PORT,
            health_check_path=order.health_check_path,
            image_tag=order.image_tag or _TAG,
            dockerfile_path=order.dockerfile_path,
            build_context=order.build_context,
            image=order.image,
            acr_registry=self._hosting.registry,
            acr_namespace=self._hosting.namespace,
            config=order.config,
        )


def _key(app: App, given: str | None) -> str:
    """A request without a key gets one for its way to the control plane, where an answer may be lost."""
    return f"u{app.user_id}-a{app.id}-{given or uuid4().hex}"
