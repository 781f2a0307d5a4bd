"""What the services need from the outside, and the ways it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from daemons.workspace.domain.containers import ContainerSpec
from daemons.workspace.domain.idle import Sample
from daemons.workspace.domain.workspaces import Seen, Workspace


class HomeError(Exception):
    """A user's files cannot be reached on this node; the message says why."""


class RecordError(Exception):
    """What the node remembers of its workspaces cannot be read or written."""


class Use(StrEnum):
    """What counts as use of a workspace, so that it is neither frozen nor stopped."""

    FILES = "files"
    TERMINAL = "terminal"
    PREVIEW = "preview"
    RUN = "run"
    GIT = "git"
    CPU = "cpu"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and inodes of a user's file system: used, and how many there are; 0 inodes: not counted."""

    used_bytes: int
    total_bytes: int
    used_inodes: int = 0
    total_inodes: int = 0


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a container; `pid` is its first process as this machine numbers it, 0 without one, and
    `making` what it was made of (domain/containers.py)."""

    seen: Seen
    making: str
    pid: int
    id: str


class Homes(Protocol):
    """The files of users: `/workspace` of their containers."""

    async def ready(self, user_id: str) -> Path:
        """The folder, there and mounted, with `apps` and `run` in it. Raises HomeError."""
        ...

    async def present(self, user_id: str) -> bool:
        """Whether the user has a folder here; none is made. Raises HomeError."""
        ...

    async def users(self) -> Sequence[str]:
        """Whoever has a folder here. Raises HomeError."""
        ...

    async def gates(self, user_id: str) -> Path:
        """The node's own folder that the container sees read-only. Raises HomeError."""
        ...

    async def usage(self, user_id: str) -> Usage:
        """Raises HomeError."""
        ...

    async def left(self, user_id: str) -> int | None:
        """Bytes that the user may still store; None where the kernel says so when it is full. Raises HomeError."""
        ...

    async def take(self, user_id: str, count: int) -> None:
        """So many bytes are about to be written. Raises DiskFull, HomeError."""
        ...

    def freed(self, user_id: str) -> None:
        """Something was removed."""
        ...

    async def rest(self, user_id: str) -> None:
        """Nobody uses the files for now; what holds them open may be let go. Raises HomeError."""
        ...

    async def erase(self, user_id: str) -> None:
        """All of the user's files are gone for good. Raises HomeError."""
        ...

    async def put_aside(self, user_id: str, move: int) -> None:
        """Nobody finds the user's files any more; they are kept under the move's number. Again is no error. Raises
        HomeError."""
        ...

    async def drop(self, user_id: str, move: int) -> None:
        """What was put aside for that move is gone for good, and what was spare. Raises HomeError."""
        ...

    async def spare(self, user_id: str, move: int) -> Path:
        """An empty folder beside the user's, bounded as that one. Raises HomeError."""
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


class Activity(Protocol):
    """Who used a workspace last."""

    def touch(self, user_id: str, use: Use) -> None:
        """Now."""
        ...


class Records(Protocol):
    """What the node remembers of its workspaces."""

    async def load(self) -> Sequence[Workspace]:
        """All of them. Raises RecordError."""
        ...

    async def save(self, workspace: Workspace) -> None:
        """It survives a crash of the machine afterwards. Raises RecordError."""
        ...

    async def forget(self, user_id: str) -> None:
        """Raises RecordError."""
        ...


class Containers(Protocol):
    """Users' containers on the engine; every method raises EngineError."""

    async def create(self, spec: ContainerSpec) -> None:
        """In a fenced network of its own."""
        ...

    async def start(self, name: str) -> None:
        """Also raises PortTaken."""
        ...

    async def stop(self, name: str, grace_seconds: int) -> None:
        """It has ended; an absent one is no error."""
        ...

    async def pause(self, name: str) -> None:
        """None of its processes runs; all stay in memory."""
        ...

    async def unpause(self, name: str) -> None:
        """They run on."""
        ...

    async def remove(self, name: str) -> None:
        """It is gone, and its network; an absent one is no error."""
        ...

    async def state(self, name: str) -> ContainerState:
        """As it is now."""
        ...


class Images(Protocol):
    """Images that containers are made of; every method raises EngineError."""

    async def present(self, reference: str) -> bool:
        """Whether the engine has it."""
        ...

    async def pull(self, reference: str) -> None:
        """From the registry that it names."""
        ...


class Meters(Protocol):
    """What containers used."""

    async def sample(self, user_id: str, now_ms: int) -> Sample | None:
        """All that the user's container used since it was started; None when it does not run. Raises EngineError."""
        ...

    async def arrived(self, user_id: str) -> int:
        """How much reached connections of the user's container, in TCP segments; 0 when it does not run. Cheap. Raises
        EngineError."""
        ...

    async def unread(self, user_id: str) -> int:
        """What waits on the container's connections for its programs to read it: bytes, and visitors who knocked; 0
        when it does not run. Raises EngineError."""
        ...


class FreePorts(Protocol):
    """Ports of this machine."""

    def free(self, port: int) -> bool:
        """Whether nobody listens on it on 127.0.0.1 now."""
        ...
