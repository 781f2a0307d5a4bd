"""A user's apps, and the operators' view of all."""

from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from daemons.api.domain.apps import App, Draft, Standing
from daemons.api.domain.deployments import Hosting
from daemons.api.http.callers import idempotency_key, subject
from daemons.api.services.apps import Apps
from daemons.kit.bodies import query, read, reply
from daemons.kit.openapi import Answers
from protocol.api import AppIds, AppInfo, AppState, CreateApp, OfApp, OfUser, UpdateApp


class AppRoutes:
    """`/api/fun-ai/app`, `/api/fun-ai/deploy/app/list` and what operators see."""

    def __init__(self, apps: Apps, hosting: Hosting) -> None:
        self._apps = apps
        self._hosting = hosting

    def table(self) -> list[web.RouteDef]:
        """Routes for people. Creating by GET is how existing clients do it."""
        return [
            web.get("/api/fun-ai/app/create", self.create, allow_head=False),
            web.post("/api/fun-ai/app/create", self.create),
            web.post("/api/fun-ai/app/update-basic", self.update),
            web.get("/api/fun-ai/app/list", self.list),
            web.get("/api/fun-ai/app/info", self.info),
            web.get("/api/fun-ai/deploy/app/list", self.deployed),
        ]

    def admin_table(self) -> list[web.RouteDef]:
        """Routes for operators."""
        return [
            web.get("/api/fun-ai/admin/apps", self.every),
            web.get("/api/fun-ai/internal/apps/ids", self.ids),
        ]

    @Answers(AppInfo, refuses=(409,))
    async def create(self, request: web.Request) -> web.Response:
        """A new app."""
        query(request, OfUser)
        order = await read(request, CreateApp)
        draft = Draft(order.app_name, order.app_description, order.app_type)
        app, standing = await self._apps.create(subject(request), draft, idempotency_key(request))
        return reply(self.view(app, standing))

    @Answers(AppInfo, refuses=(404, 409))
    async def update(self, request: web.Request) -> web.Response:
        """Another name, description, type or slug."""
        order = await read(request, UpdateApp)
        draft = Draft(order.app_name, order.app_description, order.app_type, order.app_slug)
        app, standing = await self._apps.update(subject(request), order.app_id, draft)
        return reply(self.view(app, standing))

    @Answers(Sequence[AppInfo])
    async def list(self, request: web.Request) -> web.Response:
        """All the caller's apps."""
        query(request, OfUser)
        found = await self._apps.of(subject(request))
        return reply([self.view(app, standing) for app, standing in found])

    @Answers(AppInfo, refuses=(404,))
    async def info(self, request: web.Request) -> web.Response:
        """One app."""
        named = query(request, OfApp)
        app, standing = await self._apps.one(subject(request), named.app_id)
        return reply(self.view(app, standing))

    @Answers(Sequence[AppInfo], refuses=(404,))
    async def deployed(self, request: web.Request) -> web.Response:
        """The caller's apps that are deploying, ready or failed."""
        named = query(request, OfApp if "appId" in request.query else OfUser)
        app_id = named.app_id if isinstance(named, OfApp) else None
        found = await self._apps.deployed(subject(request), app_id)
        return reply([self.view(app, standing) for app, standing in found])

    @Answers(Sequence[AppInfo])
    async def every(self, _request: web.Request) -> web.Response:
        """All apps of all users."""
        return reply([self.view(app, standing) for app, standing in await self._apps.every()])

    @Answers(AppIds)
    async def ids(self, _request: web.Request) -> web.Response:
        """The ids of all apps."""
        ids = tuple(await self._apps.ids())
        return reply(AppIds(app_ids=ids, count=len(ids)))

    def view(self, app: App, standing: Standing) -> AppInfo:
        """An app as its owner sees it."""
        ready = standing.url if standing.status is AppState.READY else None
        return AppInfo(
            id=app.id,
            user_id=app.user_id,
            app_name=app.name,
            app_description=app.description,
            app_type=app.type,
            app_status=standing.status,
            last_deploy_error=standing.error,
            last_job_id=standing.last_job,
            deploy_url=standing.url,
            deploy_access_url=ready,
            access_url=ready,
            status_as_of=None if standing.as_of is None else moment(standing.as_of),
            stop_pending=standing.stop_pending,
            app_slug=app.slug,
            repo_ssh_url=self._hosting.repository_url(app.user_id, app.id),
            repo_status=app.repo_status,
            repo_reason=app.repo_reason,
            create_time=moment(app.created_at),
            update_time=moment(app.updated_at),
        )


def moment(milliseconds: int) -> datetime:
    """Epoch milliseconds as a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
