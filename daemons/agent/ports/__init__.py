"""What the services need from the outside, and the ways it fails."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.collection import ContainerLog, Kept
from daemons.agent.domain.containers import ContainerSpec
from daemons.agent.domain.disk import DiskFigures
from daemons.agent.domain.images import Layer, LocalImage
from daemons.agent.domain.output import Piece
from daemons.agent.domain.probing import Answer, ContainerState, Listener
from daemons.agent.domain.report import NodeReport
from daemons.agent.domain.shell import Run
from daemons.agent.domain.usage import Sample
from daemons.agent.domain.visitors import InFlight, Notice, Patience
from protocol.nodes import DiskLevel


class GatewayError(Exception):
    """The gateway could not be told, or did not do as told."""


class GatewayDown(GatewayError):
    """No gateway process is running: it serves nobody, and will read the map file when it starts."""


class ControlPlaneError(Exception):
    """Deploy did not answer, or refused the call."""


class NoRoom(Exception):
    """The node's disk has no room for it."""


class StateError(Exception):
    """What was remembered on disk cannot be read or written."""


@dataclass(frozen=True, slots=True)
class OwnContainer:
    """A container that carries this platform's name and labels."""

    name: str
    user_id: str
    app_id: str
    running: bool


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

    async def leave_down(self, name: str) -> None:
        """From now on the engine does not restart it by itself, as containers of former agents were."""
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


class Isolation(Protocol):
    """What keeps apps from each other and from the machine; every method raises EngineError."""

    async def isolate(self) -> None:
        """The rules around the networks of apps stand, also after somebody removed them."""
        ...

    async def tidy(self) -> None:
        """Remove networks that no container belongs to."""
        ...

    async def release(self) -> bool:
        """Take the rules away unless there is an app left that they hold; whether they are gone."""
        ...


class Engine(Images, Containers, Isolation, Protocol):
    """All three."""


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
        """Send the app's next request to the port, and those that wait; when it raises, the route is what it was."""
        ...

    async def hold(self, app_id: str) -> None:
        """Let the app's next requests wait for `route`, instead of failing them; when it raises, nothing has changed.

        They wait for a bounded time, also while this agent is away; what is in flight goes on.
        """
        ...

    async def remove(self, app_id: str) -> None:
        """Send the app's visitors nowhere; an absent route is no error."""
        ...

    async def announce(self, app_id: str, notice: Notice | None) -> None:
        """What visitors are told while nothing answers for the app; a route that answers always goes before it."""
        ...

    async def in_flight(self, port: int) -> int:
        """How many requests, WebSockets and event streams are being served by the port right now."""
        ...

    async def drain(self, port: int, patience: Patience) -> InFlight:
        """Wait until nothing is in flight to a port that no route names, or the patience is at its end.

        What is left then is returned. Without a running gateway nothing is in flight.
        """
        ...

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        """Make map file and running gateway have exactly these routes; how many it had to mend. No port: on hold.

        `routes` is asked once no other change is under way, so that a switch in between is not undone.
        """
        ...


class AccessLog(Protocol):
    """Requests that the gateway served, per app."""

    async def run(self) -> None:
        """Take them for ever."""
        ...

    async def tail(self, app_id: str, lines: int) -> str:
        """The newest, one JSON document a line, oldest first. Raises StateError."""
        ...

    async def remove(self, app_id: str) -> None:
        """Keep nothing of what was served until now; that there is nothing is no error. Raises StateError."""
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

    async def heartbeat(self, report: NodeReport) -> None:
        """Tell deploy how this node is."""
        ...

    async def kept_images(self, app_ids: Sequence[str]) -> Mapping[str, Kept] | None:
        """Which images of these apps must stay; None when there is nobody who keeps any."""
        ...


class Disk(Protocol):
    """The file system that the engine fills."""

    async def measure(self) -> DiskFigures:
        """Raises EngineError when it cannot be found or read."""
        ...


class Machine(Protocol):
    """The machine that this node is; what is unknown is None."""

    def load1(self) -> float | None:
        """Processes that ran or waited to run, over the last minute."""
        ...

    def cpus(self) -> int | None:
        """Processors that this agent may use."""
        ...


class Manifests(Protocol):
    """What registries say of images."""

    async def layers(self, reference: str) -> Sequence[Layer]:
        """The image's layers for this machine, the lowest first. Raises EngineError."""
        ...


class Store(Protocol):
    """What lies in the engine's data beside images and containers; every method raises EngineError."""

    async def layer_lists(self) -> Sequence[Sequence[str]]:
        """For each local image the ids of its unpacked layers, the lowest first."""
        ...

    async def images_in_use(self) -> frozenset[str]:
        """Ids of images that any container is made of, whoever made it."""
        ...

    async def container_logs(self) -> Sequence[ContainerLog]:
        """The logs of our containers, as far as they can be seen."""
        ...

    async def cut_log(self, log: ContainerLog) -> None:
        """Empty a log."""
        ...


class DiskMeter(Protocol):
    """Figures of the disk for whoever watches."""

    def measured(self, figures: DiskFigures, level: DiskLevel, reserved_bytes: int) -> None:
        """The disk was looked at."""
        ...

    def collected(self, freed_bytes: int, images: int, logs: int) -> None:
        """A collection ended."""
        ...

    def refused(self, why: str) -> None:
        """An image was not pulled: for want of `room`, or because it was `stopped` half-way."""
        ...


class Output(Protocol):
    """What one container writes, as it is read."""

    async def read(self, seconds: float) -> Sequence[Piece] | None:
        """The next pieces; none after `seconds` without any; None when there is no more. Raises EngineError."""
        ...


class Outputs(Protocol):
    """What containers write."""

    def output(self, name: str, *, since: int, tail: int | None, follow: bool) -> AbstractAsyncContextManager[Output]:
        """From `since` (nanoseconds since 1970) on, the last `tail` lines or all; with `follow` until the container
        stops. Entering it raises EngineError."""
        ...

    async def variables(self, name: str) -> Mapping[str, str]:
        """The environment that the container was given. Raises EngineError."""
        ...


class Usages(Protocol):
    """What containers use; every method raises EngineError."""

    async def usage(self, name: str) -> Sample | None:
        """Its counters now; None when it does not run or cannot be seen."""
        ...

    async def disk_bytes(self, name: str) -> int | None:
        """What it wrote over its image, as of late; None when that is unknown."""
        ...


class Terminal(Protocol):
    """A process on a terminal in a container; every method raises EngineError."""

    async def read(self) -> bytes:
        """What it writes, a bounded piece at a time; nothing when it is at its end."""
        ...

    async def write(self, data: bytes) -> None:
        """Type; returns when there is room for more."""
        ...

    async def resize(self, cols: int, rows: int) -> None:
        """Give the terminal another size."""
        ...

    async def exit_code(self) -> int | None:
        """What it ended with; None when it still runs a moment after its last output."""
        ...


class Terminals(Protocol):
    """Processes on terminals."""

    def open(self, name: str, run: Run, mark: str) -> AbstractAsyncContextManager[Terminal]:
        """Begin one in a container. Whatever of it still runs at the end of the block is ended: all that carries the
        mark. Entering it raises EngineError."""
        ...

    async def tidy(self, name: str, spared: str) -> None:
        """End what was left in a container: all that carries a mark which does not begin with `spared`. An absent
        container is no error. Raises EngineError."""
        ...
