"""What the supervisor needs from the outside, each as narrow as its use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Child:
    """One process of the platform. `probe` is an http:// URL that answers 200, or tcp://host:port that accepts."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    probe: str


class Process(Protocol):
    """A started child."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    async def wait(self) -> int:
        """Its exit code once it ended; negative for a signal."""
        ...

    def terminate(self) -> None:
        """Ask it to end; nothing happens when it already has."""
        ...

    def kill(self) -> None:
        """End it and everything in its process group."""
        ...


class Processes(Protocol):
    """Starts children."""

    async def start(self, child: Child) -> Process:
        """Raises OSError when the program cannot be run."""
        ...


class Probe(Protocol):
    """Asks a child whether it is ready."""

    async def problem(self, address: str) -> str | None:
        """None when ready, else what stands in the way."""
        ...


class Ticker(Protocol):
    """Elapsed time."""

    def seconds(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class DemoApp:
    """The demo user's app and the address of its repository."""

    id: str
    repository: str


class DemoApi(Protocol):
    """The API entry, as the demo user calls it."""

    async def ensure_app(self) -> DemoApp:
        """The demo user's app, made if it is not there."""
        ...

    async def register_key(self, public_key: str) -> None:
        """Let this key push to the user's repositories; no harm when it already may."""
        ...

    async def deploy(self, app_id: str) -> str:
        """Start a deployment of branch main and return the job's id."""
        ...

    async def outcome(self, job_id: str) -> tuple[str, str | None]:
        """The job's status and, when it failed, why."""
        ...


class DemoRepository(Protocol):
    """The demo user's working copy."""

    async def push(self, app: DemoApp) -> None:
        """Commit the demo files and push them to main. Raises DemoFailed with git's own words."""
        ...


class Page(Protocol):
    """The app's page at the gateway."""

    async def answers(self, app_id: str) -> bool:
        """Whether the page is served."""
        ...
