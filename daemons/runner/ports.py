"""What the runner needs of the world, each as the narrowest protocol that serves it."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daemons.runner.domain.layers import Layer, Use
from daemons.runner.domain.leftovers import Leftover
from daemons.runner.domain.plan import Attempt, ImageNames, Source
from daemons.runner.domain.room import Room
from daemons.runner.domain.watermarks import Disk
from protocol.apps import DeployApp, WarmImage
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, JobPhase, JobStatus, StageReport
from protocol.nodes import RunnerVitals

T = TypeVar("T")


class ControlPlaneDown(Exception):
    """The control plane did not answer, or not in a way that settles anything. Trying again is safe."""


class LeaseLost(Exception):
    """The attempt is no longer ours, or the job is no longer running: its work must end, unreported."""


class NoFolder(Exception):
    """A work folder could not be made; the text says where and why."""


class RegistryDown(Exception):
    """A registry did not answer, or not in a way that tells whether it has an image."""


class LogGap(Exception):
    """The control plane has fewer bytes of the log than were assumed."""

    def __init__(self, length: int) -> None:
        super().__init__(f"the control plane holds {length} bytes of the log")
        self.length = length


class LogRefused(Exception):
    """The control plane takes no further bytes of this log."""


class LogLater(Exception):
    """The control plane takes these bytes, but not now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, as it is reported; of its log so many bytes are there, and so many were left out."""

    status: JobStatus
    reason: JobReason | None = None
    message: str | None = None
    image: str | None = None
    image_digest: str | None = None
    commit: str | None = None
    log_length: int | None = None
    log_dropped: int = 0
    stages: tuple[StageReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Uploaded:
    """How many bytes the log has there now, and whether somebody reads it as it grows (None: it does not tell)."""

    length: int
    followed: bool | None = None


class ControlPlane(Protocol):
    """Raises ControlPlaneDown from every method; the others as they say."""

    async def claim(self, wait_seconds: float) -> ClaimedJob | None:
        """A job, or None after at most `wait_seconds` without one."""
        ...

    async def renew(
        self, attempt: Attempt, phase: JobPhase | None, wait_seconds: float, stages: tuple[StageReport, ...] = ()
    ) -> JobStatus:
        """Extend the lease from now, and tell all that was done in this attempt; answered when the job leaves RUNNING
        or the wait is over. Raises LeaseLost."""
        ...

    async def report(self, attempt: Attempt, outcome: Outcome) -> None:
        """End the attempt; repeating it is harmless. Raises LeaseLost when it is not ours to end."""
        ...

    async def hand_back(self, attempt: Attempt, log_length: int, stages: tuple[StageReport, ...]) -> JobStatus:
        """End the attempt without an outcome, so that another runner has the job at once; repeating it is harmless.
        Raises LeaseLost when it is not ours to end, or when this cannot be said: then its lease ends by itself."""
        ...

    async def upload(
        self, attempt: Attempt, offset: int, data: bytes, *, last: bool = False, late: bool = False
    ) -> Uploaded:
        """Append to the job's log; `late` for an attempt that is over, `last` when this is all of it. Raises LogGap,
        LogRefused, and for one that is over LogLater."""
        ...


class Front(Protocol):
    """Where a runner tells how it is."""

    async def tell(self, vitals: RunnerVitals) -> bool:
        """False when the control plane does not know what this is. Raises ControlPlaneDown."""
        ...


class Aside(Protocol):
    """Where what must not stand still is done."""

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The work's result; cancelling the call cancels the work."""
        ...


class Leash(Protocol):
    """Everything outside this process that works for one attempt."""

    def cut(self) -> None:
        """End it all now. For any thread."""
        ...


class Leashes(Protocol):
    """Hands out leashes."""

    def held(self, name: str) -> AbstractAsyncContextManager[Leash]:
        """What is started within the block is on the leash; nothing of it is left after the block."""
        ...


class Disks(Protocol):
    """The file systems that builds fill."""

    async def look(self) -> tuple[Disk, ...]:
        """How full they are; those that cannot be looked at are left out."""
        ...


class LogSink(Protocol):
    """Where a step's output goes."""

    async def write(self, text: str) -> None:
        """Take a piece of text, whole lines or not."""
        ...


@dataclass(frozen=True, slots=True)
class Checkout:
    """A tree on the disk: its commit, 40 hexadecimal digits, and the size of all its files in bytes."""

    commit: str
    bytes: int


class Repository(Protocol):
    """Fetches sources."""

    async def checkout(self, source: Source, folder: Path, log: LogSink) -> Checkout:
        """Put the tree into `folder/source`. Raises WorkFailed.

        A cancelled call leaves no process behind.
        """
        ...


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build: the folder with the sources in `source`, the names to give, the labels to carry.

    `dockerfile` and `context` are paths within the sources, where the job says; a stranger's, like all that is in them.
    """

    folder: Path
    names: ImageNames
    labels: Mapping[str, str]
    dockerfile: str | None = None
    context: str | None = None


class Builder(Protocol):
    """Builds and pushes images."""

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build and name the image. Raises WorkFailed. A cancelled call ends the build in the engine."""
        ...

    async def push(self, image: str, log: LogSink) -> str:
        """Push one name; answers the digest the registry gave it. Raises WorkFailed."""
        ...

    async def remove(self, images: Sequence[str]) -> None:
        """Remove local names; those in use or absent stay as they are."""
        ...


