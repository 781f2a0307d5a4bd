"""What git in workspaces needs from the outside."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from daemons.workspace.domain.programs import Program


class TooSlow(Exception):
    """A program took longer than it may, and was ended with all that it started."""


class KeysUnavailable(Exception):
    """No key can be lent; the message says what an operator does about it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended (None: nobody knows) and what it wrote; `whole` is false when it wrote more than was kept, of
    `written` bytes in all."""

    status: int | None
    output: bytes
    errors: bytes
    whole: bool
    written: int = 0


class Commands(Protocol):
    """Programs in users' containers that end by themselves."""

    async def run(
        self, user_id: str, program: Program, *, given: bytes, seconds: float, most_bytes: int, tag: str
    ) -> Outcome:
        """Run it with this input, keep at most so many bytes of what it writes, and let nothing of it run afterwards.
        Raises TooSlow, EngineError. The container runs and is not frozen meanwhile."""
        ...


class Passages(Protocol):
    """Ways to the git server, and to nothing else, for programs in users' containers."""

    def opened(self, user_id: str) -> AbstractAsyncContextManager[int]:
        """The git server answers at this port of the container's own 127.0.0.1, until the context is left. Entering it
        raises EngineError. The container runs meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Loan:
    """A key for one repository: the repository's address, the name under which the lines of `known_hosts` say whose
    host key is right there, and the private key as OpenSSH writes it."""

    url: str
    server: str
    known_hosts: str
    private_key: bytes = field(repr=False)


class RepositoryKeys(Protocol):
    """Lends keys that open one repository each, for a short time."""

    def url(self, user_id: str, app_id: str) -> str:
        """The address of an app's repository."""
        ...

    def lent(self, user_id: str, app_id: str, seconds: float) -> AbstractAsyncContextManager[Loan]:
        """A new key that may read and write the app's repository and nothing else, until the context is left or, if
        that never happens, the time is over. Entering it raises KeysUnavailable."""
        ...

    async def sweep(self) -> None:
        """What was lent by a process that ended, and is over, is gone. Raises KeysUnavailable."""
        ...
