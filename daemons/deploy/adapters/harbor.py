"""Harbor by its own API 2.0, which also knows images without a tag, and when each was pushed.

A repository's name below its project is one segment of the path, with its slashes encoded twice. Lists come in pages;
the next one is in the header `Link`. Nothing here needs Harbor's token against forged requests: that is asked of
sessions in a browser, not of basic authentication.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import httpx

from daemons.deploy.adapters.registry_session import RegistrySession
from daemons.deploy.domain.images import PushedImage
from daemons.deploy.ports import RegistryFailed

API: Final = "/api/v2.0"
PAGE: Final = 100
_MOST_PAGES: Final = 100


class HarborRegistry:
    """The port `ImageRegistry`."""

    def __init__(self, base_url: str, login: tuple[str, str] | None, timeout_seconds: float) -> None:
        self._session = RegistrySession(base_url, login, timeout_seconds)

    async def has(self, repository: str, digest: str) -> bool:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            response = await client.get(f"{_place(repository)}/artifacts/{digest}")
            if response.status_code == HTTPStatus.NOT_FOUND:
                return False
            self._session.require(response, "show an image")
            return True

    async def delete(self, repository: str, digest: str) -> None:
        """Raises RegistryFailed, also for what a rule of Harbor protects."""
        await self._delete(f"{_place(repository)}/artifacts/{digest}", "delete an image")

    async def delete_repository(self, repository: str) -> None:
        """Raises RegistryFailed."""
        await self._delete(_place(repository), "delete a repository")

    async def pushed(self, repository: str) -> Sequence[PushedImage]:
        """Newest push first, with those that have no tag. Raises RegistryFailed."""
        async with self._session.opened() as client:
            params = {"page": "1", "page_size": str(PAGE), "sort": "-push_time", "with_tag": "true"}
            found = await pages(self._session, client, f"{_place(repository)}/artifacts", params, "list images")
        return [_image(entry) for entry in found]

    async def _delete(self, path: str, what: str) -> None:
        async with self._session.opened() as client:
            response = await client.delete(path)
            if response.status_code != HTTPStatus.NOT_FOUND:
                self._session.require(response, what)


async def pages(
    session: RegistrySession, client: httpx.AsyncClient, path: str, params: Mapping[str, str], what: str
) -> list[Mapping[str, object]]:
    """All entries of a list, however many pages it has; of what is not there, none. Raises RegistryFailed."""
    found: list[Mapping[str, object]] = []
    response = await client.get(path, params=dict(params))
    for _ in range(_MOST_PAGES):
        if response.status_code == HTTPStatus.NOT_FOUND:
            return found
        found += session.listing(response, what)
        following = response.links.get("next", {}).get("url")
        if following is None:
            return found
        # Only a path of this very API: an answer must not lead the account to another address.
        if not following.startswith(f"{API}/"):
            raise RegistryFailed(f"the registry did not {what}: its next page is at another address")
        response = await client.get(following)
    raise RegistryFailed(f"the registry did not {what}: there are more than {_MOST_PAGES * PAGE}")


def _place(repository: str) -> str:
    project, _, name = repository.partition("/")
    return f"{API}/projects/{quote(project, safe='')}/repositories/{quote(quote(name, safe=''), safe='')}"


def _image(entry: Mapping[str, object]) -> PushedImage:
    digest, tags = entry.get("digest"), entry.get("tags") or []
    if not isinstance(digest, str) or not isinstance(tags, list):
        raise RegistryFailed("the registry did not list images: one has no digest, or its tags are no list")
    return PushedImage(digest, tuple(str(tag["name"]) for tag in tags if isinstance(tag, dict) and "name" in tag))
