"""Calls runtime agents, ours or existing ones: one connection per call, because calls to an agent are rare."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from daemons.deploy.domain.addresses import AgentAddresses, AgentAddressRefused
from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import AgentFailed
from protocol.apps import AppRef, LocalImages, NodeContainers
from protocol.client.agent import AgentClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.errors import ErrorReason
from protocol.headers import AGENT_TOKEN
from protocol.nodes import NodeCollected

_ANSWER: Final[type[dict[str, object]]] = dict


class HttpAgent:
    """The port `Agent` over HTTP. `token` None means that no token is configured: every call fails, saying so. So does
    one to an address where no agent may be, as a row of before may name."""

    def __init__(self, token: str | None, timeout_seconds: float, addresses: AgentAddresses | None = None) -> None:
        self._token = token
        self._addresses = addresses or AgentAddresses()
        self._timeout_seconds = timeout_seconds

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        return await self._post(base_url, "/agent/apps/stop", AppRef(user_id=user_id, app_id=app_id, fence=fence))

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        return await self._post(base_url, "/agent/apps/delete", AppRef(user_id=user_id, app_id=app_id, fence=fence))

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        """Every reference of the app's own images that the node has. Raises AgentFailed."""
        query = {"userId": user_id, "appId": app_id}
        async with self._calling(base_url, "say which images it has") as transport:
            return (await transport.bare("GET", "/agent/apps/images", LocalImages, query=query)).images

    async def containers(self, base_url: str) -> Sequence[Container]:
        """Every container that the node's agent made. Raises AgentFailed."""
        async with self._calling(base_url, "say which containers it has") as transport:
            found = (await transport.bare("GET", "/agent/apps/containers", NodeContainers)).containers
        return [Container(each.name, each.user_id, each.app_id, each.running) for each in found]

    async def collect(self, base_url: str) -> NodeCollected:
        """Have the node remove everything that nobody needs. Raises AgentFailed."""
        async with self._calling(base_url, "tidy its disk") as transport:
            return await AgentClient(transport).collect()

    async def _post(self, base_url: str, path: str, order: AppRef) -> Mapping[str, object]:
        async with self._calling(base_url, "do it") as transport:
            return await transport.bare("POST", path, _ANSWER, body=order)

    @asynccontextmanager
    async def _calling(self, base_url: str, what: str) -> AsyncIterator[Transport]:
        if self._token is None:
            raise AgentFailed("no token for runtime agents is configured; set RUNTIME_AGENT_TOKEN")
        try:
            self._addresses.check(base_url)
        except AgentAddressRefused as error:
            raise AgentFailed(str(error), ErrorReason.ADDRESS_REFUSED.value) from None
        try:
            async with Transport(base_url, {AGENT_TOKEN: self._token}, timeout=self._timeout_seconds) as transport:
                yield transport
        except ClientError as error:
            reason = error.reason if isinstance(error, Refused) else None
            raise AgentFailed(f"the runtime agent did not {what}: {error}", reason) from error