class Images(Protocol):
    """Images in a registry."""

    async def size(self, host: str, name: str, digest: str) -> int | None:
        """How large it is, in bytes; None when the registry does not have it. Raises RegistryDown."""
        ...

    async def digest(self, host: str, name: str, tag: str) -> str | None:
        """What a tag names now, empty when that is not told; None when there is no such tag. Raises RegistryDown."""
        ...

    async def pause(self, host: str) -> float:
        """How many seconds the registry wants to be left alone; 0 when it does not say."""
        ...


class ReadyBuilder(Builder, Protocol):
    """A builder that can be asked how it is."""

    async def ping(self) -> None:
        """Raises when it could not build now."""
        ...


class NoLayers(Exception):
    """Where layers are kept cannot be looked at; the text says why."""


class LayerStore(Protocol):
    """Where a builder keeps layers. Raises NoLayers from every method."""

    async def room(self) -> Room:
        """How much room is left there."""
        ...

    async def layers(self) -> Sequence[Layer]:
        """All images there, with and without names."""
        ...

    async def drop(self, ids: Sequence[str]) -> None:
        """Remove these layers, the first one first. What is in use, or stood on, stays."""
        ...


class LayerNotes(Protocol):
    """What builds were seen to make and use, by the layers' keys; outlasts the runner."""

    @property
    def uses(self) -> Mapping[str, Use]:
        """All that is known."""
        ...

    async def add(self, uses: Mapping[str, Use]) -> None:
        """Remember these, in place of what was known of the same layers."""
        ...

    async def keep(self, keys: Collection[str]) -> None:
        """Forget all but these."""
        ...


class LayerMeter(Protocol):
    """Counts what becomes of layers."""

    def room(self, free_bytes: int) -> None:
        """So much is free where they are kept."""
        ...

    def dropped(self, layers: int) -> None:
        """So many were removed."""
        ...


class AppHost(Protocol):
    """A runtime node's agent."""

    async def deploy(self, agent_url: str, order: DeployApp) -> None:
        """Returns when the app is live. Raises WorkFailed with what the agent said."""
        ...

    async def warm(self, agent_url: str, order: WarmImage) -> str:
        """Let the node fetch what it will be asked to deploy; what came of it, in words. Returns within moments."""
        ...

    async def cool(self, agent_url: str, order: WarmImage) -> None:
        """It will not be deployed. Returns within moments, whatever the agent says."""
        ...


class Spool(Protocol):
    """A job's log on the runner's own disk."""

    async def append(self, data: bytes) -> int:
        """Add bytes at the end; answers the length. Raises OSError when the disk is full."""
        ...

    async def read(self, offset: int, most: int) -> bytes:
        """At most `most` bytes from `offset`."""
        ...

    async def finish(self) -> None:
        """Nothing follows; returns when it outlasts a crash of the machine. Raises OSError."""
        ...


class OpenSpool(Spool, Protocol):
    """One that an attempt writes into. `delivered`: the control plane has all of it."""

    delivered: bool


class NewSpools(Protocol):
    """Makes logs."""

    def opened(self, attempt: Attempt) -> AbstractAsyncContextManager[OpenSpool]:
        """An empty log; left to be delivered at the end of the block, unless it was. Raises NoFolder on entering."""
        ...


class Spools(Protocol):
    """Logs of ended attempts that wait to be delivered, in one `place`; `news` is set when there may be more."""

    news: asyncio.Event
    place: str

    async def left(self) -> Sequence[Leftover]:
        """The oldest first."""
        ...

    async def read(self, left: Leftover, offset: int, most: int) -> bytes:
        """At most `most` bytes from `offset`. Raises OSError."""
        ...

    async def remove(self, left: Leftover) -> None:
        """It is not needed any more."""
        ...


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The attempt's own folder."""

    path: Path


class Workplace(Protocol):
    """Hands out work folders."""

    def folder(self, name: str) -> AbstractAsyncContextManager[WorkFolder]:
        """An empty folder that is gone, with all in it, at the end of the block. Raises NoFolder on entering."""
        ...


class Pacer(Protocol):
    """Time as the runner's loops see it, so that tests can do without it."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def limit(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Raises TimeoutError from the block when it takes longer."""
        ...


class Meter(Protocol):
    """Counts what the runner does."""

    def busy(self, slots: int) -> None:
        """So many slots hold a job now."""
        ...

    def finished(self, result: str) -> None:
        """A job ended: a status, or `abandoned` when nothing was reported."""
        ...

    def step(self, phase: JobPhase, seconds: float) -> None:
        """A step took so long."""
        ...
