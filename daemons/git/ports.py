"""What the git server needs from the outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.git.domain.access import Holder


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


class Removable(Protocol):
    """Repositories that can be removed."""

    async def remove(self, repository: str) -> None:
        """There is none afterwards; harmless when there was none. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class RemovalOrder:
    """A repository that is to go."""

    repository: str


class RemovalOrders(Protocol):
    """What is to be removed."""

    async def pending(self) -> Sequence[RemovalOrder]:
        """Orders that were not carried out. Raises OSError."""
        ...

    async def done(self, order: RemovalOrder) -> None:
        """It was carried out. Raises OSError."""
        ...
