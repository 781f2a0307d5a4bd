"""Programs in users' containers, as the services need them."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from daemons.workspace.domain.programs import Program


class Running(Protocol):
    """A program that was started. What the engine calls it (`id`) finds it again after a restart of the node."""

    @property
    def id(self) -> str:
        """The engine's name for it."""
        ...

    async def inside(self) -> int | None:
        """What its container numbers its first process; None when that is gone."""
        ...

    async def ended(self) -> int | None:
        """Wait for its end: the exit status, or None when nobody knows it any more. Raises EngineError."""
        ...


class Terminal(Protocol):
    """A program on a terminal."""

    async def read(self) -> bytes:
        """What it wrote, at most 32 KiB; empty at the end. Raises EngineError."""
        ...

    async def write(self, data: bytes) -> None:
        """Type it. Raises EngineError."""
        ...

    async def resize(self, cols: int, rows: int) -> None:
        """Raises EngineError."""
        ...

    async def exit_code(self) -> int | None:
        """Its exit status after the end. Raises EngineError."""
        ...


class Attachment(Protocol):
    """A program with standard streams of its own; it is one that is `fed`."""

    async def read(self) -> tuple[int, bytes] | None:
        """What it wrote to stream 1 (output) or 2 (errors); None at the end. Raises EngineError."""
        ...

    async def write(self, data: bytes) -> None:
        """Its input, as fast as it is read."""
        ...

    def close_input(self) -> None:
        """There is no more input."""
        ...

    async def gone(self) -> None:
        """Wait for the end of its first process."""
        ...

    async def exit_code(self) -> int | None:
        """Its exit status after the end. Raises EngineError."""
        ...


class Programs(Protocol):
    """Starts programs, each with a tag of its own, and ends all that they started. Every method raises EngineError.

    The container of the user runs and is not frozen meanwhile.
    """

    async def start(self, user_id: str, program: Program, tag: str) -> Running:
        """The program runs, and goes on when the node ends."""
        ...

    def open(
        self, user_id: str, program: Program, tag: str, size: tuple[int, int]
    ) -> AbstractAsyncContextManager[Terminal]:
        """The program on a terminal of so many columns and rows; all of it is ended when the context is left."""
        ...

    def attached(self, user_id: str, program: Program, tag: str) -> AbstractAsyncContextManager[Attachment]:
        """The program with its streams. Whoever opened it ends it."""
        ...

    async def found(self, user_id: str, program_id: str) -> Running | None:
        """The program that was started before, if it runs still."""
        ...

    async def end(self, user_id: str, tag: str, grace_seconds: float) -> None:
        """Nothing of it runs afterwards."""
        ...

    async def sweep(self, user_id: str, kept: Collection[str]) -> None:
        """Nothing runs afterwards of any program whose tag is not kept."""
        ...
