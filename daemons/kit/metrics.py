"""Prometheus metrics: one middleware that counts and times requests by route, one text endpoint."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.hdrs import METH_ALL
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from daemons.kit.openapi import TEXT, Answers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refresh = Callable[[], Awaitable[None]]


class Metrics:
    """A registry per daemon (never the global one), with the request figures in it."""

    def __init__(self) -> None:
        self._refreshes: list[Refresh] = []
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "funai_http_requests_total",
            "Requests by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "funai_http_request_seconds",
            "Time to answer, parked long polls included",
            ["method", "route"],
            registry=self.registry,
        )

    def before(self, refresh: Refresh) -> None:
        """Await `refresh` before figures are shown: it sets gauges whose truth lies elsewhere."""
        self._refreshes.append(refresh)

    def table(self) -> list[web.RouteDef]:
        """`GET /metrics`, open to anyone who reaches the port."""
        return [web.get("/metrics", self.expose)]

    @Answers(media=TEXT)
    async def expose(self, _request: web.Request) -> web.Response:
        """The text format."""
        for refresh in self._refreshes:
            await refresh()
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    def middleware(self) -> Any:
        """Outermost middleware: it sees the final status."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = time.perf_counter()
            status = 499
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                resource = request.match_info.route.resource
                route = resource.canonical if resource is not None else "unknown"
                method = request.method if request.method in METH_ALL else "OTHER"
                self._requests.labels(method, route, str(status)).inc()
                self._seconds.labels(method, route).observe(time.perf_counter() - started)

        return middleware
