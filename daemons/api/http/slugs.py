"""Slugs over HTTP: a question of owners, and the way of visitors to an app."""

from typing import Final

from aiohttp import web

from daemons.api.http.callers import subject
from daemons.api.ports import PlaneError
from daemons.api.services.slugs import Slugs
from daemons.kit.bodies import query, reply
from daemons.kit.gateway_pages import Page, page
from daemons.kit.openapi import Answers
from protocol.api import SlugAnswer, SlugQuestion
from protocol.names import public_path

_BUILDING: Final = Page(
    "building", 503, "Under construction", "This app has not been published yet. Come back later.", retry_seconds=60
)


class SlugRoutes:
    """`GET /api/fun-ai/app/slug/check`, and `GET /{slug}` for anybody."""

    def __init__(self, slugs: Slugs) -> None:
        self._slugs = slugs

    def table(self) -> list[web.RouteDef]:
        """The last one takes what no other route does."""
        return [
            web.get("/api/fun-ai/app/slug/check", self.check),
            web.get("/{slug:[a-z0-9]+(?:-[a-z0-9]+)*}", self.visit),
        ]

    @Answers(SlugAnswer, refuses=(404,))
    async def check(self, request: web.Request) -> web.Response:
        """Whether an app may have the slug."""
        asked = query(request, SlugQuestion)
        why = await self._slugs.check(subject(request), asked.app_slug, asked.app_id)
        return reply(SlugAnswer(app_slug=asked.app_slug, available=why is None, reason=why))

    @Answers("to the app", status=302, pages=(404, 503))
    async def visit(self, request: web.Request) -> web.StreamResponse:
        """To the app, if it is published."""
        try:
            way = await self._slugs.way(request.match_info["slug"])
        except PlaneError:
            return _shown(request, page("unfound"))
        if way is None:
            return _shown(request, page("absent"))
        if not way.published:
            return _shown(request, _BUILDING)
        # As it came: what is decoded may break a line, or be another query.
        asked = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        location = f"{public_path(str(way.app_id))}/{asked}"
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _shown(request: web.Request, shown: Page) -> web.Response:
    accepted = request.headers.get("Accept", "")
    json = "application/json" in accepted and "text/html" not in accepted
    headers = {"Cache-Control": "no-store"}
    if shown.retry_seconds is not None:
        headers["Retry-After"] = str(shown.retry_seconds)
    kind, text = ("application/json", shown.json) if json else ("text/html", shown.html)
    return web.Response(status=shown.status, text=text, content_type=kind, charset="utf-8", headers=headers)
