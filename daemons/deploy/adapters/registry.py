"""The registry that images are pushed to: any that speaks the OCI distribution API, or Harbor by its own API.

Both are asked with basic authentication, within a time limit, and never follow a redirect: credentials go to the
address in the settings alone. Sources: the OCI distribution specification 1.1 (HEAD and DELETE of
`/v2/<name>/manifests/<reference>`, `/v2/<name>/tags/list`), and Harbor's API 2.0 (`/projects/{project}/repositories`).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import httpx

from daemons.deploy.ports import RegistryFailed

_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_CONNECT_SECONDS: Final = 3.0
_WORDS: Final = 300
#: A repository that still has tags after so many rounds is being pushed to; the next attempt goes on.
_ROUNDS: Final = 50


class _Session:
    """One connection per task: the registry is asked rarely."""

    def __init__(self, base_url: str, login: tuple[str, str] | None, timeout_seconds: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._login = login
        self._timeout = httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client; what goes wrong with the connection is raised as RegistryFailed."""
        auth = httpx.BasicAuth(*self._login) if self._login else None
        client = httpx.AsyncClient(
            base_url=self._base_url, auth=auth, timeout=self._timeout, trust_env=False, follow_redirects=False
        )
        try:
            async with client:
                yield client
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise RegistryFailed(f"the registry at {self._base_url} does not answer: {words}") from error


class OciRegistry:
    """The port `ImageRegistry` over the OCI distribution API."""

    def __init__(self, base_url: str, login: tuple[str, str] | None, timeout_seconds: float) -> None:
        self._session = _Session(base_url, login, timeout_seconds)

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

    async def _tagged(self, client: httpx.AsyncClient, repository: str) -> frozenset[str]:
        """Digests of the first page of tags; deleting them makes room for the next."""
        response = await client.get(f"/v2/{repository}/tags/list", params={"n": 100})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return frozenset()
        names = _document(response, "list tags").get("tags") or []
        if not isinstance(names, list):
            raise RegistryFailed("the registry's list of tags is no list")
        found = [await self._digest(client, repository, str(name)) for name in names]
        return frozenset(digest for digest in found if digest is not None)

    async def _digest(self, client: httpx.AsyncClient, repository: str, reference: str) -> str | None:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        response = await client.head(path, headers={"Accept": _MANIFESTS})
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        _require(response, "show an image")
        return response.headers.get("Docker-Content-Digest") or reference

    async def _delete(self, client: httpx.AsyncClient, repository: str, digest: str) -> None:
        response = await client.delete(f"/v2/{repository}/manifests/{digest}")
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            raise RegistryFailed(
                "the registry does not allow deletion; set storage.delete.enabled in its configuration"
            )
        if response.status_code != HTTPStatus.NOT_FOUND:
            _require(response, "delete an image")


class HarborRegistry:
    """The port `ImageRegistry` over Harbor's own API, which also knows images without a tag."""

    def __init__(self, base_url: str, login: tuple[str, str] | None, timeout_seconds: float) -> None:
        self._session = _Session(base_url, login, timeout_seconds)

    async def has(self, repository: str, digest: str) -> bool:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            response = await client.get(f"{_harbor(repository)}/artifacts/{digest}")
            if response.status_code == HTTPStatus.NOT_FOUND:
                return False
            _require(response, "show an image")
            return True

    async def delete(self, repository: str, digest: str) -> None:
        """Raises RegistryFailed, also for what a rule of Harbor protects."""
        await self._delete(f"{_harbor(repository)}/artifacts/{digest}", "delete an image")

    async def delete_repository(self, repository: str) -> None:
        """Raises RegistryFailed."""
        await self._delete(_harbor(repository), "delete a repository")

    async def _delete(self, path: str, what: str) -> None:
        async with self._session.opened() as client:
            response = await client.delete(path)
            if response.status_code != HTTPStatus.NOT_FOUND:
                _require(response, what)


def _harbor(repository: str) -> str:
    """Harbor wants the name below the project with its slashes encoded twice."""
    project, _, name = repository.partition("/")
    return f"/api/v2.0/projects/{quote(project, safe='')}/repositories/{quote(quote(name, safe=''), safe='')}"


def _require(response: httpx.Response, what: str) -> None:
    if response.is_success:
        return
    hint = ""
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = "; check DEPLOY_REGISTRY_CLEANUP_USERNAME and its rights"
    words = " ".join(response.text.split())[:_WORDS]
    raise RegistryFailed(
        f"the registry did not {what}: HTTP {response.status_code}{f' {words}' if words else ''}{hint}"
    )


def _document(response: httpx.Response, what: str) -> Mapping[str, object]:
    _require(response, what)
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RegistryFailed(f"the registry did not {what} in JSON; is DEPLOY_REGISTRY_CLEANUP_BASE_URL a registry?")
    return document
