"""Liveness and readiness.

Live: the process answers; a restart would help if it did not. Ready: its named checks pass; until they do, send it
no work.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from daemons.kit.bodies import refuse, reply
from daemons.kit.clock import Clock
from daemons.kit.openapi import Answers
from protocol.errors import ErrorReason
from protocol.nodes import ServiceHealth

Check = Callable[[], Awaitable[None]]
_CHECK_SECONDS: Final = 2.0


class HealthRoutes:
    """`/internal/health` and `/internal/ready`. A check raises to say that the daemon is not ready."""

    def __init__(self, service: str, clock: Clock, checks: Mapping[str, Check]) -> None:
        self._service = service
        self._clock = clock
        self._checks = checks

    def table(self) -> list[web.RouteDef]:
        """The routes, open to anyone."""
        return [web.get("/internal/health", self.health), web.get("/internal/ready", self.ready)]

    @Answers(ServiceHealth, envelope=True)
    async def health(self, _request: web.Request) -> web.Response:
        """The process is alive."""
        return reply(ServiceHealth(service=self._service, timestamp=self._clock.now()))

    @Answers(ServiceHealth, envelope=True, refuses=(503,))
    async def ready(self, _request: web.Request) -> web.Response:
        """Every check passes, or 503 that names those that do not."""
        failed = {name: problem for name, check in self._checks.items() if (problem := await _run(check))}
        if failed:
            text = "; ".join(f"{name}: {problem}" for name, problem in failed.items())
            return refuse(503, f"not ready: {text}", ErrorReason.UNAVAILABLE.value, {"checks": failed})
        return await self.health(_request)


async def _run(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {_CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a check raises is its finding
        return str(error) or type(error).__name__
    return None
