"""The person behind a token."""

from aiohttp import web

from daemons.api.domain.access import NotFound
from daemons.api.http.callers import subject
from daemons.api.ports import UserStore
from daemons.kit.bodies import reply
from daemons.kit.openapi import Answers
from protocol.api import UserInfo


class UserRoutes:
    """`/api/fun-ai/user`."""

    def __init__(self, users: UserStore) -> None:
        self._users = users

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [web.get("/api/fun-ai/user/me", self.me)]

    @Answers(UserInfo, refuses=(404,))
    async def me(self, request: web.Request) -> web.Response:
        """Whose token this is: how a client checks one."""
        user = await self._users.user(subject(request).user_id)
        if user is None:
            raise NotFound("the user of this token does not exist any more")
        return reply(UserInfo(user_id=user.id, user_name=user.name, user_type=user.type))
