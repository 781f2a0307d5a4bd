"""Asks children whether they are ready, and pages whether they are served."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx

_SECONDS: Final = 2.0


def _client() -> httpx.AsyncClient:
    # To read whom TLS trusts, for each question anew, would cost more than the question.
    return httpx.AsyncClient(timeout=_SECONDS, trust_env=False, verify=False)  # noqa: S501 - all of it is plain HTTP


class NetworkProbe:
    """`http://` addresses must answer 200, `tcp://` addresses must accept a connection."""

    async def problem(self, address: str) -> str | None:
        """None when ready, else what stands in the way."""
        parts = urlsplit(address)
        if parts.scheme == "tcp":
            return await _accepts(str(parts.hostname), int(parts.port or 0))
        async with _client() as client:
            try:
                response = await client.get(address)
            except httpx.HTTPError as error:
                return f"no answer at {address} ({type(error).__name__})"
        return None if response.status_code == 200 else f"HTTP {response.status_code}: {response.text[:300]}"


class GatewayPage:
    """The page of an app, as the public sees it."""

    def __init__(self, gateway_url: str) -> None:
        self._gateway_url = gateway_url

    async def answers(self, app_id: str) -> bool:
        """Whether the gateway serves the app's page with 200."""
        async with _client() as client:
            try:
                response = await client.get(f"{self._gateway_url}/runtime/{app_id}/")
            except httpx.HTTPError:
                return False
        return response.status_code == 200


async def _accepts(host: str, port: int) -> str | None:
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return f"nobody accepts connections on {host}:{port}"
    writer.close()
    return None
