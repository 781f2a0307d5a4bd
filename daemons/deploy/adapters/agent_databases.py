"""Asks the agents of nodes about apps' databases. Answers are passed on as they come, unread: reading two mebibytes of
documents would keep everybody else waiting."""

import asyncio
from http import HTTPStatus
from typing import Final

import httpx

from daemons.deploy.adapters.agent_door import AgentDoor, Said, said
from daemons.deploy.ports import AgentFailed
from daemons.deploy.ports.databases import AgentSilent
from daemons.kit.mongo.ports import QueryRefused
from daemons.kit.seats import NoSeat
from protocol.client.databases import NODE_SECONDS, Sent, to_node
from protocol.databases import Change, DatabaseRef, Question
from protocol.errors import ErrorReason

_CONNECT_SECONDS: Final = 3.0
_JSON: Final = "application/json"
#: A body of bounded size must not unfold into a larger one.
_HEADERS: Final = {"Content-Type": _JSON, "Accept-Encoding": "identity"}
#: Explorers give two mebibytes of documents, which are more in JSON.
_MOST_BYTES: Final = 8 * 1024**2
_LONGEST_REFUSAL: Final = 2000
_NEVER_ASKED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
_TOO_LARGE: Final = (
    f"the answer is larger than {_MOST_BYTES // 1024**2} MiB; ask for fewer documents (limit), or for some of their "
    "fields (projection)"
)
#: In which an agent says why it did not do what it was asked.
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


class HttpAppDatabases:
    """The port `AppDatabases` over HTTP; one connection per call, because people ask seldom."""

    def __init__(self, door: AgentDoor, seconds: float = NODE_SECONDS) -> None:
        """`seconds` are all that an agent has for an answer."""
        self._door = door
        self._seconds = seconds

    async def ask(self, base_url: str, app: DatabaseRef, question: Question) -> bytes:
        """Raises AgentFailed, AgentSilent, QueryRefused, NoSeat."""
        proof = self._door.proof(base_url)
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(
                    base_url=base_url, headers=proof, timeout=_timeouts(self._seconds), trust_env=False
                ) as client,
            ):
                return await _answer(client, question, to_node(question, app))
        except TimeoutError:
            raise AgentSilent(f"its agent did not answer within {self._seconds:g} s") from None
        except (*_NEVER_ASKED, httpx.InvalidURL) as error:
            raise AgentFailed(f"its agent does not answer ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise AgentSilent(f"its agent did not answer to the end ({type(error).__name__})") from error


def _timeouts(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


async def _answer(client: httpx.AsyncClient, question: Question, sent: Sent) -> bytes:
    body = None if sent.body is None else sent.body.to_json()
    async with client.stream(sent.method, sent.path, params=sent.query, content=body, headers=_HEADERS) as response:
        if not response.is_success:
            raise _refusal(response.status_code, said(await _bounded(response, _LONGEST_REFUSAL) or b""))
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind != _JSON or "Content-Encoding" in response.headers:
            raise AgentSilent("its agent answered something else than JSON")
        found = await _bounded(response, _MOST_BYTES)
    if found is None:
        raise AgentSilent("its agent answered too much") if isinstance(question, Change) else QueryRefused(_TOO_LARGE)
    return found


async def _bounded(response: httpx.Response, most: int) -> bytes | None:
    """The body; None when there is more of it."""
    held = bytearray()
    async for piece in response.aiter_raw():
        held += piece
        if len(held) > most:
            return None
    return bytes(held)


def _refusal(status: int, words: Said) -> Exception:
    """What the agent said, if it is one of ours; what others answer is not for the app's owner to read."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AgentFailed("its agent does not admit this control plane; RUNTIME_AGENT_TOKEN must be the same in both")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return AgentFailed("its agent has no explorer of databases; bring it up to date")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return NoSeat(words.detail or "the node is asked too often; try again in a moment")
    if status in _REFUSED:
        return QueryRefused(words.detail or f"the node did not take it (HTTP {status})")
    if words.reason == ErrorReason.UNAVAILABLE:
        return AgentFailed(words.detail)
    return AgentSilent(words.detail or f"its agent answered HTTP {status}")
