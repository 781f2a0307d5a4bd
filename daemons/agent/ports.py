"""What the services need from the outside, and the ways it fails."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.containers import ContainerSpec
from daemons.agent.domain.images import LocalImage
from daemons.agent.domain.probing import Answer, ContainerState, Listener


class EngineError(Exception):
    """The container engine could not do it; the message holds its own words."""


class PortTaken(EngineError):
    """Another process holds the host port; a different one may work."""


class GatewayError(Exception):
    """The gateway could not be told, or did not do as told."""


class GatewayDown(GatewayError):
    """No gateway process is running: it serves nobody, and will read the map file when it starts."""


class ControlPlaneError(Exception):
    """Deploy did not answer, or refused the call."""


class StateError(Exception):
    """What was remembered on disk cannot be read or written."""


@dataclass(frozen=True, slots=True)
class OwnContainer:
    """A container that carries this platform's name and labels."""

    name: str
    user_id: str
    app_id: str
    running: bool


@dataclass(frozen=True, slots=True)
class DiskFigures:
    """Bytes and inodes that are free where the engine keeps its data, and their shares; without inodes (as btrfs has
    none) these are None."""

    free_bytes: int
    total_bytes: int
    free_pct: float
    inodes_free_pct: float | None
    inodes_free: int | None = None
    inodes_total: int | None = None


class Images(Protocol):
    """The engine's images."""

    async def pull(self, reference: str) -> str:
        """Pull from the registry that the reference names; the id of what was pulled. Raises EngineError."""
        ...

    async def image_id(self, reference: str) -> str | None:
        """The id of a local image."""
        ...

    async def images(self) -> Sequence[LocalImage]:
        """Every local image."""
        ...

    async def remove_image(self, reference: str) -> None:
        """Remove one reference, and the image with its last; an absent one is no error. Raises EngineError in use."""
        ...


class Containers(Protocol):
    """The engine's containers; every method raises EngineError."""

    async def create(self, spec: ContainerSpec) -> None:
        """Make a container."""
        ...

    async def start(self, name: str) -> None:
        """Start it. Raises PortTaken."""
        ...

    async def state(self, name: str) -> ContainerState | None:
        """What it is doing; None when there is none of that name."""
        ...

    async def keep_running(self, name: str) -> None:
        """From now on the engine restarts it, after crashes and after its own restart."""
        ...

    async def stop(self, name: str, grace_seconds: int) -> None:
        """SIGTERM, then SIGKILL after the grace; an absent or stopped one is no error."""
        ...

    async def remove(self, name: str) -> None:
        """Kill and remove it with its anonymous volumes; an absent one is no error."""
        ...

    async def logs(self, name: str, tail: int) -> str:
        """The last lines of its output."""
        ...

    async def listeners(self, name: str) -> Sequence[Listener]:
        """The sockets that listen inside it; empty when they cannot be seen."""
        ...

    async def own(self) -> Sequence[OwnContainer]:
        """Every container that carries our name pattern and labels, running or not."""
        ...


class Engine(Images, Containers, Protocol):
    """Both."""


class Probe(Protocol):
    """Asks an app whether it works."""

    async def get(self, port: int, path: str) -> Answer:
        """One GET on 127.0.0.1; never raises."""
        ...


class HostPorts(Protocol):
    """Ports of this node."""

    def free(self, taken: Collection[int]) -> int:
        """A port outside `taken` that nobody listens on. Raises EngineError when there is none left."""
        ...


class Gateway(Protocol):
    """Routes from apps to ports; every method raises GatewayError."""

    async def route(self, app_id: str, port: int) -> None:
        """Send the app's next request to the port; when it raises, the route is what it was."""
        ...

    async def remove(self, app_id: str) -> None:
        """Send the app's visitors nowhere; an absent route is no error."""
        ...

    async def in_flight(self, port: int) -> int:
        """How many requests and WebSockets are being served by the port right now."""
        ...

    async def reconcile(self, routes: Callable[[], Mapping[str, int]]) -> int:
        """Make map file and running gateway hold exactly these routes; how many it had to mend.

        `routes` is asked once no other change is under way, so that a switch in between is not undone.
        """
        ...


class StateFiles(Protocol):
    """The durable memory of apps; every method raises StateError."""

    async def load(self) -> Sequence[AppState]:
        """Every state that was saved."""
        ...

    async def save(self, state: AppState) -> None:
        """Write one state so that it survives a crash of the machine."""
        ...


class ControlPlane(Protocol):
    """Deploy; every method raises ControlPlaneError."""

    async def confirm(self, app_id: str, fence: int) -> str | None:
        """None when the attempt may go live; otherwise why not."""
        ...

    async def heartbeat(self, disk: DiskFigures | None, containers: int | None) -> None:
        """Tell deploy how this node is."""
        ...


class Disk(Protocol):
    """The file system that the engine fills."""

    async def measure(self) -> DiskFigures:
        """Raises EngineError when it cannot be found or read."""
        ...
