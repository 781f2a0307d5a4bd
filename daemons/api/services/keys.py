"""Users' SSH keys, and the access file that makes the git server honour them."""

import asyncio
import logging
from collections.abc import Sequence

from daemons.api.domain.access import NotFound, Subject, git_grants
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.keys import InvalidPublicKey, parse
from daemons.api.ports import AppStore, GitAccess, KeyStore, KeyTaken, StoredKey

logger = logging.getLogger(__name__)

_MOST_KEYS = 50


class KeyRing:
    """Every change is in the access file before it is answered."""

    def __init__(self, keys: KeyStore, apps: AppStore, access: GitAccess, hosting: Hosting) -> None:
        self._keys = keys
        self._apps = apps
        self._access = access
        self._hosting = hosting
        self._writing = asyncio.Lock()

    async def add(self, subject: Subject, title: str, line: str) -> StoredKey:
        """Register a key; registering one's own key again answers the stored one.

        Raises InvalidPublicKey, KeyTaken, KeyLimit, AccessUnwritten (the key is stored; repeat the request).
        """
        key = parse(line)
        bot = await self._bot()
        if bot is not None and key.fingerprint == bot[0]:
            raise KeyTaken("this key is the runner's own; make a key pair of your own")
        own = {stored.fingerprint: stored for stored in await self._keys.of_user(subject.user_id)}
        stored = own.get(key.fingerprint) or await self._keys.add(
            subject.user_id, title, key.text, key.fingerprint, _MOST_KEYS
        )
        await self.publish()
        return stored

    async def remove(self, subject: Subject, key_id: int) -> None:
        """Take a key away; the git server refuses it from the answer on. Raises NotFound, AccessUnwritten."""
        if not await self._keys.remove(subject.user_id, key_id):
            raise NotFound(f"there is no key {key_id}")
        await self.publish()

    async def of(self, subject: Subject) -> Sequence[StoredKey]:
        """The subject's keys, oldest first."""
        return await self._keys.of_user(subject.user_id)

    async def publish(self) -> None:
        """Write the access file from the tables. Raises AccessUnwritten, DatabaseUnavailable."""
        async with self._writing:
            repositories: dict[int, tuple[str, ...]] = {}
            for app in await self._apps.every():
                name = self._hosting.repository(app.user_id, app.id)
                repositories[app.user_id] = (*repositories.get(app.user_id, ()), name)
            keys = [(key.user_id, key.fingerprint, key.public_key) for key in await self._keys.every()]
            await self._access.write(git_grants(keys, repositories, await self._bot()))

    async def _bot(self) -> tuple[str, str] | None:
        line = await self._access.bot_key()
        if line is None:
            return None
        try:
            key = parse(line)
        except InvalidPublicKey:
            logger.error(  # noqa: TRY400 - the parser's text speaks to a user
                "the runner bot's public key is not one; runners cannot clone until RUNNER_GIT_PUBLIC_KEY_PATH is right"
            )
            return None
        return key.fingerprint, key.text
