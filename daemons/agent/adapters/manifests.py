"""What registries say of images, over the OCI distribution API (`GET /v2/<name>/manifests|blobs/...`).

Plain HTTP is spoken where the engine would speak it: to registries that its own configuration calls insecure. A login
is sent to the registry that it belongs to and to a token service on that registry's own host, to nobody else. Token
services: the distribution project's `docs/spec/auth/token.md`. Sizes are for the platform of this machine.
"""

import json
import platform
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from daemons.agent.adapters.docker import Credentials
from daemons.agent.domain.images import Layer
from daemons.kit.engine.errors import EngineError
from protocol.names import image_registry

_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT: Final = ", ".join((*_INDEXES, *_MANIFESTS))
_MOST_BYTES: Final = 4 * 1024**2
_MOST_LAYERS: Final = 1000
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=3)
_CHALLENGE: Final = re.compile(r'(realm|service|scope)="([^"]*)"')
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le"}


@dataclass(frozen=True, slots=True)
class _Repository:
    """One repository of a registry at `base`; `plain` when anything that answers there is believed."""

    registry: str
    path: str
    base: str
    plain: bool


class RegistryManifests:
    """The port `Manifests`. `insecure` says whether the engine takes a registry for insecure."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        insecure: Callable[[str], Awaitable[bool]],
        credentials: Credentials | None = None,
    ) -> None:
        self._session = session
        self._insecure = insecure
        self._credentials = credentials

    async def layers(self, reference: str) -> Sequence[Layer]:
        """Raises EngineError."""
        registry = image_registry(reference)
        if registry is None:
            raise EngineError(f"image {reference} names no registry")
        path, wanted = _split(reference.removeprefix(f"{registry}/"))
        schemes = ("http", "https") if await self._insecure(registry) else ("https",)
        problems = []
        for scheme in schemes:
            place = _Repository(registry, path, f"{scheme}://{registry}", len(schemes) > 1)
            try:
                return await self._layers(place, wanted)
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
                problems.append(f"over {scheme} {str(error) or type(error).__name__}")
        raise EngineError(f"registry {registry} did not say how large {reference} is: {'; '.join(problems)}")

    async def _layers(self, place: _Repository, wanted: str) -> Sequence[Layer]:
        manifest = await self._document(place, f"manifests/{wanted}")
        if manifest.get("mediaType") in _INDEXES or "manifests" in manifest:
            manifest = await self._document(place, f"manifests/{_digest(_own_platform(manifest['manifests']))}")
        config = await self._document(place, f"blobs/{_digest(manifest['config'])}")
        sizes, ids = manifest["layers"], config["rootfs"]["diff_ids"]
        if len(sizes) != len(ids) or len(sizes) > _MOST_LAYERS:
            raise ValueError("the layers of its manifest and of its configuration differ")
        return [Layer(max(0, int(each["size"])), str(name)) for each, name in zip(sizes, ids, strict=True)]

    async def _document(self, place: _Repository, what: str) -> Mapping[str, Any]:
        """Raises aiohttp.ClientError and ValueError."""
        url, headers = f"{place.base}/v2/{place.path}/{what}", {"Accept": _ACCEPT} | self._login(place.registry)
        async with self._get(url, headers, place) as response:
            if response.status != HTTPStatus.UNAUTHORIZED:
                return await _json(response)
            challenge = response.headers.get("WWW-Authenticate", "")
        token = await self._token(place, challenge)
        async with self._get(url, {"Accept": _ACCEPT, "Authorization": f"Bearer {token}"}, place) as response:
            return await _json(response)

    async def _token(self, place: _Repository, challenge: str) -> str:
        asked = dict(_CHALLENGE.findall(challenge))
        realm = urlsplit(asked.pop("realm", ""))
        at_home = realm.netloc == place.registry
        if not challenge.lower().startswith("bearer ") or (realm.scheme != "https" and not at_home):
            raise ValueError("it wants a login that this agent does not have")
        headers = self._login(place.registry) if at_home else {}
        async with self._get(realm._replace(query="").geturl(), headers, place, asked) as response:
            document = await _json(response)
        return str(document.get("token") or document["access_token"])

    def _get(
        self, url: str, headers: Mapping[str, str], place: _Repository, query: Mapping[str, str] | None = None
    ) -> Any:
        # A registry may send readers of blobs elsewhere; aiohttp takes the login off when the host changes.
        return self._session.get(
            url, headers=headers, params=query, timeout=_TIMEOUT, max_redirects=3, ssl=not place.plain
        )

    def _login(self, registry: str) -> dict[str, str]:
        known = self._credentials
        if known is None or known.registry != registry:
            return {}
        return {"Authorization": aiohttp.encode_basic_auth(known.username, known.password)}


def _split(name: str) -> tuple[str, str]:
    """The repository's path, and the digest or tag."""
    path, _, digest = name.partition("@")
    head, _, tag = path.rpartition(":")
    repository = head if head else path
    return repository, digest or (tag if head else "latest")


def _own_platform(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    wanted = _ARCHITECTURES.get(platform.machine(), platform.machine())
    for entry in entries:
        built = entry.get("platform") or {}
        if (built.get("os"), built.get("architecture")) == ("linux", wanted):
            return entry
    raise ValueError(f"it has no image for linux/{wanted}")


def _digest(descriptor: Mapping[str, Any]) -> str:
    digest = str(descriptor["digest"])
    if not re.fullmatch(r"[a-z0-9]+:[0-9a-f]{32,128}", digest):
        raise ValueError("a digest is none")
    return digest


async def _json(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    if response.status != HTTPStatus.OK:
        raise ValueError(f"it answered {response.status}")
    body = await response.content.read(_MOST_BYTES + 1)
    while len(body) <= _MOST_BYTES and (more := await response.content.read(_MOST_BYTES + 1 - len(body))):
        body += more
    if len(body) > _MOST_BYTES:
        raise ValueError("its answer is too long")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("its answer is no JSON object")
    return document
