"""Looks up images in the registry that they are pushed to, over the OCI distribution API.

Spoken in HTTPS, but for registries on this machine and those that an operator listed, as engines do it. Credentials go
to the registry that they are for, with basic authentication, and never along a redirect. Source: the OCI distribution
specification 1.1 (`GET /v2/<name>/manifests/<digest>`).
"""

import ipaddress
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import httpx

from daemons.runner.ports import RegistryDown

_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_SECONDS: Final = 5.0
_MOST_MANIFEST_BYTES: Final = 4 * 1024 * 1024


class OciImages:
    """Any registry; `login` is user and password for `host` alone, `insecure` those without TLS."""

    def __init__(self, host: str, login: tuple[str, str] | None, insecure: tuple[str, ...] = ()) -> None:
        self._host = host
        self._login = login
        self._insecure = insecure

    async def size(self, host: str, name: str, digest: str) -> int | None:
        """The image's layers together, in bytes; None when the registry does not have it. Raises RegistryDown."""
        auth = httpx.BasicAuth(*self._login) if self._login and host == self._host else None
        scheme = "http" if host in self._insecure or _is_here(host) else "https"
        url = f"{scheme}://{host}/v2/{name}/manifests/{digest}"
        try:
            async with (
                httpx.AsyncClient(auth=auth, timeout=_SECONDS, trust_env=False, follow_redirects=False) as client,
                client.stream("GET", url, headers={"Accept": _MANIFESTS}) as answer,
            ):
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    return None
                if not answer.is_success:
                    raise RegistryDown(f"the registry {host} answers HTTP {answer.status_code}")
                return _size(await _manifest(answer))
        except (httpx.HTTPError, ValueError) as error:
            words = str(error) or type(error).__name__
            raise RegistryDown(f"the registry {host} does not answer as it should: {words}") from error


def _is_here(host: str) -> bool:
    name = host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


async def _manifest(answer: httpx.Response) -> Mapping[str, object]:
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _MOST_MANIFEST_BYTES:
            raise ValueError("its manifest is too long")
    document = httpx.Response(HTTPStatus.OK, content=body).json()
    if not isinstance(document, dict):
        raise ValueError("its manifest is no object")
    return document


def _size(manifest: Mapping[str, object]) -> int:
    layers = manifest.get("layers")
    parts = [manifest.get("config"), *(layers if isinstance(layers, list) else ())]
    sizes = [part.get("size") for part in parts if isinstance(part, dict)]
    return sum(size for size in sizes if isinstance(size, int) and size > 0)
