"""What apps leave behind, as the services see it."""

from collections.abc import Sequence
from typing import Protocol

from daemons.workspace.domain.leavings import Leaving


class AppFolders(Protocol):
    """Folders of apps, and what belongs to them, on users' disks. No link is followed, and nothing outside of the
    user's folder is touched. Every method raises HomeError."""

    async def users(self) -> Sequence[str]:
        """Whoever has a folder here."""
        ...

    async def found(self, user_id: str) -> Sequence[Leaving]:
        """What lies in the user's `apps`: links and files as well, since a user may put anything there."""
        ...

    async def set_aside(self, user_id: str, app_id: str, name: str) -> bool:
        """The app's folder has this name in `apps` now, at once; false when there is none. Raises FileError."""
        ...

    async def remove(self, user_id: str, folder: Sequence[str], name: str) -> bool:
        """What lies under a name in a folder is gone; false when nothing was there. Raises FileError for what cannot be
        removed; some of it may be gone then."""
        ...


class AppLoans(Protocol):
    """Keys that are lent for repositories of apps."""

    async def take_back(self, user_id: str, app_id: str) -> int:
        """None of them opens anything any more; how many there were. Raises KeysUnavailable."""
        ...
