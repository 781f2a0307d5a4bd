"""An agent's services over twins, without HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from daemons.agent.domain.containers import Limits
from daemons.agent.domain.disk import Line, Watermarks
from daemons.agent.domain.visitors import Patience
from daemons.agent.services.apps import Apps
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.notices import Notices
from daemons.agent.services.recovery import Recovery
from daemons.agent.services.restoration import Restoration
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.rollout import Order, Policy, Rollout
from daemons.agent.services.room import Room
from daemons.agent.services.startup import Startup
from daemons.agent.services.vigil import Vigil
from daemons.kit.clock import SystemClock
from daemons.kit.mongo.keeping import AppDatabases
from daemons.kit.tasks import running
from tests.support.agent_twins import (
    SilentMeter,
    TwinControlPlane,
    TwinDisk,
    TwinEngine,
    TwinGateway,
    TwinManifests,
    TwinPorts,
    TwinProbe,
    TwinStates,
    TwinStore,
)
from tests.support.output_twins import TwinAccessLog, TwinOutputs

V1, V2, V3 = (f"funai/u7-app5:{letter * 12}-{fence}" for letter, fence in (("a", 1), ("b", 2), ("c", 3)))


#: Nothing is ever too much: what a disk is like is the business of tests of the disk.
MARKS = Watermarks(Line(25, 2), Line(15, 1), Line(7, 0))


@dataclass
class Agent:
    """One life of the agent process."""

    rollout: Rollout
    apps: Apps
    recovery: Recovery
    ledger: Ledger
    retirement: Retirement
    vigil: Vigil

    async def look(self) -> None:
        """One round of the vigil, with all that it sets off."""
        async with asyncio.TaskGroup() as group:
            await self.vigil.look(group)


@dataclass
class World:
    """What survives the agent."""

    engine: TwinEngine = field(
        default_factory=lambda: TwinEngine(local={V1: "sha256:1", V2: "sha256:2", V3: "sha256:3"})
    )
    gateway: TwinGateway = field(default_factory=TwinGateway)
    states: TwinStates = field(default_factory=TwinStates)
    plane: TwinControlPlane = field(default_factory=TwinControlPlane)
    ports: TwinPorts = field(default_factory=TwinPorts)
    disk: TwinDisk = field(default_factory=TwinDisk)
    manifests: TwinManifests = field(default_factory=TwinManifests)
    visits: TwinAccessLog = field(default_factory=TwinAccessLog)
    marks: Watermarks = MARKS
    require_fence: bool = True
    start_seconds: float = 0.2
    drain_seconds: float = 5
    watch_seconds: float = 0
    now: float = 1_000_000.0
    reports: int = 0
    databases: Callable[[], AppDatabases | None] = lambda: None

    def clock(self) -> float:
        """The time, which only tests move."""
        return self.now

    def told(self) -> None:
        """A heartbeat was asked for."""
        self.reports += 1

    def agent(self) -> Agent:
        """A new process."""
        ledger = Ledger(self.states)
        retirement = Retirement(self.engine, self.gateway, ledger, self.plane, Patience(self.drain_seconds))
        startup = Startup(self.engine, TwinProbe(self.engine), self.ports, self.start_seconds)
        policy = Policy(
            "n1", Limits(), Limits(2 * 1024**3), "", self.require_fence, self.require_fence, self.watch_seconds
        )
        restoration = Restoration(self.engine, self.gateway, ledger, retirement, startup)
        databases = self.databases()
        meter, store = SilentMeter(), TwinStore(self.engine)
        watch = DiskWatch(self.disk, self.marks, meter)
        collector = Collector(self.engine, store, ledger, self.plane, watch, meter, SystemClock())
        rollout = Rollout(
            self.engine,
            self.gateway,
            ledger,
            self.plane,
            startup,
            retirement,
            restoration,
            Room(watch, collector, self.manifests, store, meter, 2),
            policy,
            self.clock,
            databases,
        )
        recovery = Recovery(self.engine, self.gateway, ledger, retirement, self.clock)
        vigil = Vigil(
            self.engine,
            TwinProbe(self.engine),
            ledger,
            retirement,
            restoration,
            Notices(self.gateway, ledger),
            lambda: recovery.done,
            self.clock,
            self.told,
        )
        seen = (Patience(0.1), self.visits)
        apps = Apps(self.engine, TwinOutputs(), self.gateway, ledger, retirement, vigil, *seen, databases)
        return Agent(rollout, apps, recovery, ledger, retirement, vigil)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[Agent]:
        """A process that has recovered and retires what it must."""
        agent = self.agent()
        await agent.recovery.recover()
        async with running(agent.retirement.run, agent.vigil.run):
            yield agent

    def serving(self, app_id: str = "5") -> str | None:
        """The image id that a visitor of the app reaches."""
        port = self.gateway.routes.get(app_id)
        container = self.engine.listening(port) if port is not None else None
        return container.spec.image_id if container is not None else None


def order(image: str, fence: int | None, **changes: object) -> Order:
    """A deployment of app 5 of user 7."""
    plain = Order("7", "5", image, image.startswith("registry:5000/"), 3000, "/", fence)
    return replace(plain, **changes)  # type: ignore[arg-type]
