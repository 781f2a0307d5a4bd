"""Who may see previews, as their owners say it."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import reply
from daemons.kit.clock import Clock
from daemons.kit.openapi import Answers
from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.passes import Rule
from daemons.workspace.http.callers import named, ordered
from daemons.workspace.services.admission import TICKET_SECONDS, Admission
from protocol.workspace_previews import PreviewAccess, PreviewLink, SetPreviewAccess, Visibility
from protocol.workspaces import AppRef

_BASE: Final = "/api/fun-ai/workspace/preview"


class PreviewAccessRoutes:
    """Previews are public unless their owner says otherwise; a private one is seen by whoever came by a link."""

    def __init__(self, admission: Admission, seen_at: Addresses, clock: Clock) -> None:
        """`seen_at` is where visitors see previews."""
        self._admission = admission
        self._seen_at = seen_at
        self._clock = clock

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [
            web.get(f"{_BASE}/access", self.access),
            web.post(f"{_BASE}/access", self.show),
            web.post(f"{_BASE}/revoke", self.revoke),
            web.post(f"{_BASE}/link", self.link),
        ]

    @Answers(PreviewAccess, refuses=(404,))
    async def access(self, request: web.Request) -> web.Response:
        """As it is."""
        which = named(request, AppRef)
        return reply(_view(which, self._admission.rule(which.user_id, which.app_id)))

    @Answers(PreviewAccess, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """Public or private from now on; whoever was let in before is not any more."""
        order = await ordered(request, SetPreviewAccess)
        return reply(_view(order, await self._admission.show(order.user_id, order.app_id, order.visibility)))

    @Answers(PreviewAccess, refuses=(404,))
    async def revoke(self, request: web.Request) -> web.Response:
        """No link and no pass that was given out lets anybody in."""
        which = named(request, AppRef)
        return reply(_view(which, await self._admission.revoke(which.user_id, which.app_id)))

    @Answers(PreviewLink, refuses=(404,))
    async def link(self, request: web.Request) -> web.Response:
        """What the owner opens; of a private preview, good once and for a minute."""
        which = named(request, AppRef)
        seen_at = self._seen_at.url(which.app_id)
        if self._admission.rule(which.user_id, which.app_id).visibility is Visibility.PUBLIC:
            return reply(PreviewLink(user_id=which.user_id, app_id=which.app_id, url=seen_at))
        ticket = self._admission.ticket(which.user_id, which.app_id)
        until = int((self._clock.now().timestamp() + TICKET_SECONDS) * 1000)
        url = f"{seen_at}.funai/enter?ticket={ticket}"
        return reply(PreviewLink(user_id=which.user_id, app_id=which.app_id, url=url, expires_at_ms=until))


def _view(which: AppRef, rule: Rule) -> PreviewAccess:
    return PreviewAccess(
        user_id=which.user_id, app_id=which.app_id, visibility=rule.visibility, generation=rule.generation
    )
