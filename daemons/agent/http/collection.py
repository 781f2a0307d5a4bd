"""What operators have removed from the node's disk."""

import asyncio
from typing import Final

from aiohttp import web

from daemons.agent.services.collection import Collector
from daemons.agent.services.recovery import Recovery
from daemons.kit.bodies import bare
from daemons.kit.openapi import Answers
from protocol.nodes import NodeCollected

#: How long the answer waits for the end; a collection goes on without it.
_PATIENCE_SECONDS: Final = 5.0
_FAILED: Final = "the engine or the agent's state failed; the agent's log says how"


class CollectionRoutes:
    """`/agent/disk/collect`."""

    def __init__(self, collector: Collector, recovery: Recovery) -> None:
        self._collector = collector
        self._recovery = recovery

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [web.post("/agent/disk/collect", self.collect)]

    @Answers(NodeCollected, refuses=(503,))
    async def collect(self, _request: web.Request) -> web.Response:
        """Remove everything that nobody needs; asked again meanwhile, both get the same answer."""
        self._recovery.check()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                done = await self._collector.everything()
        except TimeoutError:
            return bare(NodeCollected(pending=True))
        if done is None:
            return bare(NodeCollected(problem=_FAILED))
        return bare(
            NodeCollected(freed_bytes=done.freed_bytes, images=done.images, logs=done.logs, problem=done.problem)
        )
