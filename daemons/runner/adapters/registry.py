"""Looks up images in the registry that they are pushed to, over the OCI distribution API.

Spoken in HTTPS, but for registries on this machine and those that an operator listed, as engines do it. Credentials go
to the registry that they are for, with basic authentication, and to a token service on that registry's own host, as
Harbor's is; never along a redirect. Sources: the OCI distribution specification 1.1
(`GET /v2/<name>/manifests/<digest>`) and the distribution project's `docs/spec/auth/token.md`.
"""

import base64
import hashlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx
import orjson

from daemons.runner.domain.registries import is_plain
from daemons.runner.ports import RegistryDown

_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_PAUSE_SECONDS: Final = 120.0
_CHALLENGE: Final = re.compile(r'(realm|service|scope)="([^"]*)"')
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class OciImages:
    """Any registry; `login` is user and password for `host` alone, `insecure` those without TLS."""

    def __init__(self, host: str, login: tuple[str, str] | None, insecure: tuple[str, ...] = ()) -> None:
        self._host = host
        self._login = login
        self._insecure = insecure
        # Those that engines trust, and read once: that takes longer than most calls.
        self._tls = ssl.create_default_context()

    async def size(self, host: str, name: str, digest: str) -> int | None:
        """The image's layers together, in bytes; None when the registry does not have it, or has something else under
        its digest. Raises RegistryDown."""
        answer = await self._ask(host, "GET", f"{name}/manifests/{digest}")
        if answer is None or f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
            return None
        try:
            return _size(_document(answer.body))
        except ValueError as error:
            raise RegistryDown(f"the registry {host} does not answer as it should: {error}") from error

    async def digest(self, host: str, name: str, tag: str) -> str | None:
        """What a tag names now; None when there is no such tag. Raises RegistryDown."""
        answer = await self._ask(host, "HEAD", f"{name}/manifests/{tag}")
        return answer.headers.get("Docker-Content-Digest", "") if answer is not None else None

    async def pause(self, host: str) -> float:
        """How many seconds the registry wants to be left alone, at most 120; 0 when it does not say."""
        try:
            answer = await self._send(host, "GET", self._url(host, ""), self._basic(host))
        except RegistryDown:
            return 0.0
        after = answer.headers.get("Retry-After", "") if answer.status in _BUSY else ""
        return min(float(after), _MOST_PAUSE_SECONDS) if after.isascii() and after.isdigit() else 0.0

    async def _ask(self, host: str, method: str, what: str) -> _Answer | None:
        """The answer, None for 404. Raises RegistryDown."""
        url = self._url(host, what)
        answer = await self._send(host, method, url, self._basic(host))
        if answer.status == HTTPStatus.UNAUTHORIZED and (token := await self._token(host, answer.headers)):
            answer = await self._send(host, method, url, {"Authorization": f"Bearer {token}"})
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise RegistryDown(f"the registry {host} answers HTTP {answer.status}")
        return answer

    async def _token(self, host: str, refusal: httpx.Headers) -> str | None:
        """What opens the door that was closed, when a token service is named that may be asked. Raises RegistryDown."""
        challenge = refusal.get("WWW-Authenticate", "")
        asked = dict(_CHALLENGE.findall(challenge))
        realm = asked.pop("realm", "")
        if not challenge.lower().startswith("bearer ") or not self._may_ask(host, realm):
            return None
        at_home = urlsplit(realm).hostname == host.partition(":")[0].lower()
        url = str(httpx.URL(realm).copy_merge_params(asked))
        answer = await self._send(host, "GET", url, self._basic(host) if at_home else {})
        if answer.status != HTTPStatus.OK:
            raise RegistryDown(f"the token service of the registry {host} answers HTTP {answer.status}")
        try:
            document = _document(answer.body)
        except ValueError as error:
            raise RegistryDown(f"the token service of the registry {host} does not answer as it should") from error
        token = document.get("token") or document.get("access_token")
        return token if isinstance(token, str) and token.isascii() and token.isprintable() else None

    def _may_ask(self, host: str, realm: str) -> bool:
        try:
            parts = urlsplit(realm)
            named = bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False
        at_home = parts.hostname == host.partition(":")[0].lower()
        return named and (parts.scheme == "https" or (parts.scheme == "http" and at_home and self._is_plain(host)))

    async def _send(self, host: str, method: str, url: str, headers: Mapping[str, str]) -> _Answer:
        """Raises RegistryDown."""
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._tls, timeout=_SECONDS, trust_env=False, follow_redirects=False
                ) as client,
                client.stream(method, url, headers={"Accept": _MANIFESTS, **headers}) as answer,
            ):
                return _Answer(answer.status_code, answer.headers, await _body(answer))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            words = str(error) or type(error).__name__
            raise RegistryDown(f"the registry {host} does not answer as it should: {words}") from error

    def _url(self, host: str, what: str) -> str:
        return f"{'http' if self._is_plain(host) else 'https'}://{host}/v2/{what}"

    def _is_plain(self, host: str) -> bool:
        return is_plain(host, self._insecure)

    def _basic(self, host: str) -> dict[str, str]:
        if self._login is None or host != self._host:
            return {}
        proof = base64.b64encode(":".join(self._login).encode()).decode()
        return {"Authorization": f"Basic {proof}"}


async def _body(answer: httpx.Response) -> bytes:
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("its answer is too long")
    return body


def _document(body: bytes) -> Mapping[str, object]:
    """Raises ValueError."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("its answer is no object")
    return document


def _size(manifest: Mapping[str, object]) -> int:
    layers = manifest.get("layers")
    parts = [manifest.get("config"), *(layers if isinstance(layers, list) else ())]
    sizes = [part.get("size") for part in parts if isinstance(part, dict)]
    return sum(size for size in sizes if isinstance(size, int) and size > 0)
