"""The deletion of apps, and the operators' view of those that go on."""

from collections.abc import Sequence

from aiohttp import web

from daemons.api.domain.deletions import Deletion
from daemons.api.http.apps import moment
from daemons.api.http.callers import log_acting, subject
from daemons.api.services.deletions import Deletions
from daemons.kit.bodies import query, reply
from daemons.kit.openapi import Answers
from protocol.api import AppDeletionView, OfApp


class DeletionRoutes:
    """`/api/fun-ai/app/delete`, `/api/fun-ai/admin/apps/delete` and `/api/fun-ai/admin/app-deletions`."""

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions

    def table(self) -> list[web.RouteDef]:
        """Routes for people. Deleting by GET is how existing clients do it."""
        path = "/api/fun-ai/app/delete"
        return [web.get(path, self.delete, allow_head=False), web.post(path, self.delete)]

    def admin_table(self) -> list[web.RouteDef]:
        """Routes for operators."""
        return [
            web.post("/api/fun-ai/admin/apps/delete", self.delete_for_owner),
            web.get("/api/fun-ai/admin/app-deletions", self.unfinished),
        ]

    @Answers(AppDeletionView, refuses=(404,))
    async def delete(self, request: web.Request) -> web.Response:
        """The app is gone; asked again, how far its deletion came."""
        named = query(request, OfApp)
        return reply(deletion_view(await self._deletions.delete(subject(request), named.app_id)))

    @Answers(AppDeletionView, refuses=(404,))
    async def delete_for_owner(self, request: web.Request) -> web.Response:
        """Somebody's app is gone, as if its owner had deleted it; asked again, how far that came."""
        named = query(request, OfApp)
        owner = await self._deletions.owner(named.app_id, named.user_id)
        log_acting(request, named.app_id, owner)
        return reply(deletion_view(await self._deletions.delete(owner, named.app_id)))

    @Answers(Sequence[AppDeletionView])
    async def unfinished(self, _request: web.Request) -> web.Response:
        """Deletions of which something is left, with what is in the way."""
        return reply([deletion_view(each) for each in await self._deletions.unfinished()])


def deletion_view(deletion: Deletion) -> AppDeletionView:
    """How a deletion goes."""
    return AppDeletionView(
        app_id=deletion.app_id,
        user_id=deletion.user_id,
        app_name=deletion.app_name,
        complete=deletion.done_at is not None,
        left=deletion.left,
        attempts=deletion.attempts,
        problem=deletion.problem,
        asked_at=moment(deletion.asked_at),
        next_attempt_at=None if deletion.next_at is None else moment(deletion.next_at),
        completed_at=None if deletion.done_at is None else moment(deletion.done_at),
        message=_message(deletion),
    )


def _message(deletion: Deletion) -> str:
    if deletion.done_at is not None:
        return f"{deletion.app_name} was deleted"
    left = ", ".join(part.value for part in deletion.left)
    return f"{deletion.app_name} is gone; what is left elsewhere is taken away without another call: {left}"
