"""Nobody works on a workspace that is another node's, or on its way there: not by any route, files included.

An answer that comes of it carries `X-WS-Fence`, so that the API asks its database again and brings the call to the
node that has the workspace now.
"""

import asyncio
import contextlib
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, web

from daemons.kit.auth import Handler
from daemons.kit.bodies import InvalidRequest
from daemons.workspace.domain.workspaces import BeingMoved, MovedAway, StaleEpoch
from daemons.workspace.http.signed import proven
from daemons.workspace.services.visits import Visit, Visits
from daemons.workspace.services.workspaces import Workspaces
from protocol.headers import WORKSPACE_FENCE
from protocol.workspaces import MOST_EPOCH

_PREFIX: Final = "/api/fun-ai/workspace/"
_INTERNAL: Final = f"{_PREFIX}internal/"
#: What operators and the API do in a workspace is fenced as what its user does.
_OPERATORS: Final = frozenset({f"{_INTERNAL}stop", f"{_INTERNAL}exec", f"{_INTERNAL}maintenance/app-deleted"})
#: Looks that tell where the workspace is in its move.
_LOOKS: Final = frozenset({f"{_PREFIX}container/status"})
_SAID: Final = {StaleEpoch: "stale", MovedAway: "moved", BeingMoved: "moving"}
_BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
_VISIT: Final = web.RequestKey("visit", Visit)
_MOVING: Final = "the workspace is being moved to another node; connect again"
_CLOSING_SECONDS: Final = 0.5
_FENCED: Final = web.RequestKey("fenced", str)


class Fence:
    """Stands before every route about a user's workspace."""

    def __init__(self, workspaces: Workspaces, visits: Visits) -> None:
        self._workspaces = workspaces
        self._visits = visits

    def middleware(self) -> Any:
        """Goes inside of what answers problems and what proves callers."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            user_id = await _user(request)
            if user_id is None:
                return await handler(request)
            if request.path not in _LOOKS:
                await self._admit(request, user_id)
            return await self._visit(request, handler, user_id)

        return middleware

    async def _admit(self, request: web.Request, user_id: str) -> None:
        """Raises StaleEpoch, MovedAway, BeingMoved; nothing was done then, and the answer says so."""
        try:
            # What proves itself only at its end teaches nobody a newer epoch.
            await self._workspaces.admit(user_id, _epoch(request), learn=proven(request))
        except (StaleEpoch, MovedAway, BeingMoved) as error:
            request[_FENCED] = _SAID[type(error)]
            raise

    async def _visit(self, request: web.Request, handler: Handler, user_id: str) -> web.StreamResponse:
        with self._visits.visiting(user_id) as visit:
            request[_VISIT] = visit
            try:
                return await handler(request)
            except asyncio.CancelledError:
                if not visit.sent_away:
                    raise
                visit.task.uncancel()
                await _cut(request)
                raise BeingMoved("the workspace is being moved to another node; try again in a moment") from None


async def _cut(request: web.Request) -> None:
    """Whoever is in the middle of an answer is told so, by a line's end or by the connection's."""
    answer = request.get(_BEGUN)
    if isinstance(answer, web.WebSocketResponse):
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await answer.close(code=WSCloseCode.SERVICE_RESTART, message=_MOVING.encode())
    if answer is not None and request.transport is not None:
        request.transport.abort()


async def marked(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: why the fence let nobody through; from here on no other answer can be given."""
    request[_BEGUN] = response
    if (visit := request.get(_VISIT)) is not None:
        lasts = isinstance(response, web.WebSocketResponse) or response.content_type == "text/event-stream"
        visit.lasting = lasts
    if (said := request.get(_FENCED)) is not None:
        response.headers[WORKSPACE_FENCE] = said


def fenced(path: str) -> bool:
    """Whether calls of this path are about the workspace of the user that they name."""
    return path.startswith(_PREFIX) and (not path.startswith(_INTERNAL) or path in _OPERATORS)


async def _user(request: web.Request) -> str | None:
    """Whose workspace the call is about; None when it is about nobody's."""
    if not fenced(request.path):
        return None
    named = request.query.getall("userId", [])
    if named:
        return named[0] if named[0].isdecimal() else None
    if request.content_type != "application/json" or not request.body_exists:
        return None
    try:
        found = orjson.loads(await request.read()).get("userId")
    except (ValueError, AttributeError):
        return None
    text = str(found) if isinstance(found, int | str) else ""
    return text if text.isdecimal() else None


def _epoch(request: web.Request) -> int | None:
    said = request.query.getall("epoch", [])
    if not said:
        return None
    if len(said) > 1 or not (said[0].isascii() and said[0].isdecimal() and len(said[0]) < 17):
        raise InvalidRequest("epoch: must be a whole number, given once", ["epoch"])
    # What is learned here is told in answers, whose epochs end there.
    if int(said[0]) > MOST_EPOCH:
        raise InvalidRequest(f"epoch: must be {MOST_EPOCH} at most", ["epoch"])
    return int(said[0])
