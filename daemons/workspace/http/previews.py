"""What gateways ask: which port leads to a preview, and who may see it. The documented answer of nginx's
`auth_request`."""

from typing import Final

from aiohttp import web
from pydantic import Field

from daemons.kit.openapi import Answers
from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.passes import GOOD_SECONDS, NotAdmitted
from daemons.workspace.http.callers import named
from daemons.workspace.services.admission import Admission
from daemons.workspace.services.previews import NoPreview, NotReady, Previews, Visit
from protocol import headers
from protocol.base import Wire
from protocol.names import AppId
from protocol.workspaces import PreviewRef

_BASE: Final = "/api/fun-ai/workspace/internal"
_SEE_OTHER: Final = 303
_UNAUTHORIZED: Final = 401
_STARTING: Final = 503
#: nginx keeps headers of an answer, not its status.
_WHY: Final = "X-WS-Why"
_COOKIE: Final = "funai_preview"


class Entry(Wire):
    """Whose link it was, and what it says."""

    app_id: AppId
    ticket: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")


class PreviewRoutes:
    """Section A.10: 204 with the port, or 404 without one; a visit wakes a workspace that sleeps. Of a private preview
    whoever shows no pass gets 401, and nothing wakes."""

    def __init__(self, previews: Previews, admission: Admission, seen_at: Addresses) -> None:
        """`seen_at` is where visitors see previews."""
        self._previews = previews
        self._admission = admission
        self._seen_at = seen_at

    def table(self) -> list[web.RouteDef]:
        """The routes, for the node's gateway."""
        return [
            web.get(f"{_BASE}/nginx/port", self.port),
            # Whoever only looks at a link does not use it up.
            web.get(f"{_BASE}/preview/enter", self.enter, allow_head=False),
        ]

    @Answers(status=204, also={401: "private: no good pass", 404: "nothing serves it", 503: "it is being started"})
    async def port(self, request: web.Request) -> web.Response:
        """`X-WS-Port`, and `X-WS-Prefix: keep` for a server that wants the public path left on; `X-WS-Cookie` is what
        the visitor is to be given."""
        wanted = named(request, PreviewRef)
        try:
            visit = await self._find(wanted, request.headers.get(headers.PREVIEW_PASS, ""))
        except NotAdmitted:
            return web.Response(status=_UNAUTHORIZED, headers={_WHY: "private"})
        except NoPreview:
            return web.Response(status=404, headers={_WHY: "unserved"})
        except NotReady:
            return web.Response(status=_STARTING, headers={"Retry-After": "1", _WHY: "starting"})
        found = visit.address
        prefix = "keep" if found.keeps_prefix else "strip"
        told = {"X-WS-Port": str(found.port), "X-WS-Prefix": prefix, "X-WS-App": found.app_id}
        if visit.private:
            told["X-WS-Visibility"] = "private"
        if visit.renewed:
            told["X-WS-Cookie"] = self._cookie(found.app_id, visit.renewed)
        return web.Response(status=204, headers=told)

    @Answers("on to the preview", status=303, also={401: "no link that is good"})
    async def enter(self, request: web.Request) -> web.Response:
        """On to the preview, with a pass, for whoever came by a link that is good."""
        entry = named(request, Entry)
        told = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        try:
            made = self._admission.enter(entry.app_id, entry.ticket)
        except NotAdmitted:
            return web.Response(status=_UNAUTHORIZED, headers={**told, _WHY: "private"})
        told |= {"Set-Cookie": self._cookie(entry.app_id, made), "Location": self._seen_at.path(entry.app_id)}
        return web.Response(status=_SEE_OTHER, headers=told)

    async def _find(self, wanted: PreviewRef, shown: str) -> Visit:
        if wanted.user_id is not None:
            return await self._previews.of_user(wanted.user_id, shown)
        if wanted.app_id is not None:
            return await self._previews.of_app(wanted.app_id, shown)
        raise NoPreview("neither a user nor an app was named")

    def _cookie(self, app_id: str, made: str) -> str:
        """Without spaces: HAProxy keeps it as one word of a map."""
        text = f"{_COOKIE}={made};Path={self._seen_at.path(app_id)};Max-Age={GOOD_SECONDS};HttpOnly;SameSite=Lax"
        return f"{text};Secure" if self._seen_at.secure else text
