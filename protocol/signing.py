"""How a call to a workspace node proves that it comes from the API entry: an HMAC over the whole request.

The signature is Base64(HMAC-SHA256(secret, canonical)), where canonical is method, raw path, raw query, the body's
SHA-256 in hexadecimal, the time in seconds since 1970 and a nonce, each on a line of its own (contract of the existing
system, section A.2). Bodies of unknown digest are signed while they are sent: the digest's line then says STREAMED,
the header X-WS-Body says `trailer`, and the body ends with 32 bytes that sign what went before them.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

TIMESTAMP: Final = "X-WS-Timestamp"
NONCE: Final = "X-WS-Nonce"
SIGNATURE: Final = "X-WS-Signature"
BODY: Final = "X-WS-Body"
TRAILER: Final = "trailer"
STREAMED: Final = "STREAMED"
TRAILER_BYTES: Final = 32
EMPTY_DIGEST: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Signable:
    """What of a request is signed; path and query as they are sent, still encoded. `digest` is the body's SHA-256 in
    hexadecimal, or STREAMED."""

    method: str
    path: str
    query: str
    digest: str
    timestamp: str
    nonce: str

    def canonical(self) -> bytes:
        """The text that is signed."""
        parts = (self.method, self.path, self.query, self.digest, self.timestamp, self.nonce)
        return "\n".join(parts).encode("utf-8", "surrogateescape")


def sign(secret: str, request: Signable) -> str:
    """The header X-WS-Signature."""
    return base64.b64encode(_hmac(secret, request.canonical())).decode()


def matches(secret: str, request: Signable, signature: str) -> bool:
    """Whether the signature is the request's, compared in constant time."""
    return hmac.compare_digest(sign(secret, request).encode(), signature.encode("utf-8", "surrogateescape"))


def trailer(secret: str, signature: str, body_digest: bytes) -> bytes:
    """The last 32 bytes of a streamed body: they bind what was sent (its SHA-256) to the signature of its head."""
    return _hmac(secret, signature.encode("utf-8", "surrogateescape") + b"\n" + body_digest)


def _hmac(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()
