"""In-memory twins of the agent's ports. The contract suites run over these and over the real parts alike."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from daemons.agent.adapters.haproxy import until_quiet
from daemons.agent.domain.apps import AppState, named_by_us
from daemons.agent.domain.collection import ContainerLog, Kept
from daemons.agent.domain.containers import ContainerSpec
from daemons.agent.domain.disk import DiskFigures
from daemons.agent.domain.images import Layer, LocalImage
from daemons.agent.domain.probing import Answer, ContainerState, Listener
from daemons.agent.domain.report import NodeReport
from daemons.agent.domain.visitors import InFlight, Notice, Patience
from daemons.agent.ports import ControlPlaneError, GatewayDown, GatewayError, OwnContainer, StateError
from daemons.kit.engine.errors import EngineError, PortTaken
from protocol.nodes import DiskLevel


@dataclass
class Behaviour:
    """What containers of an image do: which ports they listen on, what they answer, or how they end."""

    listens: tuple[int, ...] = (3000,)
    status: int = 200
    exit_code: int | None = None
    oom: bool = False
    output: str = ""


@dataclass
class TwinContainer:
    """A container of the twin."""

    spec: ContainerSpec
    running: bool = False
    ended: bool = False
    exit_code: int = 0
    kept: bool = False


@dataclass
class TwinEngine:
    """Local images by reference to id, a registry of what may be pulled, and containers by name."""

    local: dict[str, str] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    containers: dict[str, TwinContainer] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    #: Pulls wait for it.
    gate: asyncio.Event | None = None

    def _called(self, method: str, subject: str = "") -> None:
        self.calls.append(f"{method} {subject}".strip())
        if method in self.broken:
            raise EngineError(self.broken[method])

    def behaviour(self, container: TwinContainer) -> Behaviour:
        """What the container's image does."""
        return self.behaviours.get(container.spec.image_id, Behaviour())

    def listening(self, port: int) -> TwinContainer | None:
        """The running container that the host port leads to."""
        found = (one for one in self.containers.values() if one.running and one.spec.host_port == port)
        return next(found, None)

    async def pull(self, reference: str) -> str:
        self._called("pull", reference)
        if reference not in self.registry:
            raise EngineError(f"the engine could not pull {reference}: not found")
        if self.gate is not None:
            await self.gate.wait()
        self.local[reference] = self.registry[reference]
        return self.local[reference]

    async def image_id(self, reference: str) -> str | None:
        self._called("image_id", reference)
        return self.local.get(reference)

    async def images(self) -> Sequence[LocalImage]:
        self._called("images")
        by_id: dict[str, list[str]] = {}
        for reference, image_id in self.local.items():
            by_id.setdefault(image_id, []).append(reference)
        return [LocalImage(image_id, tuple(names)) for image_id, names in by_id.items()]

    async def remove_image(self, reference: str) -> None:
        self._called("remove_image", reference)
        image_id = self.local.get(reference)
        last = list(self.local.values()).count(image_id or "") == 1
        if last and any(one.spec.image_id == image_id for one in self.containers.values()):
            raise EngineError(f"the engine could not remove image {reference}: a container uses it")
        self.local.pop(reference, None)

    async def create(self, spec: ContainerSpec) -> None:
        self._called("create", spec.name)
        if spec.name in self.containers:
            raise EngineError(f"the engine could not create container {spec.name}: the name is in use")
        if spec.image_id not in self.local.values():
            raise EngineError(f"the engine could not create container {spec.name}: no such image")
        self.containers[spec.name] = TwinContainer(spec)

    async def start(self, name: str) -> None:
        self._called("start", name)
        if name not in self.containers:
            raise EngineError(f"the engine could not start container {name}: no such container")
        container = self.containers[name]
        if container.spec.host_port in self.taken or self.listening(container.spec.host_port) not in (None, container):
            raise PortTaken("port is already allocated")
        ends = self.behaviour(container).exit_code is not None
        container.running, container.ended = not ends, ends

    async def state(self, name: str) -> ContainerState | None:
        self._called("state", name)
        container = self.containers.get(name)
        if container is None:
            return None
        behaviour = self.behaviour(container)
        code = (behaviour.exit_code or container.exit_code) if container.ended else 0
        return ContainerState(
            running=container.running,
            exit_code=code,
            oom_killed=behaviour.oom and container.ended,
            image=container.spec.image_id,
            host_port=container.spec.host_port if container.running else None,
            kept=container.kept,
        )

    async def leave_down(self, name: str) -> None:
        self._called("leave_down", name)
        if name not in self.containers:
            raise EngineError(f"the engine could not update container {name}: no such container")
        self.containers[name].kept = False

    async def stop(self, name: str, grace_seconds: int) -> None:
        self._called("stop", name)
        if container := self.containers.get(name):
            container.running = False

    async def remove(self, name: str) -> None:
        self._called("remove", name)
        self.containers.pop(name, None)

    async def logs(self, name: str, tail: int) -> str:
        self._called("logs", name)
        container = self.containers.get(name)
        lines = self.behaviour(container).output.splitlines(keepends=True) if container else []
        return "".join(lines[-tail:])

    async def listeners(self, name: str) -> Sequence[Listener]:
        self._called("listeners", name)
        container = self.containers.get(name)
        return [Listener(port, False) for port in self.behaviour(container).listens] if container else []

    async def isolate(self) -> None:
        self._called("isolate")

    async def tidy(self) -> None:
        self._called("tidy")

    async def release(self) -> bool:
        self._called("release")
        return not self.containers

    async def own(self) -> Sequence[OwnContainer]:
        self._called("own")
        return [
            OwnContainer(name, one.spec.user_id, one.spec.app_id, one.running)
            for name, one in self.containers.items()
            if named_by_us(name, one.spec.user_id, one.spec.app_id)
        ]


