"""The documented call that tries an app's server: section A.9."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, reply
from daemons.kit.openapi import Answers
from daemons.workspace.http.callers import named
from daemons.workspace.services.trying import Tried, Trying
from protocol.workspace_runs import ApiTried, TriedError, TryApi

_PATH: Final = "/api/fun-ai/workspace/test/api"


class TryingRoutes:
    """`test/api`. `seconds` is how long a call may take at most."""

    def __init__(self, trying: Trying, default_seconds: int, most_seconds: int) -> None:
        self._trying = trying
        self._default = default_seconds
        self._most = most_seconds

    def table(self) -> list[web.RouteDef]:
        """The route, for the API entry."""
        return [web.post(_PATH, self.curl)]

    @Answers(ApiTried, refuses=(404, 409, 502))
    async def curl(self, request: web.Request) -> web.Response:
        """How the command ended; that it failed is an answer, too."""
        asked = named(request, TryApi)
        text = asked.curl_command or asked.command
        if not text:
            raise InvalidRequest("curlCommand: must be given", ["curlCommand"])
        seconds = min(asked.timeout_seconds or self._default, self._most)
        tried = await self._trying.curl(asked.user_id, asked.app_id, text, seconds, asked.epoch)
        return reply(_answer(asked, tried, seconds))


def _answer(asked: TryApi, tried: Tried, seconds: int) -> ApiTried:
    outcome = tried.outcome
    if outcome is None:
        return ApiTried(
            user_id=asked.user_id,
            app_id=asked.app_id,
            success=False,
            execution_time_ms=tried.took_ms,
            error_type=TriedError.TIMEOUT,
            message=f"it took longer than {seconds} s and was ended",
        )
    good, written = outcome.status == 0, outcome.output + outcome.errors
    return ApiTried(
        user_id=asked.user_id,
        app_id=asked.app_id,
        success=good,
        stdout=written.decode("utf-8", "replace"),
        exit_code=outcome.status,
        execution_time_ms=tried.took_ms,
        error_type=None if good else TriedError.EXECUTION_ERROR,
        message="ok" if good else f"curl ended with exit status {outcome.status}",
        stdout_truncated=not outcome.whole,
        stdout_original_size=outcome.written or len(written),
    )
