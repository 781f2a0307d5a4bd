"""Keys for git that workspace nodes borrow."""

from datetime import UTC, datetime

from aiohttp import web

from daemons.api.domain.keys import parse
from daemons.api.http.workspace_nodes import node_of
from daemons.api.services.loans import Loans
from daemons.kit.bodies import read, reply
from daemons.kit.openapi import Answers
from protocol.git_loans import (
    LEND_PATH,
    RETURN_ALL_PATH,
    RETURN_PATH,
    GitKeyLent,
    GitKeysReturned,
    LendGitKey,
    ReturnGitKey,
    ReturnGitKeys,
)


class LoanRoutes:
    """`/api/fun-ai/internal/git-loans/...`, for workspace nodes that have a token of their own."""

    def __init__(self, loans: Loans) -> None:
        self._loans = loans

    def table(self) -> list[web.RouteDef]:
        """Routes for workspace nodes."""
        return [
            web.post(LEND_PATH, self.lend),
            web.post(RETURN_PATH, self.give_back),
            web.post(RETURN_ALL_PATH, self.give_back_all),
        ]

    @Answers(GitKeyLent, refuses=(404, 409, 429))
    async def lend(self, request: web.Request) -> web.Response:
        """Let a key in, to the repository of an app whose owner's workspace is on the calling node."""
        order = await read(request, LendGitKey)
        key, app = parse(order.public_key), (order.user_id, order.app_id)
        loan = await self._loans.lend(node_of(request), *app, key, order.seconds)
        until = datetime.fromtimestamp(loan.expires_at / 1000, UTC)
        return reply(GitKeyLent(fingerprint=loan.fingerprint, repository=loan.repository, expires_at=until))

    @Answers(GitKeysReturned)
    async def give_back(self, request: web.Request) -> web.Response:
        """Take a key back that the calling node was lent."""
        order = await read(request, ReturnGitKey)
        return reply(GitKeysReturned(keys=await self._loans.give_back(node_of(request), order.fingerprint)))

    @Answers(GitKeysReturned)
    async def give_back_all(self, request: web.Request) -> web.Response:
        """Take back all keys that the calling node was lent for an app."""
        order = await read(request, ReturnGitKeys)
        count = await self._loans.give_back_all(node_of(request), order.user_id, order.app_id)
        return reply(GitKeysReturned(keys=count))
