"""One HTTP session to one daemon: base URL, proof of identity, time limits, retry of what may be repeated, errors as
exceptions.

ClientError
+-- Unreachable      no answer; the call may or may not have happened
+-- Refused          an answer that says no: status, reason, message
+-- Unintelligible   an answer that is not of this contract
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from protocol.base import Envelope, Wire
from protocol.headers import IDEMPOTENCY_KEY

Data = TypeVar("Data")
_SAFE_TRIES: Final = 3
_SAFE_PAUSE_SECONDS: Final = 0.2
_UNAVAILABLE: Final = 503
DEFAULT_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 3.0
_ADAPTERS: Final[dict[object, TypeAdapter[Any]]] = {}


class ClientError(Exception):
    """A call did not succeed."""


class Unreachable(ClientError):
    """The daemon could not be reached or did not answer in time."""


class Unintelligible(ClientError):
    """The answer is not of this contract."""


class Refused(ClientError):
    """The daemon said no. `reason` is one of `protocol.errors.ErrorReason`, or None from peers that give none."""

    def __init__(self, status: int, message: str, reason: str | None = None, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.data = data


class _Network(httpx.AsyncBaseTransport):
    """Has whatever ends a connection be a TransportError.

    On uvloop a connection that the other side closes while it is being made has no socket any more, and anyio (4.16)
    asks that for its peer: an AttributeError, which ended a daemon's heartbeats.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except AttributeError as error:
            raise httpx.ConnectError("the connection was closed while it was made", request=request) from error

    async def aclose(self) -> None:
        await self._inner.aclose()


