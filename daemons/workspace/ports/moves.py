"""What moves of workspaces need of this machine's disk."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from daemons.workspace.domain.backups import Manifest


@dataclass(frozen=True, slots=True)
class Received:
    """What one whole pass brought; `matches`: the trees were compared and are the same."""

    token: str
    files: int
    sent_bytes: int
    skipped: tuple[str, ...]
    matches: bool


class Copies(Protocol):
    """Users' files on their way between nodes."""

    def sending(self, user_id: str, after: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """One pass over the user's files: what differs since that one, or all. Raises HomeError."""
        ...

    async def receive(self, user_id: str, after: str, pieces: AsyncIterator[bytes], *, compare: bool) -> Received:
        """Take one pass; it is on the disk afterwards. Raises HomeError, CopyRefused, SourceFailed, FileError, and
        what the pieces raise."""
        ...

    def archived(self, user_id: str, left_out: frozenset[str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """All of the user's files as a backup, without folders of these names. Raises HomeError."""
        ...

    async def restore(self, user_id: str, move: int, pieces: AsyncIterator[bytes]) -> Manifest:
        """What a backup holds is in the spare folder. Raises HomeError, CopyRefused, FileError, and what the pieces
        raise."""
        ...

    async def forget(self, user_id: str) -> None:
        """No pass of the user's is remembered any more. Raises HomeError."""
        ...


class Keeps(Protocol):
    """Files of users who live elsewhere now."""

    async def present(self, user_id: str) -> bool:
        """Whether the user has files here. Raises HomeError."""
        ...

    async def erase(self, user_id: str) -> None:
        """They are gone for good. Raises HomeError."""
        ...

    async def put_aside(self, user_id: str, move: int) -> None:
        """Nobody finds them any more; they are kept under the move's number. Again is no error. Raises HomeError."""
        ...

    async def drop(self, user_id: str, move: int) -> None:
        """What was put aside for that move is gone for good, and what was spare. Raises HomeError."""
        ...

    async def spares(self) -> Sequence[tuple[str, int]]:
        """Whose spare folders are here, whole or not, and for which moves. Raises HomeError."""
        ...

    async def drop_spare(self, user_id: str, move: int) -> None:
        """It is gone for good; what was put aside for that move stays. Raises HomeError."""
        ...

    async def take_spare(self, user_id: str, move: int) -> None:
        """The spare folder is the user's from now on, at once; the former one is put aside. Raises HomeError."""
        ...
