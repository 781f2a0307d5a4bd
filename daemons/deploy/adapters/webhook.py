"""Delivers results over HTTP: signed, without following redirects, and without looking at what is answered."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx

from daemons.deploy.domain.webhooks import Answer
from daemons.kit.clock import Clock
from protocol import headers
from protocol.webhooks import signature

_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class HttpReceiver:
    """The port `Receiver`. An attempt takes at most `seconds`. Made by `open_receiver`."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, secrets: Sequence[str], clock: Clock, *, seconds: float = _SECONDS
    ) -> None:
        self._client = client
        self._url = url
        self._secrets = tuple(secrets)
        self._clock = clock
        self._seconds = seconds

    async def deliver(self, key: str, body: bytes) -> Answer:
        """One attempt; what came of it."""
        signed = int(self._clock.now().timestamp())
        given = {
            "Content-Type": "application/json",
            headers.DELIVERY_ID: key,
            headers.DELIVERY_TIMESTAMP: str(signed),
            headers.DELIVERY_SIGNATURE: signature(self._secrets, signed, body),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("POST", self._url, content=body, headers=given) as response,
            ):
                return Answer(response.status_code)
        except TimeoutError:
            return Answer(None, f"the receiver did not answer within {self._seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The kind of failure only: a message may name the URL, and with it what an operator keeps in it.
            return Answer(None, f"the receiver could not be reached ({type(error).__name__})")


@asynccontextmanager
async def open_receiver(
    url: str, secrets: Sequence[str], clock: Clock, *, seconds: float = _SECONDS
) -> AsyncIterator[HttpReceiver]:
    """The receiver at a URL for the duration of the block."""
    timeout = httpx.Timeout(seconds)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        yield HttpReceiver(client, url, secrets, clock, seconds=seconds)
