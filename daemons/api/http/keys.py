"""A user's SSH keys."""

from collections.abc import Sequence

from aiohttp import web

from daemons.api.http.apps import moment
from daemons.api.http.callers import subject
from daemons.api.ports import StoredKey
from daemons.api.services.keys import KeyRing
from daemons.kit.bodies import query, read, reply
from daemons.kit.openapi import Answers
from protocol.api import AddGitKey, GitKeyInfo, OfKey


class KeyRoutes:
    """`/api/fun-ai/git/keys`."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.get("/api/fun-ai/git/keys", self.list),
            web.post("/api/fun-ai/git/keys", self.add),
            web.delete("/api/fun-ai/git/keys", self.remove),
        ]

    @Answers(Sequence[GitKeyInfo])
    async def list(self, request: web.Request) -> web.Response:
        """The caller's keys."""
        return reply([_view(key) for key in await self._keys.of(subject(request))])

    @Answers(GitKeyInfo, refuses=(409,))
    async def add(self, request: web.Request) -> web.Response:
        """Register a key."""
        order = await read(request, AddGitKey)
        return reply(_view(await self._keys.add(subject(request), order.title, order.public_key)))

    @Answers(refuses=(404,))
    async def remove(self, request: web.Request) -> web.Response:
        """Take a key away."""
        await self._keys.remove(subject(request), query(request, OfKey).key_id)
        return reply(None)


def _view(key: StoredKey) -> GitKeyInfo:
    return GitKeyInfo(
        id=key.id,
        title=key.title,
        fingerprint=key.fingerprint,
        public_key=key.public_key,
        create_time=moment(key.created_at),
    )
