"""What runs need from the outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.workspace.domain.passes import Rules
from daemons.workspace.domain.projects import Project
from daemons.workspace.domain.runs import Run
from daemons.workspace.domain.sockets import Listener


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log from `offset` on; the log has `size` bytes, of which those before `offset` that were asked for are
    gone."""

    offset: int
    size: int
    data: bytes


class RunRecords(Protocol):
    """The one run of each user."""

    async def load(self) -> Sequence[Run]:
        """All of them. Raises RecordError."""
        ...

    async def save(self, run: Run) -> None:
        """Raises RecordError."""
        ...

    async def forget(self, user_id: str) -> None:
        """Raises RecordError."""
        ...


class RuleRecords(Protocol):
    """Who may see the previews of each user."""

    async def load(self) -> Sequence[Rules]:
        """All of them. Raises RecordError."""
        ...

    async def save(self, record: Rules) -> None:
        """Raises RecordError."""
        ...


class ProjectFiles(Protocol):
    """The telling files of apps; nothing of a link is ever followed."""

    async def project(self, user_id: str, app_id: str) -> Project | None:
        """None when the app has no folder. Raises HomeError."""
        ...


class RunLogs(Protocol):
    """Logs of runs, in the users' own file systems."""

    async def names(self, user_id: str) -> tuple[str, ...]:
        """Raises HomeError."""
        ...

    async def remove(self, user_id: str, names: Sequence[str]) -> None:
        """Raises HomeError."""
        ...

    async def bound(self, user_id: str, name: str, most: int) -> None:
        """Let its oldest bytes go once it has much more than so many; offsets stay what they are. Raises HomeError."""
        ...

    async def empty(self, user_id: str, name: str) -> None:
        """It has no bytes any more; whoever writes it goes on. Raises HomeError."""
        ...

    async def read(self, user_id: str, name: str, offset: int, most: int) -> LogPart | None:
        """At most so many bytes from the offset on; a negative offset counts from the end. None when there is no such
        log. Raises HomeError."""
        ...


class Ways(Protocol):
    """Ways to servers in containers that listen elsewhere than where their published ports lead."""

    async def lead(self, user_id: str, to: int) -> int:
        """The port of this machine's 127.0.0.1 from which one comes to this port of the container's loopback, until the
        next way of the user is asked for. Raises OSError, EngineError."""
        ...


class Listeners(Protocol):
    """Sockets that accept connections in containers."""

    async def listening(self, user_id: str) -> tuple[Listener, ...]:
        """Those of the user's container; none when it does not run. Raises EngineError."""
        ...

    async def holder(self, user_id: str, listener: Listener) -> int | None:
        """The process that holds one of them, as the container numbers it; None when nobody knows. Raises
        EngineError."""
        ...
