"""What apps write, as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from daemons.agent.services.output import AppOutput
from daemons.agent.services.recovery import Recovery
from daemons.kit.bodies import query
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sse import Frame, stream
from protocol.running import AppLogEvent, AppOutputQuery

_BEAT: Final = b": beat\n\n"
_QUIET_LOOKS: Final = 5


class OutputRoutes:
    """`/agent/apps/output`."""

    def __init__(self, output: AppOutput, recovery: Recovery) -> None:
        self._output = output
        self._recovery = recovery

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [web.get("/agent/apps/output", self.read, allow_head=False)]

    @Answers(AppLogEvent, media=EVENTS, endless=True, refuses=(404, 409, 429, 503))
    async def read(self, request: web.Request) -> web.StreamResponse:
        """The app's output; a beat every five seconds while it is silent."""
        asked = query(request, AppOutputQuery)
        self._recovery.check()
        with self._output.seat(asked):
            return await stream(request, self._frames(request, asked))

    async def _frames(self, request: web.Request, asked: AppOutputQuery) -> AsyncGenerator[bytes, None]:
        quiet = 0
        async with aclosing(self._output.read(asked)) as events:
            async for event in events:
                if request.transport is None or request.transport.is_closing():
                    return
                quiet = quiet + 1 if event is None else 0
                if event is not None:
                    yield Frame(event.kind.value, event.to_json()).wire
                elif quiet % _QUIET_LOOKS == 0:
                    yield _BEAT