class Transport:
    """An httpx client with the contract's habits. GETs are tried three times when the daemon cannot be reached.

    So are requests with an Idempotency-Key, also when the daemon says 503 because it does not know the outcome: what
    an earlier try did is answered and not done again. All tries together take no longer than one may.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout: float = DEFAULT_SECONDS,
        connect: float = CONNECT_SECONDS,
        network: httpx.AsyncBaseTransport | None = None,
        auth: httpx.Auth | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.proof: Mapping[str, str] = dict(headers)
        self._seconds = timeout
        self._with: list[Transport] = []
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            headers=dict(headers),
            auth=auth,
            timeout=httpx.Timeout(timeout, connect=min(timeout, connect)),
            transport=_Network(network or httpx.AsyncHTTPTransport(verify=_trust(self.base_url), trust_env=False)),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def closes(self, other: "Transport") -> None:
        """Close the other one with this one."""
        self._with.append(other)

    async def close(self) -> None:
        """Close every connection."""
        for other in self._with:
            await other.close()
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        answer: type[Data] | TypeAdapter[Data],
        *,
        body: Wire | None = None,
        content: AsyncIterator[bytes] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Data:
        """The `data` of an enveloped answer, validated. Raises ClientError."""
        sent: dict[str, Any] = {"body": body, "content": content, "query": query, "headers": headers}
        response = await self.send(method, path, **sent, seconds=seconds)
        envelope = _read(response.content, Envelope[Any])
        if not response.is_success or envelope.code != 200:
            raise Refused(envelope.code, envelope.message, envelope.reason, envelope.data)
        return _read_data(envelope.data, response.content, answer)

    async def bare(
        self,
        method: str,
        path: str,
        answer: type[Data],
        *,
        body: Wire | None = None,
        query: Mapping[str, str | int | None] | None = None,
        seconds: float | None = None,
    ) -> Data:
        """An answer without an envelope, as agents give it. Raises ClientError with the agent's `detail`."""
        response = await self.send(method, path, body=body, query=query, seconds=seconds)
        if not response.is_success:
            raise _detail(response)
        return _read(response.content, answer)

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Wire | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> httpx.Response:
        """The raw answer. Raises Unreachable. All tries of a request with a key end within `seconds`. Content in pieces
        is sent once: not with GET, nor with a key."""
        request = self._client.build_request(
            method,
            path,
            content=body.to_json() if body is not None else content,
            params={key: value for key, value in (query or {}).items() if value is not None},
            headers={"Content-Type": "application/json", **(headers or {})} if body is not None else headers,
            timeout=httpx.Timeout(seconds, connect=3.0) if seconds is not None else httpx.USE_CLIENT_DEFAULT,
        )
        if IDEMPOTENCY_KEY in request.headers:
            return await self._send_keyed(request, self._seconds if seconds is None else seconds)
        tries = _SAFE_TRIES if method == "GET" else 1
        for attempt in range(1, tries + 1):
            try:
                return await self._client.send(request)
            except httpx.TransportError as error:
                if attempt == tries:
                    raise self._unreachable(error) from error
            await asyncio.sleep(_SAFE_PAUSE_SECONDS * attempt)
        raise AssertionError("unreachable: the loop returns or raises")

    async def _send_keyed(self, request: httpx.Request, seconds: float) -> httpx.Response:
        until = asyncio.get_running_loop().time() + seconds
        outcome: httpx.Response | httpx.TransportError = httpx.ReadTimeout(f"no answer within {seconds:g} s")
        for attempt in range(_SAFE_TRIES):
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.sleep(_SAFE_PAUSE_SECONDS * attempt)
                    outcome = await self._client.send(request)
            except httpx.TransportError as error:
                outcome = error
            except TimeoutError:
                break
            if isinstance(outcome, httpx.Response) and outcome.status_code != _UNAVAILABLE:
                break
        if isinstance(outcome, httpx.Response):
            return outcome
        raise self._unreachable(outcome) from outcome

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float = 30.0,
    ) -> AsyncIterator[httpx.Response]:
        """A streamed GET; reading it raises Unreachable after `silence_seconds` without a byte."""
        params = {key: value for key, value in (query or {}).items() if value is not None}
        timeout = httpx.Timeout(silence_seconds, connect=3.0)
        try:
            async with self._client.stream("GET", path, params=params, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    envelope = _read(response.content, Envelope[Any])
                    raise Refused(response.status_code, envelope.message, envelope.reason, envelope.data)
                yield response
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        return Unreachable(f"{self.base_url} does not answer: {str(error) or type(error).__name__}")


def _trust(base_url: str) -> ssl.SSLContext | bool:
    """Whose certificates count. Every known authority is read for a daemon that speaks TLS alone: it takes long, and
    no redirect is followed from one that does not."""
    return base_url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _adapter(answer: type[Data]) -> TypeAdapter[Data]:
    """What checks an answer of this type, made once: of a wire model it is built only now."""
    found: TypeAdapter[Data] | None = _ADAPTERS.get(answer)
    if found is None:
        found = _ADAPTERS[answer] = TypeAdapter(answer)
    return found


def _read(content: bytes, model: type[Data]) -> Data:
    try:
        return _adapter(model).validate_json(content)
    except ValidationError as error:
        raise Unintelligible(f"the answer is not a {model.__name__}: {error.error_count()} problems") from None


def _read_data(data: Any, content: bytes, answer: type[Data] | TypeAdapter[Data]) -> Data:
    adapter = answer if isinstance(answer, TypeAdapter) else _adapter(answer)
    try:
        return adapter.validate_python(data, strict=False)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise Unintelligible(f"the answer does not fit the contract at {place or 'data'}: {problem['msg']}") from None


def _detail(response: httpx.Response) -> Refused:
    try:
        document = response.json()
    except ValueError:
        return Refused(response.status_code, response.text[:2000] or f"HTTP {response.status_code}")
    if not isinstance(document, dict):
        return Refused(response.status_code, f"HTTP {response.status_code}")
    detail, reason = document.get("detail"), document.get("reason")
    return Refused(response.status_code, str(detail), reason if isinstance(reason, str) else None, document.get("data"))
