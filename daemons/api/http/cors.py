"""Which pages of other origins may read answers: those of the listed origins, to the letter, and nobody else.

Also of streams, whose heads go out while their handlers run.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

from daemons.kit.bodies import refuse
from protocol import headers
from protocol.errors import ErrorReason

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = ", ".join(
    (
        headers.AUTHORIZATION,
        "Content-Type",
        headers.IDEMPOTENCY_KEY,
        headers.REQUEST_ID,
        headers.LAST_EVENT_ID,
        "If-Match",
        "If-None-Match",
        "Range",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Defer-Length",
        "Upload-Length",
        "Upload-Metadata",
        "Upload-Offset",
    )
)
_SHOWN: Final = ", ".join(
    (
        headers.REQUEST_ID,
        "Content-Disposition",
        "Content-Range",
        "ETag",
        "Location",
        "Retry-After",
        "Tus-Resumable",
        "Upload-Expires",
        "Upload-Length",
        "Upload-Offset",
        "X-WS-Log-Version",
    )
)
_SECONDS: Final = "600"


class Origins:
    """A middleware for preflights, and a signal that marks all other answers."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def middleware(self) -> Any:
        """Answers preflights before anybody is asked who they are: browsers send them without credentials."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method != "OPTIONS" or not {"Origin", "Access-Control-Request-Method"} <= request.headers.keys():
                return await handler(request)
            if not self._admits(request):
                return refuse(403, "pages of this origin may not call", ErrorReason.FORBIDDEN.value)
            told = {
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _REQUEST_HEADERS,
                "Access-Control-Max-Age": _SECONDS,
            }
            return web.Response(status=204, headers=told)

        return middleware

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`."""
        if self._allowed:
            response.headers.add("Vary", "Origin")
        if self._admits(request):
            response.headers.update(
                CIMultiDict(
                    {
                        "Access-Control-Allow-Origin": request.headers["Origin"],
                        "Access-Control-Allow-Credentials": "true",
                        "Access-Control-Expose-Headers": _SHOWN,
                    }
                )
            )

    def _admits(self, request: web.Request) -> bool:
        given = request.headers.getall("Origin", [])
        return len(given) == 1 and given[0] in self._allowed
