"""Login, refresh, logout, password: how people get and give back their tokens."""

from aiohttp import web

from daemons.api.http.callers import session
from daemons.api.services.sessions import Granted, Sessions
from daemons.kit.auth import SOURCE
from daemons.kit.bodies import read, reply
from daemons.kit.openapi import Answers
from protocol.accounts import ChangePassword, LoggedIn, Login, Logout, Refresh

_BASE = "/api/fun-ai/auth"


class SessionRoutes:
    """`/api/fun-ai/auth`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.post(f"{_BASE}/login", self.login),
            web.post(f"{_BASE}/refresh", self.refresh),
            web.post(f"{_BASE}/logout", self.logout),
            web.post(f"{_BASE}/password", self.password),
        ]

    @Answers(LoggedIn, refuses=(401, 429, 503))
    async def login(self, request: web.Request) -> web.Response:
        """A name and a password for tokens."""
        asked = await read(request, Login)
        return granted_reply(await self._sessions.login(asked.user_name, asked.password, request[SOURCE]))

    @Answers(LoggedIn, refuses=(401, 503))
    async def refresh(self, request: web.Request) -> web.Response:
        """A refresh token for the next tokens."""
        return granted_reply(await self._sessions.refresh((await read(request, Refresh)).refresh_token))

    @Answers()
    async def logout(self, request: web.Request) -> web.Response:
        """The session is over, on this device or on all."""
        await self._sessions.logout(session(request), everywhere=(await read(request, Logout)).everywhere)
        return reply(None)

    @Answers(refuses=(429, 503))
    async def password(self, request: web.Request) -> web.Response:
        """Another password."""
        order = await read(request, ChangePassword)
        mine = session(request)
        await self._sessions.change_password(mine, order.current_password, order.new_password, request[SOURCE])
        return reply(None)


def granted_reply(granted: Granted) -> web.Response:
    """A session's tokens, for whoever has just come by them and for no cache."""
    account = granted.session.account
    answer = reply(
        LoggedIn(
            access_token=granted.access,
            expires_in=granted.access_seconds,
            refresh_token=granted.refresh,
            refresh_expires_in=granted.refresh_seconds,
            user_id=account.user_id,
            user_name=account.name,
            role=account.role,
        )
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
