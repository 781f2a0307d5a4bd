"""A registry that speaks the OCI distribution API, such as Debian's docker-registry.

Source: the OCI distribution specification 1.1 (HEAD and DELETE of `/v2/<name>/manifests/<reference>`,
`/v2/<name>/tags/list`).
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import httpx

from daemons.deploy.adapters.registry_session import RegistrySession
from daemons.deploy.domain.images import PushedImage
from daemons.deploy.ports import RegistryFailed

_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
#: A repository that still has tags after so many rounds is being pushed to; the next attempt goes on.
_ROUNDS: Final = 50


class OciRegistry:
    """The port `ImageRegistry` over the OCI distribution API."""

    def __init__(self, base_url: str, login: tuple[str, str] | None, timeout_seconds: float) -> None:
        self._session = RegistrySession(base_url, login, timeout_seconds)

    async def has(self, repository: str, digest: str) -> bool:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            return await self._digest(client, repository, digest) is not None

    async def delete(self, repository: str, digest: str) -> None:
        """Raises RegistryFailed, also when the registry does not allow deletion."""
        async with self._session.opened() as client:
            await self._delete(client, repository, digest)

    async def delete_repository(self, repository: str) -> None:
        """Remove what has a tag; images without one cannot be listed by this API. Raises RegistryFailed."""
        async with self._session.opened() as client:
            for _ in range(_ROUNDS):
                digests = await self._tagged(client, repository)
                if not digests:
                    return
                for digest in digests:
                    await self._delete(client, repository, digest)
        raise RegistryFailed(f"the repository {repository} still has tags: somebody pushes to it; try again later")

    async def pushed(self, repository: str) -> Sequence[PushedImage]:
        """Nothing: this API tells of no image when it was pushed, and of none without a tag that it is there."""
        return ()

    async def _tagged(self, client: httpx.AsyncClient, repository: str) -> frozenset[str]:
        """Digests of the first page of tags; deleting them makes room for the next."""
        response = await client.get(f"/v2/{repository}/tags/list", params={"n": 100})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return frozenset()
        names = self._session.document(response, "list tags").get("tags") or []
        if not isinstance(names, list):
            raise RegistryFailed("the registry's list of tags is no list")
        found = [await self._digest(client, repository, str(name)) for name in names]
        return frozenset(digest for digest in found if digest is not None)

    async def _digest(self, client: httpx.AsyncClient, repository: str, reference: str) -> str | None:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        response = await client.head(path, headers={"Accept": _MANIFESTS})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        self._session.require(response, "show an image")
        return response.headers.get("Docker-Content-Digest") or reference

    async def _delete(self, client: httpx.AsyncClient, repository: str, digest: str) -> None:
        response = await client.delete(f"/v2/{repository}/manifests/{digest}")
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            raise RegistryFailed(
                "the registry does not allow deletion; set storage.delete.enabled in its configuration"
            )
        if response.status_code != HTTPStatus.NOT_FOUND:
            self._session.require(response, "delete an image")
