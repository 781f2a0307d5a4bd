"""Operators' calls to the deploy control plane over HTTP. Their own tokens never get here."""

from typing import Final

import httpx
import orjson

from daemons.api import ports
from daemons.api.ports.deploy_operations import Errand, Told
from protocol.client.transport import Transport, Unreachable
from protocol.headers import EXPECTED_VERSION, IDEMPOTENCY_KEY

_UNREACHABLE: Final = (
    "the deploy control plane does not answer; nothing of what it shows is new, and whether the last order was carried "
    "out is not known. Check that it runs at the address in DEPLOY_PROXY_BASE_URL of the API, then look again"
)
_MISTRUSTED: Final = (
    "the deploy control plane does not admit this API: API_DEPLOY_ADMIN_TOKEN must be one of its DEPLOY_ADMIN_TOKEN, "
    "DEPLOY_PROXY_AUTH_SHARED_SECRET the same in both, and the API's address on its allowlists"
)
_FOREIGN: Final = (
    "what answers at DEPLOY_PROXY_BASE_URL is no deploy control plane; check the address in the API's settings"
)


class HttpDeployOperations:
    """The transport holds the API's own proof."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self._transport.base_url

    async def ask(self, errand: Errand) -> Told:
        """Ask, and hand on what was said."""
        given = {IDEMPOTENCY_KEY: errand.key, EXPECTED_VERSION: errand.expected}
        try:
            answer = await self._transport.send(
                errand.method,
                errand.path,
                body=errand.body,
                query=errand.query,
                headers={name: value for name, value in given.items() if value},
                seconds=errand.seconds,
            )
        except Unreachable as error:
            raise ports.PlaneUnreachable(_UNREACHABLE) from error
        return _told(answer)


def _told(answer: httpx.Response) -> Told:
    """Control planes of before answer 200 to everything, and their envelope has the status; so it counts."""
    if answer.status_code in (401, 403):
        raise ports.PlaneUnreachable(_MISTRUSTED)
    try:
        document = orjson.loads(answer.content)
    except ValueError:
        document = None
    code = document.get("code") if isinstance(document, dict) else None
    if not isinstance(code, int) or not 200 <= code < 600:
        raise ports.PlaneUnreachable(_FOREIGN)
    return Told(code, answer.content, answer.headers.get("Retry-After"))


class NoDeployOperations:
    """Without a token of the control plane's operators the API orders nothing there."""

    base_url = ""

    async def ask(self, errand: Errand) -> Told:
        """Say what to set."""
        raise ports.PlaneUnreachable(
            "this API was given no leave to operate the deploy control plane: set API_DEPLOY_ADMIN_TOKEN of the API to "
            "the control plane's DEPLOY_ADMIN_TOKEN and start the API anew"
        )
