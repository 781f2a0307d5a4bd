"""Caches of packages, as the services see them."""

from collections.abc import Sequence
from typing import Protocol

from daemons.workspace.domain.packages import Cached


class CacheFiles(Protocol):
    """Files of caches on users' disks; no link is followed. Both raise HomeError and FileError."""

    async def files(self, user_id: str, folder: str) -> Sequence[Cached]:
        """All of a cache that lies in a folder of the user's; none when there is no such folder."""
        ...

    async def remove(self, user_id: str, files: Sequence[Cached]) -> int:
        """They are gone, but for those that could not be removed; the bytes that went."""
        ...
