"""Every request to the node carries a signature over all of it; what cannot be proven changes nothing.

A body that is too long to be read at once proves itself only with its last byte. Routes that take such bodies stand
behind a gate of their own, and their handlers act after a `Body` has ended, never before. Nonces count only once the
signature was found right: a stranger can neither use them up nor fill the memory with them.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from aiohttp import web

from daemons.kit.auth import Gate, Handler, Network, Unauthorized
from daemons.kit.clock import Clock
from protocol import signing
from protocol.signing import Signable

#: Longer bodies are read by their handlers. Two MiB of text may be twelve of JSON.
WHOLE_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024
_MOST_NONCES: Final = 200_000
_NOT_SIGNED: Final = "the signature is not this request's"


class Proof(Enum):
    """How much of a request is proven before its handler runs."""

    NOTHING = auto()
    HEAD = auto()
    WHOLE = auto()


_PROOF: Final = web.RequestKey("proof", Proof)


class Nonces:
    """Those that were used while their time still counts."""

    def __init__(self, skew_seconds: int) -> None:
        self._keep_seconds = 2 * skew_seconds
        self._seen: set[str] = set()
        self._order: deque[tuple[int, str]] = deque()

    def use(self, nonce: str, now: int) -> None:
        """Raises Unauthorized for one that was used, and while more are in use than are kept."""
        while self._order and self._order[0][0] < now - self._keep_seconds:
            self._seen.discard(self._order.popleft()[1])
        if nonce in self._seen or len(self._seen) >= _MOST_NONCES:
            raise Unauthorized("this request was made before: sign each with a nonce of its own")
        self._seen.add(nonce)
        self._order.append((now, nonce))


class Signer:
    """Proves requests against one of the secrets."""

    def __init__(
        self, secrets: Sequence[str], skew_seconds: int, clock: Clock, networks: Sequence[Network] = ()
    ) -> None:
        """`networks`: where signed requests may come from; empty: anywhere."""
        self._secrets = tuple(secrets)
        self._skew = skew_seconds
        self._clock = clock
        self._networks = tuple(networks)
        self._nonces = Nonces(skew_seconds)

    def middleware(self) -> Any:
        """Proves what carries a signature; which routes want one, the access table says."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            if signing.SIGNATURE in request.headers:
                await self._prove(request)
            return await handler(request)

        return middleware

    def gate(self) -> Gate:
        """For routes whose bodies are proven before their handlers run."""
        return _ProvenGate("api", signing.SIGNATURE, self._secrets, networks=self._networks)

    def body_gate(self) -> Gate:
        """For routes whose handlers read a `Body` to its end before they act."""
        return _BodyGate("api", signing.SIGNATURE, self._secrets, networks=self._networks)

    def check(self, signed: Signable, signature: str) -> None:
        """Raises Unauthorized unless the signature is the request's, and for one that was made before."""
        if not any([signing.matches(secret, signed, signature) for secret in self._secrets]):
            raise Unauthorized(_NOT_SIGNED)
        self._nonces.use(signed.nonce, self._now())

    def check_trailer(self, signature: str, digest: bytes, given: bytes) -> None:
        """Raises Unauthorized unless the body's end signs the rest of it."""
        wanted = [signing.trailer(secret, signature, digest) for secret in self._secrets]
        if not any([hmac.compare_digest(one, given) for one in wanted]):
            raise Unauthorized("the body is not the one that was signed, or it ended early")

    async def _prove(self, request: web.Request) -> None:
        signature, signed = _once(request, signing.SIGNATURE), self.head(request)
        if signed.digest == signing.STREAMED:
            self.check(signed, signature)
            request[_PROOF] = Proof.HEAD
        elif request.body_exists and (request.content_length or WHOLE_BYTES + 1) > WHOLE_BYTES:
            request[_PROOF] = Proof.NOTHING
        else:
            digest = hashlib.sha256(await request.read()).hexdigest()
            self.check(replace(signed, digest=digest), signature)
            request[_PROOF] = Proof.WHOLE

    def head(self, request: web.Request) -> Signable:
        """The head; raises Unauthorized when its time or nonce is not one that counts."""
        timestamp, nonce = _once(request, signing.TIMESTAMP), _once(request, signing.NONCE)
        if not (timestamp.isascii() and timestamp.isdecimal()) or abs(self._now() - int(timestamp)) > self._skew:
            raise Unauthorized(f"the request's time is more than {self._skew} s off this machine's clock")
        if not 16 <= len(nonce) <= 64:
            raise Unauthorized("the nonce must have 16 to 64 characters")
        path, _, query = request.raw_path.partition("?")
        digest = signing.STREAMED if request.headers.get(signing.BODY) == signing.TRAILER else ""
        return Signable(request.method, path, query, digest, timestamp, nonce)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def proven(request: web.Request) -> bool:
    """Whether path and query of the request are proven already."""
    return request.get(_PROOF) in (Proof.HEAD, Proof.WHOLE)


class Body:
    """The bytes of a request that may prove itself only at their end."""

    def __init__(self, request: web.Request, signer: Signer) -> None:
        self._request = request
        self._signer = signer

    async def pieces(self) -> AsyncIterator[bytes]:
        """At most 256 KiB each. Raises Unauthorized at the end unless exactly these bytes were signed."""
        if self._request[_PROOF] is Proof.WHOLE:
            yield await self._request.read()
            return
        signature, digest = self._request.headers[signing.SIGNATURE], hashlib.sha256()
        streamed = self._request.headers.get(signing.BODY) == signing.TRAILER
        end = b""
        async for piece in self._request.content.iter_chunked(_PIECE_BYTES):
            if streamed:
                joined = end + piece
                piece, end = joined[: -signing.TRAILER_BYTES], joined[-signing.TRAILER_BYTES :]
            digest.update(piece)
            yield piece
        if streamed:
            self._signer.check_trailer(signature, digest.digest(), end)
        else:
            self._signer.check(replace(self._signer.head(self._request), digest=digest.hexdigest()), signature)


@dataclass(frozen=True, slots=True)
class _ProvenGate(Gate):
    def proves(self, request: web.Request) -> bool:
        """Raises HTTPRequestEntityTooLarge for a body that was too long to be read before its proof."""
        if request.get(_PROOF) is Proof.NOTHING:
            raise web.HTTPRequestEntityTooLarge(
                WHOLE_BYTES,
                text=f"this call takes at most {WHOLE_BYTES} bytes, of which the request says beforehand how many",
            )
        return request.get(_PROOF) is Proof.WHOLE


@dataclass(frozen=True, slots=True)
class _BodyGate(Gate):
    def proves(self, request: web.Request) -> bool:
        return request.get(_PROOF) is not None


def _once(request: web.Request, name: str) -> str:
    values = request.headers.getall(name, [])
    if len(values) != 1:
        raise Unauthorized(f"the header {name} must be given once")
    return values[0]
