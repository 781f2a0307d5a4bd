"""The live event stream."""

import re
from typing import Final

from aiohttp import web

from daemons.deploy.services.feed import Feed
from daemons.kit.bodies import InvalidRequest
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sse import stream
from protocol.headers import LAST_EVENT_ID

_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class EventRoutes:
    """`GET /admin/events`."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/admin/events", self.follow, allow_head=False)]

    @Answers(media=EVENTS, endless=True)
    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Events after `Last-Event-ID` (or `?after=`; the header wins), or from now on."""
        return await stream(request, self._feed.follow(_position(request)))


def _position(request: web.Request) -> int | None:
    header = request.headers.get(LAST_EVENT_ID)
    name, text = (LAST_EVENT_ID, header) if header is not None else ("after", request.query.get("after"))
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{name}: must be the number of an event", [name])
    return int(text)
