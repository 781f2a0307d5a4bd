"""What the git server needs from the outside."""

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
