"""One app as operators see it."""

from aiohttp import web

from daemons.api.domain.deletions import Deletion
from daemons.api.http.apps import AppRoutes
from daemons.api.http.deletions import deletion_view
from daemons.api.http.domains import claim_view
from daemons.api.http.pushes import rule_view
from daemons.api.services.app_details import AppDetails, Known
from daemons.kit.bodies import query, reply
from daemons.kit.openapi import Answers
from protocol.api import OfApp
from protocol.app_details import AppDetail


class AppDetailRoutes:
    """`/api/fun-ai/admin/apps/show`."""

    def __init__(self, details: AppDetails, apps: AppRoutes) -> None:
        self._details = details
        self._apps = apps

    def table(self) -> list[web.RouteDef]:
        """Routes for operators."""
        return [web.get("/api/fun-ai/admin/apps/show", self.show)]

    @Answers(AppDetail, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """The app with its slug, hosts, repository and pushes; of a deleted one how its deletion goes."""
        named = query(request, OfApp)
        return reply(self._view(await self._details.of(named.app_id, named.user_id)))

    def _view(self, found: Known | Deletion) -> AppDetail:
        if isinstance(found, Deletion):
            return AppDetail(app_id=found.app_id, user_id=found.user_id, deletion=deletion_view(found))
        app = found.app
        return AppDetail(
            app_id=app.id,
            user_id=app.user_id,
            app=self._apps.view(app, found.standing),
            domains=tuple(map(claim_view, found.claims)),
            push_to_deploy=rule_view(app, found.rule, found.push),
        )
