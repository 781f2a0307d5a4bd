"""Signed calls to workspace nodes, passed through as they come.

Every try is signed anew: a node refuses what it has seen. A short body is signed by its digest; one in pieces is signed
at its end, which nodes take as files alone (protocol/signing.py).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from daemons.api.domain.workspaces import WorkspaceNode
from daemons.api.ports.workspaces import BodyRefused, NodeCall, NodeRefusedSocket, NodeUnreachable
from daemons.kit.sockets import End
from protocol import headers, signing
from protocol.base import Envelope
from protocol.client.signed import signed_headers
from protocol.workspace_nodes import WorkspaceHeld
from protocol.workspace_operators import AskFigures, FiguresTold, WorkspaceFigures

_CONNECT_SECONDS: Final = 2.0
#: Nodes say something at least every 20 s on whatever they keep open.
_SILENCE_SECONDS: Final = 75.0
_MOST_FRAME_BYTES: Final = 2 * 1024 * 1024
_KEEP_SECONDS: Final = 15.0
_HOLDS: Final = "/api/fun-ai/workspace/internal/holds"
_FIGURES: Final = "/api/fun-ai/workspace/internal/figures"
_HOLDS_SECONDS: Final = 5.0
_BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError)
_REFUSED: Final = 401
_OUR_OWN: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Answer:
    """The port `NodeAnswer`."""

    def __init__(self, node: WorkspaceNode, response: aiohttp.ClientResponse) -> None:
        self._node = node
        self._response = response
        self.status = response.status
        self.headers: Sequence[tuple[str, str]] = tuple(response.headers.items())
        self.length = response.content_length

    async def whole(self) -> bytes:
        """Raises NodeUnreachable."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises NodeUnreachable when the body breaks off."""
        content = self._response.content
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    piece = await content.readany()
                if not piece:
                    return
                yield piece
        except _BROKEN as error:
            raise NodeUnreachable(f"workspace node {self._node.name} broke off its answer") from error


