"""What the control plane tells of ended jobs."""

from collections.abc import Sequence

from aiohttp import web

from daemons.api.services.results import Results
from daemons.kit.bodies import InvalidRequest, parse, reply
from daemons.kit.clock import Clock
from daemons.kit.openapi import Answers
from protocol import headers
from protocol.webhooks import RESULTS_PATH, JobEnded, ResultTaken, check_signature


class ResultRoutes:
    """`POST /api/fun-ai/internal/deploy-events`: open to those whose signature fits. Without a secret nobody's does."""

    def __init__(self, results: Results, secrets: Sequence[str], clock: Clock) -> None:
        self._results = results
        self._secrets = tuple(secrets)
        self._clock = clock

    def table(self) -> list[web.RouteDef]:
        """The route."""
        return [web.post(RESULTS_PATH, self.take)]

    @Answers(ResultTaken, body=JobEnded, refuses=(401,))
    async def take(self, request: web.Request) -> web.Response:
        """Take a result. Raises SignatureRefused."""
        body = await request.read()
        timestamp, signature = (
            request.headers.get(name, "") for name in (headers.DELIVERY_TIMESTAMP, headers.DELIVERY_SIGNATURE)
        )
        check_signature(self._secrets, timestamp, signature, body, int(self._clock.now().timestamp()))
        told = parse(body, JobEnded)
        if request.headers.get(headers.DELIVERY_ID, told.id) != told.id:
            raise InvalidRequest(f"{headers.DELIVERY_ID}: must be the id in the body", [headers.DELIVERY_ID])
        return reply(await self._results.take(told))
