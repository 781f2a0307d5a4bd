"""Deployments of a user's apps."""

from typing import Final

from aiohttp import web

from daemons.api.http.callers import idempotency_key, subject
from daemons.api.services.deployments import Deployments, Stopped
from daemons.kit.bodies import number, query, read, reply
from protocol.api import OfApp, OfJob, OfRelease, ReleasesOfApp, StartDeployment, StoppedDeployment

_NOT_YET: Final = "the app's node has not stopped it yet and is asked again until it has; until then it may answer"


class DeploymentRoutes:
    """`/api/fun-ai/deploy`."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.post("/api/fun-ai/deploy/job/create", self.start),
            web.get("/api/fun-ai/deploy/job/info", self.info),
            web.get("/api/fun-ai/deploy/job/list", self.newest),
            web.get("/api/fun-ai/deploy/job/history", self.history),
            web.post("/api/fun-ai/deploy/job/cancel", self.cancel),
            web.post("/api/fun-ai/deploy/job/retry", self.retry),
            web.post("/api/fun-ai/deploy/app/stop", self.stop),
            web.post("/api/fun-ai/deploy/app/rollback", self.rollback),
            web.get("/api/fun-ai/deploy/app/releases", self.releases),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """Queue a deployment."""
        named = query(request, OfApp)
        order = await read(request, StartDeployment)
        return reply(await self._deployments.start(subject(request), named.app_id, order, idempotency_key(request)))

    async def info(self, request: web.Request) -> web.Response:
        """One job."""
        return reply(await self._deployments.job(subject(request), query(request, OfJob).job_id))

    async def newest(self, request: web.Request) -> web.Response:
        """The caller's newest jobs."""
        limit = number(request, "limit", default=50, low=1, high=200)
        return reply(await self._deployments.newest(subject(request), limit))

    async def history(self, request: web.Request) -> web.Response:
        """The newest jobs of one app."""
        named = query(request, OfApp)
        limit = number(request, "limit", default=20, low=1, high=200)
        return reply(await self._deployments.history(subject(request), named.app_id, limit))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a job."""
        return reply(await self._deployments.cancel(subject(request), query(request, OfJob).job_id))

    async def retry(self, request: web.Request) -> web.Response:
        """A new job with the order of one that failed or was cancelled."""
        job_id = query(request, OfJob).job_id
        return reply(await self._deployments.retry(subject(request), job_id, idempotency_key(request)))

    async def rollback(self, request: web.Request) -> web.Response:
        """A job that deploys an earlier release without a build."""
        named = query(request, OfRelease)
        key = idempotency_key(request)
        return reply(await self._deployments.rollback(subject(request), named.app_id, named.release, key))

    async def releases(self, request: web.Request) -> web.Response:
        """What the app ran, newest first."""
        named = query(request, ReleasesOfApp)
        limit = number(request, "limit", default=50, low=1, high=200)
        return reply(await self._deployments.releases(subject(request), named.app_id, named.cursor, limit))

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a running app."""
        named = query(request, OfApp)
        return reply(stopped_deployment(await self._deployments.stop(subject(request), named.app_id)))


def stopped_deployment(stopped: Stopped) -> StoppedDeployment:
    """A stop as it is answered."""
    user_id, app_id = stopped.app.user_id, str(stopped.app.id)
    if stopped.done:
        return StoppedDeployment(user_id=user_id, app_id=app_id)
    return StoppedDeployment(user_id=user_id, app_id=app_id, status="STOPPING", pending=True, message=_NOT_YET)
