"""An OpenID Connect provider over HTTP: discovery, keys, codes for tokens (Core 1.0, Discovery 1.0, RFC 6749, 7636).

Its documents are kept for an hour. A key that nobody knows has them read anew, so that a provider may change its keys
at any time, but not more often than once in half a minute: whoever sends nonsense does not make us ask for it.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
import orjson

from daemons.api.domain.accounts import NotLoggedIn
from daemons.api.domain.identities import Provider
from daemons.api.ports.identities import ProviderFailed

logger = logging.getLogger(__name__)

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 256 * 1024
_KEEP_SECONDS: Final = 3600.0
_LEAST_SECONDS: Final = 30.0
_LEEWAY_SECONDS: Final = 30
_CLAIMS: Final = ["iss", "sub", "aud", "exp", "iat", "nonce"]
_FOREIGN: Final = "the provider's token is not valid; begin again"


@dataclass(frozen=True, slots=True)
class _Documents:
    authorization: str
    token: str
    keys: tuple[Mapping[str, Any], ...]
    read_at: float


class HttpProvider:
    """The port `ProviderOfLogins`. To be closed."""

    def __init__(self, rules: Provider, secret: str, least_seconds: float = _LEAST_SECONDS) -> None:
        """An empty secret: we are a public client there. `least_seconds` are between two looks for keys."""
        self._rules = rules
        self._secret = secret
        self._least_seconds = least_seconds
        self._documents: _Documents | None = None
        self._reading = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Connections are closed."""
        if self._client is not None:
            await self._client.aclose()

    async def endpoint(self) -> str:
        """Where browsers are sent. Raises ProviderFailed."""
        return (await self._known()).authorization

    async def claims(self, code: str, verifier: str) -> Mapping[str, Any]:
        """What the provider says of who brought the code. Raises ProviderFailed, NotLoggedIn."""
        token = await self._exchanged((await self._known()).token, code, verifier)
        try:
            head = jwt.get_unverified_header(token)
            key = await self._key(head)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=sorted(self._rules.algorithms),
                audience=self._rules.client_id,
                issuer=self._rules.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            logger.warning("a provider's token was refused", extra={"error": type(error).__name__})
            raise NotLoggedIn(_FOREIGN) from None
        return claims

    async def _exchanged(self, endpoint: str, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._rules.redirect_url,
            "code_verifier": verifier,
            "client_id": self._rules.client_id,
        }
        auth = httpx.BasicAuth(self._rules.client_id, self._secret) if self._secret else None
        status, document = await self._asked("POST", endpoint, data=form, auth=auth)
        if status == 200 and isinstance(document.get("id_token"), str):
            return str(document["id_token"])
        # Only the words of RFC 6749: whatever else the provider says may name the code.
        if status == 400 and document.get("error") == "invalid_grant":
            raise NotLoggedIn("the provider does not take this login any more; begin again")
        known = ("invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type", "invalid_scope")
        why = document.get("error") if document.get("error") in known else f"HTTP {status}"
        raise ProviderFailed(
            f"the provider of logins gives no token ({why}); operators: API_OIDC_CLIENT_ID, API_OIDC_CLIENT_SECRET and "
            f"API_OIDC_REDIRECT_URL must be what is registered there"
        )

    async def _key(self, head: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that the token names. Raises PyJWTError."""
        algorithm = head.get("alg")
        if algorithm not in self._rules.algorithms:
            raise jwt.InvalidAlgorithmError("not on the list")
        documents = await self._known()
        found = _named(documents.keys, head.get("kid"))
        if found is None:
            found = _named((await self._read(documents)).keys, head.get("kid"))
        if found is None or found.get("alg", algorithm) != algorithm or found.get("use", "sig") != "sig":
            raise jwt.InvalidKeyError("there is no such key")
        return jwt.PyJWK(dict(found), algorithm=algorithm)

    async def _known(self) -> _Documents:
        known = self._documents
        if known is None or time.monotonic() - known.read_at > _KEEP_SECONDS:
            return await self._read(known)
        return known

    async def _read(self, known: _Documents | None) -> _Documents:
        """The documents anew, unless somebody else read them meanwhile or only just. Raises ProviderFailed."""
        async with self._reading:
            newest = self._documents
            if newest is not None and (newest is not known or time.monotonic() - newest.read_at < self._least_seconds):
                return newest
            place = f"{self._rules.issuer.rstrip('/')}/.well-known/openid-configuration"
            said = await self._document(place)
            if said.get("issuer") != self._rules.issuer:
                raise ProviderFailed(
                    "the provider of logins calls itself by another name; operators: API_OIDC_ISSUER must be to the "
                    f"letter what `issuer` is at {place}"
                )
            authorization, token = self._address(said, "authorization_endpoint"), self._address(said, "token_endpoint")
            keys = (await self._document(self._address(said, "jwks_uri"))).get("keys")
            if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
                raise ProviderFailed("the provider of logins tells no keys")
            self._documents = _Documents(authorization, token, tuple(keys), time.monotonic())
            return self._documents

    def _address(self, said: Mapping[str, Any], name: str) -> str:
        """An address of the provider's: no less protected than its issuer is."""
        address = said.get(name)
        wanted = urlsplit(self._rules.issuer).scheme
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", wanted):
            raise ProviderFailed(f"the provider of logins has no {name} that can be asked")
        return address

    async def _document(self, address: str) -> Mapping[str, Any]:
        status, document = await self._asked("GET", address)
        if status != 200:
            raise ProviderFailed(f"the provider of logins does not answer as one (HTTP {status} at {address})")
        return document

    async def _asked(self, method: str, address: str, **more: Any) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object; an empty one for what is none. Raises ProviderFailed."""
        if self._client is None:
            context = await asyncio.to_thread(ssl.create_default_context)
            self._client = httpx.AsyncClient(verify=context, timeout=_SECONDS, trust_env=False)
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._client.stream(method, address, headers={"Accept": "application/json"}, **more) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise ProviderFailed("the provider of logins answers more than anybody reads")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            kind = type(error).__name__
            raise ProviderFailed(f"the provider of logins does not answer ({kind}); try again in a minute") from error
        try:
            document = orjson.loads(body)
        except ValueError:
            document = {}
        return answer.status_code, document if isinstance(document, dict) else {}


def _named(keys: tuple[Mapping[str, Any], ...], key_id: object) -> Mapping[str, Any] | None:
    """The key of that id; of a provider that has one key and names none, that one."""
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.get("kid") == key_id), None)
