"""What the deletion of an app needs: a record of it, and whoever holds parts of the app."""

from collections.abc import Sequence
from typing import Protocol

from daemons.api.domain.deletions import Deletion


class PartLeft(Exception):
    """Something of the part is there still; the words say what and why."""


class DeletionStore(Protocol):
    """Table `fun_ai_app_deletion`: apps that are gone for their owners."""

    async def begin(self, user_id: int, app_id: int) -> Deletion:
        """The app is gone, and its deletion written down, in one transaction; one that was begun before is answered as
        it stands. Raises NotFound for what is not the user's."""
        ...

    async def find(self, app_id: int) -> Deletion | None:
        """One of them."""
        ...

    async def owner(self, app_id: int) -> int | None:
        """Whose the app is; of one whose deletion began, whose it was."""
        ...

    async def unfinished(self) -> Sequence[Deletion]:
        """Those that go on, oldest first."""
        ...

    async def claim(self, hold_ms: int) -> Deletion | None:
        """One that is due; nobody else gets it for so long."""
        ...

    async def save(self, deletion: Deletion, claimed: Deletion) -> bool:
        """Write an attempt down, also how far it is while it goes on, unless somebody else claimed it meanwhile:
        whether it was."""
        ...

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        ...

    async def forget(self, age_ms: int) -> int:
        """Forget those that were done so long ago; how many."""
        ...


class Workspaces(Protocol):
    """Users' workspaces, as far as apps are taken out of them."""

    async def remove(self, user_id: int, app_id: int) -> None:
        """Nothing of the app is in its owner's workspace. Raises PartLeft."""
        ...
