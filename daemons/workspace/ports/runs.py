"""What runs need from the outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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

    async def read(self, user_id: str, name: str, offset: int, most: int) -> LogPart | None:
        """At most so many bytes from the offset on; a negative offset counts from the end. None when there is no such
        log. Raises HomeError."""
        ...


class Ways(Protocol):
    """Ways from the published port of a container to a server inside that listens elsewhere."""

    async def lead(self, user_id: str, to: int) -> None:
        """Visitors of the published port come to this port of the container's loopback. Raises OSError, EngineError."""
        ...


class Listeners(Protocol):
    """Sockets that accept connections in containers."""

    async def listening(self, user_id: str) -> tuple[Listener, ...]:
        """Those of the user's container; none when it does not run. Raises EngineError."""
        ...