class HttpNodeCalls:
    """The ports `NodeCalls`, `NodeFigures` and `Holdings`. To be closed."""

    def __init__(self, secret: str) -> None:
        """An empty secret stands for none: then no node is called."""
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Connections are closed."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def call(self, node: WorkspaceNode, call: NodeCall) -> AsyncIterator[Answer]:
        """Raises NodeUnreachable, BodyRefused."""
        response = await self._sent(node, call)
        try:
            yield Answer(node, response)
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    @asynccontextmanager
    async def socket(self, node: WorkspaceNode, call: NodeCall) -> AsyncIterator[End]:
        """Raises NodeUnreachable, NodeRefusedSocket."""
        url = _address(node, call)
        try:
            async with asyncio.timeout(call.patience):
                socket = await self._connections().ws_connect(
                    url,
                    headers={**call.headers, **self._signed(call.method, url, signing.EMPTY_DIGEST)},
                    autoping=False,
                    autoclose=True,
                    max_msg_size=_MOST_FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as error:
            fenced = error.headers is not None and headers.WORKSPACE_FENCE in error.headers
            raise NodeRefusedSocket(error.status, fenced=fenced) from None
        except _BROKEN as error:
            raise _unreachable(node, error) from error
        try:
            yield End(socket, _SILENCE_SECONDS)
        finally:
            await socket.close()

    async def holds(self, node: WorkspaceNode, user_id: int) -> bool:
        """Whether the node has anything of the user's. Raises NodeUnreachable."""
        call = NodeCall("GET", _HOLDS, f"userId={user_id}", {}, patience=_HOLDS_SECONDS)
        async with self.call(node, call) as answer:
            if answer.status != 200:
                raise NodeUnreachable(f"workspace node {node.name} does not say (HTTP {answer.status})")
            try:
                told = Envelope[WorkspaceHeld].model_validate_json(await answer.whole()).data
            except ValueError:
                told = None
        if told is None or told.user_id != str(user_id):
            raise NodeUnreachable(f"workspace node {node.name} does not say")
        return told.held

    async def figures(self, node: WorkspaceNode, user_ids: Sequence[str]) -> Mapping[str, WorkspaceFigures]:
        """How these users' workspaces stand. Raises NodeUnreachable."""
        body = AskFigures(user_ids=tuple(user_ids)).to_json()
        headers = {"Content-Type": "application/json"}
        call = NodeCall("POST", _FIGURES, "", headers, body, len(body), patience=_HOLDS_SECONDS)
        async with self.call(node, call) as answer:
            if answer.status != 200:
                raise NodeUnreachable(f"workspace node {node.name} does not say (HTTP {answer.status})")
            try:
                told = Envelope[FiguresTold].model_validate_json(await answer.whole()).data
            except ValueError:
                raise NodeUnreachable(f"workspace node {node.name} says what nobody understands") from None
        return {each.user_id: each for each in told.items} if told is not None else {}

    async def _sent(self, node: WorkspaceNode, call: NodeCall) -> aiohttp.ClientResponse:
        tries = 2 if call.method == "GET" else 1
        while True:
            tries -= 1
            try:
                response = await self._once(node, call)
            except _BROKEN as error:
                # A connection that is dead already was an idle one that the node closed.
                if tries and isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
                    continue
                raise _unreachable(node, error) from error
            if response.status != _REFUSED:
                return response
            response.close()
            if not tries:
                raise _misfit(node, call)

    async def _once(self, node: WorkspaceNode, call: NodeCall) -> aiohttp.ClientResponse:
        url = _address(node, call)
        async with asyncio.timeout(call.patience) as limit:
            told = CIMultiDict(call.headers)
            if isinstance(call.body, bytes) or call.body is None:
                data: bytes | AsyncIterator[bytes] | None = call.body
                told.update(self._signed(call.method, url, hashlib.sha256(call.body or b"").hexdigest()))
            else:
                told.update(self._signed(call.method, url, signing.STREAMED))
                told[signing.BODY] = signing.TRAILER
                if call.length is not None:
                    told["Content-Length"] = str(call.length + signing.TRAILER_BYTES)
                data = self._proven(call.body, told[signing.SIGNATURE], limit, call.patience)
            return await self._connections().request(
                call.method, url, headers=told, data=data, allow_redirects=False, skip_auto_headers=_OUR_OWN
            )

    async def _proven(
        self, pieces: AsyncIterator[bytes], signature: str, limit: asyncio.Timeout, patience: float
    ) -> AsyncIterator[bytes]:
        """The body with its proof. As long as it comes, the node need not answer."""
        digest, loop = hashlib.sha256(), asyncio.get_running_loop()
        async for piece in pieces:
            digest.update(piece)
            if not limit.expired() and limit.when() is not None:
                limit.reschedule(loop.time() + patience)
            yield piece
        yield signing.trailer(self._secret, signature, digest.digest())

    def _signed(self, method: str, url: URL, digest: str) -> Mapping[str, str]:
        if not self._secret:
            raise NodeUnreachable("no workspace node can be called: WORKSPACE_NODE_INTERNAL_SHARED_SECRET is not set")
        return signed_headers(self._secret, method, url.raw_path, url.raw_query_string, digest)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _address(node: WorkspaceNode, call: NodeCall) -> URL:
    return URL(f"{node.api_base_url}{call.path}{'?' if call.query else ''}{call.query}", encoded=True)


def _unreachable(node: WorkspaceNode, error: BaseException) -> NodeUnreachable:
    return NodeUnreachable(f"workspace node {node.name} does not answer ({type(error).__name__})")


def _misfit(node: WorkspaceNode, call: NodeCall) -> Exception:
    """A node that finds a call not proven: an order that came as a file, or another secret than ours. It is never the
    person's own token that is wrong."""
    if call.body is not None and not isinstance(call.body, bytes):
        return BodyRefused("this call takes a JSON document, not a file; send Content-Type: application/json")
    return NodeUnreachable(
        f"workspace node {node.name} refuses this API's signature: do their secrets and clocks agree?"
    )
