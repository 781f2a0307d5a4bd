"""What runtime agents stream: passed on as it comes, so that a slow reader slows its agent and nothing piles up here.

An agent's address appears in no message: operators may see what is asked of which node, not how it is reached.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from daemons.deploy.adapters.agent_door import AgentDoor, said
from daemons.deploy.ports import AgentFailed, AgentRefused
from daemons.kit.lines import Line, LineLost
from protocol.base import Wire
from protocol.client.socket import ClientLine, NotOpened, opened
from protocol.client.transport import Unreachable
from protocol.running import AppOutputQuery, AppStatsQuery, NodeStats
from protocol.shell import ShellQuery

#: Agents send a beat every five seconds.
_SILENCE_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 3.0
_LONGEST_REFUSAL: Final = 2000


class HttpRunningApps:
    """The port `RunningApps` over HTTP."""

    def __init__(self, door: AgentDoor) -> None:
        self._door = door

    @asynccontextmanager
    async def output(self, base_url: str, asked: AppOutputQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """Entering it raises AgentFailed and AgentRefused, reading it AgentFailed."""
        async with self._asking(base_url, "/agent/apps/output", asked) as response:
            yield _chunks(response)

    async def stats(self, base_url: str, asked: AppStatsQuery) -> NodeStats:
        """Raises AgentFailed and AgentRefused."""
        async with self._asking(base_url, "/agent/apps/stats", asked) as response:
            try:
                return NodeStats.model_validate_json(await response.aread())
            except ValidationError:
                raise AgentFailed("its agent answered something else than figures") from None

    @asynccontextmanager
    async def shell(self, base_url: str, asked: ShellQuery) -> AsyncIterator[Line]:
        """Entering it raises AgentFailed and AgentRefused."""
        path = "/agent/apps/shell"
        proof, query = self._door.proof(base_url), urlencode(asked.to_data())
        try:
            async with opened(f"{base_url.rstrip('/')}{path}?{query}", proof) as line:
                yield _AgentLine(line)
        except NotOpened as refusal:
            # A refused upgrade comes without its words; asked for without one, the agent says them.
            async with self._asking(base_url, path, asked):
                raise AgentFailed(f"its agent answered HTTP {refusal.status}") from None
        except Unreachable:
            raise AgentFailed("its agent does not answer") from None

    @asynccontextmanager
    async def _asking(self, base_url: str, path: str, asked: Wire) -> AsyncIterator[httpx.Response]:
        proof = self._door.proof(base_url)
        query = {key: value for key, value in asked.to_data().items() if value is not None}
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        try:
            async with (
                httpx.AsyncClient(base_url=base_url, headers=proof, timeout=timeout, trust_env=False) as client,
                client.stream("GET", path, params=query) as response,
            ):
                if not response.is_success:
                    raise await _refusal(response)
                yield response
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _silent(error) from error


class _AgentLine:
    """A line to an agent."""

    def __init__(self, line: ClientLine) -> None:
        self._line = line

    async def receive(self) -> bytes | str | None:
        return await self._line.receive()

    async def send(self, frame: bytes | str) -> None:
        try:
            await self._line.send(frame)
        except Unreachable as error:
            raise LineLost("the agent takes nothing any more") from error


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx.TransportError as error:
        raise _silent(error) from error


def _silent(error: Exception) -> AgentFailed:
    return AgentFailed(f"its agent does not answer ({type(error).__name__})")


async def _refusal(response: httpx.Response) -> AgentFailed | AgentRefused:
    """What the agent said, if it is one of ours; what others answer is not for operators to read."""
    text = (await response.aread())[:_LONGEST_REFUSAL]
    words = said(text).detail if len(text) < _LONGEST_REFUSAL else ""
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and words:
        return AgentRefused(words, busy=True)
    if response.status_code == HTTPStatus.NOT_FOUND and words and words != "Not Found":
        return AgentRefused(words)
    if response.status_code == HTTPStatus.CONFLICT and words:
        return AgentRefused(words, down=True)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return AgentFailed("its agent is too old to give it")
    return AgentFailed(words or f"its agent answered HTTP {response.status_code}")