@dataclass
class TwinProbe:
    """Asks the twin engine's containers."""

    engine: TwinEngine

    async def get(self, port: int, path: str) -> Answer:
        container = self.engine.listening(port)
        if container is None:
            return Answer(problem="refused", silent=True)
        behaviour = self.engine.behaviour(container)
        if container.spec.container_port not in behaviour.listens:
            return Answer(problem="closed", silent=True)
        return Answer(status=behaviour.status)


@dataclass
class TwinPorts:
    """Ports from 20000 on."""

    last: int = 20000

    def free(self, taken: Collection[int]) -> int:
        self.last += 1
        while self.last in taken:
            self.last += 1
        return self.last


@dataclass
class TwinGateway:
    """Routes in a dictionary, None for those on hold; `file` is what a restart would serve."""

    routes: dict[str, int | None] = field(default_factory=dict)
    file: dict[str, int | None] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)
    busy: dict[int, int] = field(default_factory=dict)
    down: bool = False
    broken: str | None = None

    def _check(self) -> None:
        if self.down:
            raise GatewayDown("no gateway is running")
        if self.broken:
            raise GatewayError(self.broken)

    def restart(self) -> None:
        """Serve what the file says."""
        self.routes, self.down = dict(self.file), False

    async def route(self, app_id: str, port: int) -> None:
        self._check()
        self.file[app_id] = self.routes[app_id] = port

    async def hold(self, app_id: str) -> None:
        self._check()
        self.file[app_id] = self.routes[app_id] = None

    async def remove(self, app_id: str) -> None:
        self.file.pop(app_id, None)
        self.notices.pop(app_id, None)
        if self.down:
            return
        self._check()
        self.routes.pop(app_id, None)

    async def announce(self, app_id: str, notice: Notice | None) -> None:
        self.notices.pop(app_id, None)
        if notice is not None:
            self.notices[app_id] = notice
        if not self.down:
            self._check()

    async def in_flight(self, port: int) -> int:
        self._check()
        return self.busy.get(port, 0)

    async def drain(self, port: int, patience: Patience) -> InFlight:
        async def look() -> InFlight:
            return InFlight(await self.in_flight(port))

        return await until_quiet(look, patience, pause=0.001)

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        wanted = dict(routes())
        mended = int(self.file != wanted)
        self.file = dict(wanted)
        self._check()
        mended += len(self.routes.items() ^ wanted.items())
        self.routes = dict(wanted)
        return mended


