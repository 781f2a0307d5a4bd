"""Logins by another provider: `/api/fun-ai/auth/oidc`, and what admins say of them.

The only address that a browser is ever sent to is the provider's own, and no request says where to go afterwards.
"""

from typing import Final

from aiohttp import web

from daemons.api.http.accounts import account_view
from daemons.api.http.sessions import granted_reply
from daemons.api.services.identities import ATTEMPT_SECONDS, Identities
from daemons.kit.auth import SOURCE
from daemons.kit.bodies import query, read, reply
from daemons.kit.openapi import Answers
from protocol.accounts import AccountView, LinkAccount, LoggedIn, ProviderAnswer

_BASE: Final = "/api/fun-ai/auth/oidc"
#: Browsers keep it for this path alone, and from pages of nobody else's.
_COOKIE: Final = "__Secure-funai-login"


class IdentityRoutes:
    """To the provider, back, and whose account it is."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def table(self) -> list[web.RouteDef]:
        """For people, and one for admins."""
        return [
            web.get(f"{_BASE}/login", self.login, allow_head=False),
            web.get(f"{_BASE}/callback", self.callback, allow_head=False),
            web.post("/api/fun-ai/admin/users/link", self.link),
        ]

    @Answers("to the provider", status=302, refuses=(404, 429, 502, 503))
    async def login(self, request: web.Request) -> web.Response:
        """The browser goes to the provider."""
        place, browser = await self._identities.begin(request[SOURCE])
        answer = web.Response(status=302, headers={"Location": place, "Cache-Control": "no-store"})
        answer.set_cookie(
            _COOKIE, browser, max_age=ATTEMPT_SECONDS, path=_BASE, secure=True, httponly=True, samesite="Lax"
        )
        return answer

    @Answers(LoggedIn, refuses=(401, 403, 404, 429, 502, 503))
    async def callback(self, request: web.Request) -> web.Response:
        """The browser, or the page that it came back to, brings the provider's answer."""
        told = query(request, ProviderAnswer)
        browser = request.cookies.get(_COOKIE, "")
        code = told.code if told.error is None else None
        answer = granted_reply(await self._identities.finish(told.state, browser, code, request[SOURCE]))
        answer.del_cookie(_COOKIE, path=_BASE, secure=True, httponly=True, samesite="Lax")
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    @Answers(AccountView, refuses=(404, 409))
    async def link(self, request: web.Request) -> web.Response:
        """Who the provider calls so logs in to this account."""
        order = await read(request, LinkAccount)
        return reply(account_view(await self._identities.link(order.subject, int(order.user_id))))
