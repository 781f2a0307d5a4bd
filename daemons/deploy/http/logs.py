"""Reading and following a job's log."""

import logging
from contextlib import aclosing

from aiohttp import web

from daemons.deploy.http.requests import job_id
from daemons.deploy.ports import StoreUnavailable
from daemons.deploy.services.logs import Logs
from daemons.kit.bodies import number
from daemons.kit.openapi import BYTES, Answers

logger = logging.getLogger(__name__)


class LogRoutes:
    """`GET /deploy/jobs/{jobId}/log`."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/deploy/jobs/{job_id}/log", self.read, allow_head=False)]

    @Answers(media=BYTES, refuses=(404,))
    async def read(self, request: web.Request) -> web.StreamResponse:
        """The log's bytes from `offset`, with `follow=1` until the job ended."""
        wanted = job_id(request)
        offset = number(request, "offset", default=0, low=0, high=2**62)
        follow = request.query.get("follow") in ("1", "true")
        await self._logs.require(wanted)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        try:
            async with aclosing(self._logs.read(wanted, offset, follow=follow)) as chunks:
                async for chunk in chunks:
                    await response.write(chunk)
            await response.write_eof()
        except ConnectionResetError:
            return response
        except (LookupError, StoreUnavailable) as error:
            logger.warning("a log stream was cut off", extra={"job_id": wanted, "error": str(error)})
            if request.transport is not None:
                request.transport.abort()
            return response
        return response