@dataclass
class TwinStates:
    """States that survive the agent but not the test; `full` refuses writes."""

    states: dict[str, AppState] = field(default_factory=dict)
    full: bool = False

    async def load(self) -> Sequence[AppState]:
        return [replace(state) for state in self.states.values()]

    async def save(self, state: AppState) -> None:
        if self.full:
            raise StateError(f"the state of app {state.app_id} cannot be written: no space left on device")
        self.states[state.app_id] = state


@dataclass
class TwinControlPlane:
    """Says `refusal` (None is yes), or nothing at all while silent."""

    refusal: str | None = None
    silent: bool = False
    beats: list[NodeReport] = field(default_factory=list)
    kept: dict[str, Kept] | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def confirm(self, app_id: str, fence: int) -> str | None:
        self.asked.append((app_id, fence))
        if self.silent:
            raise ControlPlaneError("deploy: no answer in time")
        return self.refusal

    async def heartbeat(self, report: NodeReport) -> None:
        if self.silent:
            raise ControlPlaneError("deploy: no answer in time")
        self.beats.append(report)

    async def kept_images(self, app_ids: Sequence[str]) -> Mapping[str, Kept] | None:
        if self.silent:
            raise ControlPlaneError("deploy: no answer in time")
        if self.kept is None:
            return None
        return {app: self.kept.get(app, Kept(known=False)) for app in app_ids}


@dataclass
class TwinDisk:
    """A disk of 100,000 bytes, of which an image takes what `sizes` says, while the engine has it."""

    engine: TwinEngine | None = None
    total: int = 100_000
    other: int = 50_000
    sizes: dict[str, int] = field(default_factory=dict)
    inodes_free: int = 900
    broken: str | None = None

    async def measure(self) -> DiskFigures:
        if self.broken:
            raise EngineError(self.broken)
        ids = set(self.engine.local.values()) if self.engine is not None else set()
        used = self.other + sum(self.sizes.get(image_id, 0) for image_id in ids)
        return DiskFigures(max(0, self.total - used), self.total, self.total, self.inodes_free, 1000)


@dataclass
class TwinManifests:
    """Layers by reference."""

    known: dict[str, tuple[Layer, ...]] = field(default_factory=dict)

    async def layers(self, reference: str) -> Sequence[Layer]:
        if reference not in self.known:
            raise EngineError(f"the registry does not know {reference}")
        return self.known[reference]


@dataclass
class TwinStore:
    """Layers of local images, and logs of containers by name."""

    engine: TwinEngine
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    logs: dict[str, int] = field(default_factory=dict)

    async def layer_lists(self) -> Sequence[Sequence[str]]:
        return [self.layers.get(image_id, ()) for image_id in self.engine.local.values()]

    async def images_in_use(self) -> frozenset[str]:
        return frozenset(one.spec.image_id for one in self.engine.containers.values())

    async def container_logs(self) -> Sequence[ContainerLog]:
        return [ContainerLog(name, f"/logs/{name}", size) for name, size in self.logs.items()]

    async def cut_log(self, log: ContainerLog) -> None:
        self.logs[log.container] = 0


class SilentMeter:
    """Counts nothing."""

    def measured(self, figures: DiskFigures, level: DiskLevel, reserved_bytes: int) -> None:
        pass

    def collected(self, freed_bytes: int, images: int, logs: int) -> None:
        pass

    def refused(self, why: str) -> None:
        pass
