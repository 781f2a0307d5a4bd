"""What the git server needs from the outside."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from daemons.git.domain.access import Holder
from daemons.git.domain.pushes import Journal, Push
from protocol.api import GitCreation, GitRemoval

Order = TypeVar("Order", GitCreation, GitRemoval)


class AccessBook(Protocol):
    """Knows every key that may enter."""

    async def holder(self, fingerprint: str) -> Holder | None:
        """Whoever holds the key with this `SHA256:...` fingerprint, as of now; None for an unknown key."""
        ...


class Repositories(Protocol):
    """The bare repositories."""

    async def exists(self, repository: str) -> bool:
        """Whether `owner/name` is there."""
        ...

    async def create(self, repository: str) -> None:
        """Make an empty one whose HEAD is `main`; harmless when another request made it first."""
        ...


class OrderedRepositories(Protocol):
    """Repositories that are made and removed by order."""

    async def ensure(self, repository: str, files: Mapping[str, bytes]) -> bool:
        """It is there afterwards, and unless it had a branch before, its `main` has these files by path: whether it was
        made. Raises OSError."""
        ...

    async def remove(self, repository: str) -> None:
        """There is none afterwards; harmless when there was none. Raises OSError."""
        ...


class Branches(Protocol):
    """What repositories have."""

    async def branches(self, repository: str) -> Mapping[str, str] | None:
        """The commit of each branch; None when there is no such repository. Raises OSError."""
        ...


class Orders(Protocol[Order]):
    """What is to be done, of one kind."""

    async def pending(self) -> Sequence[Order]:
        """Orders that were not carried out. Raises OSError."""
        ...

    async def done(self, order: Order) -> None:
        """It was carried out; harmless when it was withdrawn meanwhile. Raises OSError."""
        ...


class PushJournals(Protocol):
    """A journal of pushes for each repository. All raise OSError."""

    async def every(self) -> Sequence[str]:
        """The repositories that have one."""
        ...

    async def load(self, repository: str) -> Journal | None:
        """Its journal, if it has one."""
        ...

    async def save(self, repository: str, journal: Journal) -> None:
        """Replace it, whole and durably."""
        ...

    async def forget(self, repository: str) -> None:
        """It has none any more."""
        ...


class Untold(Exception):
    """Nobody took the push; the words say why, and no secret."""


class PushReceiver(Protocol):
    """Whoever is told of pushes."""

    async def tell(self, repository: str, push: Push) -> None:
        """Tell, and wait until it was taken. Raises Untold."""
        ...
