"""What operators do with somebody's app: the same as its owner, by the same services and within the owner's limits."""

from aiohttp import web

from daemons.api.domain.access import Subject
from daemons.api.http.callers import idempotency_key, log_acting
from daemons.api.http.deployments import stopped_deployment
from daemons.api.services.deployments import Deployments
from daemons.api.services.ownership import Ownership
from daemons.kit.bodies import query, read, reply
from daemons.kit.openapi import Answers
from protocol.api import OfApp, OfRelease, StartDeployment, StoppedDeployment
from protocol.jobs import JobView
from protocol.releases import RollbackJob

_BASE = "/api/fun-ai/admin/apps"


class AppOperatorRoutes:
    """`/api/fun-ai/admin/apps/deploy|rollback|stop`."""

    def __init__(self, deployments: Deployments, ownership: Ownership) -> None:
        self._deployments = deployments
        self._ownership = ownership

    def table(self) -> list[web.RouteDef]:
        """Routes for operators."""
        return [
            web.post(f"{_BASE}/deploy", self.deploy),
            web.post(f"{_BASE}/rollback", self.rollback),
            web.post(f"{_BASE}/stop", self.stop),
        ]

    @Answers(JobView, refuses=(404, 409, 502))
    async def deploy(self, request: web.Request) -> web.Response:
        """Queue a deployment of somebody's app."""
        named = query(request, OfApp)
        order = await read(request, StartDeployment)
        owner = await self._owner(request, named)
        return reply(await self._deployments.start(owner, named.app_id, order, idempotency_key(request)))

    @Answers(RollbackJob, refuses=(404, 409, 502))
    async def rollback(self, request: web.Request) -> web.Response:
        """A job that deploys an earlier release of somebody's app without a build."""
        named = query(request, OfRelease)
        owner = await self._owner(request, named)
        key = idempotency_key(request)
        return reply(await self._deployments.rollback(owner, named.app_id, named.release, key))

    @Answers(StoppedDeployment, refuses=(404, 409, 502))
    async def stop(self, request: web.Request) -> web.Response:
        """Stop somebody's app."""
        named = query(request, OfApp)
        owner = await self._owner(request, named)
        return reply(stopped_deployment(await self._deployments.stop(owner, named.app_id)))

    async def _owner(self, request: web.Request, named: OfApp) -> Subject:
        """On whose behalf it is done; who does it is logged with the app. Raises NotFound, also for an app that is not
        the named user's."""
        owner = await self._ownership.owner(named.app_id, named.user_id)
        log_acting(request, named.app_id, owner)
        return owner
