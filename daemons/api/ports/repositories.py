"""What hosts repositories, and a record of what is wanted of it."""

from collections.abc import Mapping
from typing import Protocol

from daemons.api.domain.repositories import SetUp, Wanted


class RepositoryTrouble(Exception):
    """The host did not do what was asked; the words say what and why, and no secret."""


class RepositoryRemover(Protocol):
    """A git server, as far as repositories are taken off it."""

    async def remove(self, repository: str) -> None:
        """There is none, nor is there one later by an order from before. Raises RepositoryTrouble."""
        ...


class RepositoryHost(RepositoryRemover, Protocol):
    """A git server, as far as apps' repositories are concerned; `owner/name` names one. Every call may be repeated and
    raises RepositoryTrouble. Whoever makes one and dies halfway has somebody else make it once more."""

    async def create(self, repository: str, files: Mapping[str, str]) -> None:
        """It is there, closed to strangers. One that is new begins with `files`, by path; of one that is not, nothing
        is changed, but what was left half done may be completed."""
        ...

    async def admit_bots(self, repository: str) -> None:
        """Runners may read it, workspaces write to it."""
        ...

    async def announce(self, repository: str) -> None:
        """Pushes to it are told to the API."""
        ...


class RepositoryStore(Protocol):
    """What is wanted, in the rows of apps."""

    async def claim(self, hold_ms: int) -> Wanted | None:
        """One that is due; nobody else gets it for so long, and whoever removes its repository waits."""
        ...

    async def save(self, wanted: Wanted, outcome: SetUp) -> bool:
        """Write an attempt down and let go, unless somebody else claimed it meanwhile or the app is gone: whether it
        was."""
        ...

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        ...
