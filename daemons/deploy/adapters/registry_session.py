"""One connection to a registry: basic authentication, a time limit, no redirects, and errors in words.

Credentials go to the address in the settings alone, whatever an answer says.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import httpx

from daemons.deploy.ports import RegistryFailed

_CONNECT_SECONDS: Final = 3.0
_WORDS: Final = 300


class RegistrySession:
    """One connection per task: the registry is asked rarely. `account` names, in errors, what says who we are."""

    def __init__(
        self,
        base_url: str,
        login: tuple[str, str] | None,
        timeout_seconds: float,
        account: str = "DEPLOY_REGISTRY_CLEANUP_USERNAME",
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._login = login
        self._timeout = httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds))
        self._account = account

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

    def require(self, response: httpx.Response, what: str) -> None:
        """Raises RegistryFailed with the registry's words for anything but a success."""
        if response.is_success:
            return
        hint = ""
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            hint = f"; check {self._account} and its rights"
        words = " ".join(response.text.split())[:_WORDS]
        raise RegistryFailed(
            f"the registry did not {what}: HTTP {response.status_code}{f' {words}' if words else ''}{hint}"
        )

    def document(self, response: httpx.Response, what: str) -> Mapping[str, object]:
        """The JSON object of a success. Raises RegistryFailed."""
        document = self._json(response, what)
        if not isinstance(document, dict):
            raise RegistryFailed(f"the registry did not {what} in JSON; is {self._base_url} a registry?")
        return document

    def listing(self, response: httpx.Response, what: str) -> list[Mapping[str, object]]:
        """The JSON objects of a success that is a list; null is an empty one. Raises RegistryFailed."""
        document = self._json(response, what)
        if document is None:
            return []
        if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
            raise RegistryFailed(f"the registry did not {what} as a list in JSON; is {self._base_url} a registry?")
        return document

    def _json(self, response: httpx.Response, what: str) -> object:
        self.require(response, what)
        try:
            document: object = response.json()
        except ValueError:
            return ""
        return document
