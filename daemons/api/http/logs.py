"""Logs of jobs and output of apps, passed on to their owners as they come."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from daemons.api.domain.access import Subject
from daemons.api.http.callers import subject
from daemons.api.ports import PlaneError
from daemons.api.services.logs import Logs
from daemons.kit.bodies import number, query
from daemons.kit.openapi import BYTES, EVENTS, Answers
from daemons.kit.tasks import first
from protocol.api import OfJob, OutputOfApp
from protocol.running import AppLogEvent, AppLogQuery

_MOST_READERS: Final = 16
_WRITE_SECONDS: Final = 15.0
_BYTES: Final = "application/octet-stream"
_EVENTS: Final = "text/event-stream; charset=utf-8"


class TooManyLogs(Exception):
    """The user reads more logs than anybody can."""


class LogRoutes:
    """`/api/fun-ai/deploy/job/log` and `/api/fun-ai/deploy/app/logs`."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._ending = asyncio.Event()
        self._readers: Counter[int] = Counter()

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.get("/api/fun-ai/deploy/job/log", self.of_job, allow_head=False),
            web.get("/api/fun-ai/deploy/app/logs", self.of_app, allow_head=False),
        ]

    async def close(self, _app: web.Application) -> None:
        """Whoever follows is let go, and comes again."""
        self._ending.set()

    @Answers(media=BYTES, refuses=(404, 429))
    async def of_job(self, request: web.Request) -> web.StreamResponse:
        """The log's bytes from `offset`, with `follow=1` until the job ended."""
        who, job_id = subject(request), query(request, OfJob).job_id
        offset = number(request, "offset", default=0, low=0, high=2**62)
        follow = request.query.get("follow") in ("1", "true")
        with self._counted(who):
            async with self._logs.of_job(who, job_id, offset, follow=follow) as pieces:
                return await self._passed(request, pieces, _BYTES)

    @Answers(AppLogEvent, media=EVENTS, endless=True, refuses=(404, 409, 429, 502))
    async def of_app(self, request: web.Request) -> web.StreamResponse:
        """The app's output, from its tail or after a cursor."""
        who, named = subject(request), query(request, OutputOfApp)
        asked = AppLogQuery(cursor=named.cursor, tail=named.tail, follow=named.follow)
        with self._counted(who):
            async with self._logs.of_app(who, named.app_id, asked) as pieces:
                return await self._passed(request, pieces, _EVENTS)

    async def _passed(self, request: web.Request, pieces: AsyncIterator[bytes], kind: str) -> web.StreamResponse:
        told = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            "X-Content-Type-Options": "nosniff",
        }
        response = web.StreamResponse(headers=told)
        await response.prepare(request)
        try:
            await first(_written(response, pieces), self._ended())
            await response.write_eof()
        except ConnectionError:
            return response
        except (PlaneError, TimeoutError):
            # The head has gone out: only a line that breaks says that this is not the end.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _ended(self) -> None:
        await self._ending.wait()

    @contextmanager
    def _counted(self, who: Subject) -> Iterator[None]:
        if self._readers[who.user_id] >= _MOST_READERS:
            raise TooManyLogs(f"you read {_MOST_READERS} logs already; close some")
        self._readers[who.user_id] += 1
        try:
            yield
        finally:
            self._readers[who.user_id] -= 1
            if not self._readers[who.user_id]:
                del self._readers[who.user_id]


async def _written(response: web.StreamResponse, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        async with asyncio.timeout(_WRITE_SECONDS):
            await response.write(piece)
