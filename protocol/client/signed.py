"""Signs what is sent to a workspace node, each try of a request anew."""

import hashlib
import secrets
import time
from collections.abc import Generator, Mapping
from typing import Final

import httpx

from protocol import signing

_NONCE_BYTES: Final = 16


class Signed(httpx.Auth):
    """Signs requests whose bodies are known before they are sent."""

    requires_request_body = True

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the three headers."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        digest = hashlib.sha256(request.content).hexdigest()
        request.headers.update(signed_headers(self._secret, request.method, path, query, digest))
        yield request


def signed_headers(secret: str, method: str, path: str, query: str, digest: str) -> Mapping[str, str]:
    """The headers that prove a request of this method, raw path, raw query and digest of the body."""
    now = time.time()  # noqa: TID251 - the caller's own time is part of what is signed
    timestamp, nonce = str(int(now)), secrets.token_hex(_NONCE_BYTES)
    signature = signing.sign(secret, signing.Signable(method, path, query, digest, timestamp, nonce))
    return {signing.TIMESTAMP: timestamp, signing.NONCE: nonce, signing.SIGNATURE: signature}
