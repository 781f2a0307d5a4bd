"""The rollout of one app. Which steps there are is decided in `domain/steps`; here each is journaled, then carried out.

Whatever fails before the switch leaves the old container serving, or lets it serve again, and removes the new one. The
state on disk is the journal: until SWITCH a crash rolls back, from then on it rolls forward (see `recovery`).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from daemons.agent.domain.apps import (
    AppState,
    Instance,
    admit,
    advance,
    begin,
    commit,
    container_name,
    revert,
    settle,
    start,
)
from daemons.agent.domain.configuration import Restart, RunConfig
from daemons.agent.domain.containers import ContainerSpec, Limits
from daemons.agent.domain.steps import Step, Strategy
from daemons.agent.domain.traefik import labels
from daemons.agent.domain.visitors import Patience
from daemons.agent.ports import ControlPlane, ControlPlaneError, Engine, Gateway, GatewayError, NoRoom, StateError
from daemons.agent.ports.databases import Environment, NoEnvironment
from daemons.agent.services.holds import Superseded
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.restoration import Restoration
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.room import Room
from daemons.agent.services.startup import NotHealthy, Startup
from daemons.kit.engine.errors import EngineError, PortTaken
from daemons.kit.logs import spellings
from daemons.kit.mongo.ports import AccountError

logger = logging.getLogger(__name__)

_CONFIRM_TRIES: Final = 4
_CONFIRM_PAUSE_SECONDS: Final = 0.5
_PORT_TRIES: Final = 5


class DeployFailed(Exception):
    """The deployment did not go live; what served before still serves."""


class NotConfirmed(Exception):
    """Deploy says that the attempt may no longer go live."""


class TooMuch(Exception):
    """The app asks for more than the node gives."""


class ConfirmationUnavailable(Exception):
    """Deploy did not say whether the attempt may go live."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the app's configuration asks for; None is the node's own figure. The environment holds secrets too: those
    variables that `secrets` names. No failure quotes what is `hidden`."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = ()
    memory_bytes: int | None = None
    nano_cpus: int | None = None
    pids: int | None = None
    stop_grace_seconds: int = 10
    restart: Restart = Restart.ALWAYS
    strategy: Strategy = Strategy.START_FIRST

    @property
    def hidden(self) -> tuple[str, ...]:
        """The secrets in all ways in which a program may print them."""
        return spellings(self.environment[name] for name in self.secrets if name in self.environment)


@dataclass(frozen=True, slots=True)
class Order:
    """What to deploy; `from_registry` says that the reference names a registry."""

    user_id: str
    app_id: str
    image: str
    from_registry: bool
    container_port: int
    health_path: str
    fence: int | None
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class Policy:
    """How this node deploys; an app gets `limits` unless it asks for other ones, and never more than `most`;
    `router_labels`: containers carry what a Traefik reads."""

    node: str
    limits: Limits
    most: Limits
    network: str
    require_fence: bool
    confirms: bool
    watch_seconds: float
    router_labels: bool = False


class Rollout:
    """Deploys apps. `now` is the wall clock, in epoch seconds."""

    def __init__(
        self,
        engine: Engine,
        gateway: Gateway,
        ledger: Ledger,
        control_plane: ControlPlane,
        startup: Startup,
        retirement: Retirement,
        restoration: Restoration,
        room: Room,
        policy: Policy,
        now: Callable[[], float],
        environment: Environment | None = None,
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._control_plane = control_plane
        self._startup = startup
        self._retirement = retirement
        self._restoration = restoration
        self._room = room
        self._policy = policy
        self._now = now
        self._environment = environment or NoEnvironment()

    @property
    def watch_seconds(self) -> float:
        """How long what went live is watched before the former container goes."""
        return self._policy.watch_seconds

    async def deploy(self, order: Order) -> Instance:
        """The container that serves now; its watch window may have begun.

        Raises AppBusy, Superseded, FenceRequired, StaleFence, ForeignApp, TooMuch, NoRoom, DeployFailed, NotConfirmed,
        ConfirmationUnavailable and StateError.
        """
        limits = self._limits(order.wishes)
        async with self._ledger.hold(order.app_id, order.fence) as hold:
            state = await self._ledger.change(order.app_id, partial(self._admit, order))
            if repeated := await self._already_live(state, order):
                return repeated
            try:
                await self._begin(order)
                async with hold.interruptible():
                    candidate = await self._prepare(order, limits)
                await self._switch(order, candidate)
            except (NotHealthy, EngineError, GatewayError, StateError, AccountError) as error:
                await self._undo(order)
                raise DeployFailed(str(error)) from error
            except (DeployFailed, NoRoom, NotConfirmed, ConfirmationUnavailable, Superseded):
                await self._undo(order)
                raise
            return candidate

    async def _begin(self, order: Order) -> None:
        before = self._ledger.get(order.app_id)
        if before.progress is not None and before.progress.parked:
            # An earlier way back is not finished: first what served shall serve.
            await self._restoration.restore(order.app_id)
        after = await self._ledger.change(order.app_id, partial(begin, strategy=order.wishes.strategy))
        self._retirement.resume(after)

    async def _prepare(self, order: Order, limits: Limits) -> Instance:
        """A container that runs, is proven and may go live."""
        try:
            image_id = await self._image(order)
        except EngineError as error:
            raise DeployFailed(f"image {order.image} is not available: {error}") from error
        order = await self._equipped(order)
        progress = self._ledger.get(order.app_id).progress
        if progress is not None and progress.strategy is Strategy.STOP_FIRST:
            await self._confirm(order)
            await self._make_room(order)
            return await self._proven(order, image_id, limits)
        candidate = await self._proven(order, image_id, limits)
        await self._confirm(order)
        return candidate

    async def _equipped(self, order: Order) -> Order:
        """The order with what the platform gives every app; what the app's owner has set wins."""
        given, wishes = await self._environment.given(order.user_id, order.app_id), order.wishes
        environment = {**given.variables, **wishes.environment}
        secrets = tuple(sorted({*wishes.secrets, *given.secrets}))
        return replace(order, wishes=replace(wishes, environment=environment, secrets=secrets))

    async def _proven(self, order: Order, image_id: str, limits: Limits) -> Instance:
        candidate = await self._start(order, image_id, limits)
        await self._step(order, Step.PROBE)
        await self._startup.prove(candidate, order.health_path, limits.memory_bytes, order.wishes.hidden)
        return candidate

    async def _make_room(self, order: Order) -> None:
        """Visitors wait, what runs of the app finishes what it serves and stops; the current one may start again."""
        await self._step(order, Step.HOLD)
        await self._gateway.hold(order.app_id)
        state = await self._step(order, Step.HALT)
        for instance in state.retiring:
            await self._retirement.dismiss(order.app_id, instance)
        if state.current is not None:
            await self._retirement.drain(state.current.port, Patience(state.current.config.stop_grace_seconds))
            await self._retirement.halt(state.current)

    async def _step(self, order: Order, step: Step) -> AppState:
        return await self._ledger.change(order.app_id, partial(advance, step=step))

    def _limits(self, wishes: Wishes) -> Limits:
        """What the app asks for, within what the node gives. Raises TooMuch."""
        most = self._policy.most
        asked = Limits(
            wishes.memory_bytes or self._policy.limits.memory_bytes,
            wishes.nano_cpus or self._policy.limits.nano_cpus,
            wishes.pids or self._policy.limits.pids,
            self._policy.limits.open_files,
        )
        over = [
            f"{name} {figure} is more than {limit}"
            for name, figure, limit in (
                ("memory", asked.memory_bytes, most.memory_bytes),
                ("billionths of a CPU", asked.nano_cpus, most.nano_cpus),
                ("processes", asked.pids, most.pids),
            )
            if figure > limit
        ]
        if over:
            raise TooMuch(f"the app asks for more than this node gives one app: {'; '.join(over)}; ask for less")
        return asked

    def _admit(self, order: Order, state: AppState) -> AppState:
        return admit(state, user_id=order.user_id, fence=order.fence, required=self._policy.require_fence)

    async def _already_live(self, state: AppState, order: Order) -> Instance | None:
        current = state.current
        if current is None or order.fence is None or current.fence != order.fence or current.image != order.image:
            return None
        try:
            found = await self._engine.state(current.container)
        except EngineError as error:
            raise DeployFailed(str(error)) from error
        return current if found is not None and found.running else None

    async def _image(self, order: Order) -> str:
        # A digest names the same bytes for ever: what is here need not be pulled, even while the registry is away.
        found = await self._engine.image_id(order.image) if not order.from_registry or "@" in order.image else None
        if found is None and order.from_registry:
            async with self._room.reserve(order.app_id, order.image):
                # It may have come meanwhile, fetched for later.
                here = await self._engine.image_id(order.image) if "@" in order.image else None
                return here or await self._engine.pull(order.image)
        if found is None:
            raise EngineError("this node's engine has no image of that name, and the name has no registry to pull from")
        lives_here = self._ledger.get(order.app_id).current is not None
        self._room.admit(order.app_id, order.image, lives_here=lives_here)
        return found

    async def _start(self, order: Order, image_id: str, limits: Limits) -> Instance:
        """A started container, its port recorded before the engine hears of it."""
        state = self._ledger.get(order.app_id)
        name = container_name(state, order.user_id)
        config = _config(order, limits)
        for attempt in range(1, _PORT_TRIES + 1):
            try:
                port = self._startup.free_port(self._ledger.taken_ports())
                candidate = Instance(name, order.image, image_id, port, order.container_port, state.fence, config)
                with self._ledger.reserve(port):
                    await self._ledger.change(order.app_id, partial(start, candidate=candidate))
                await self._engine.remove(name)
                await self._engine.create(self._spec(order, candidate, limits))
                await self._engine.start(name)
                return candidate
            except PortTaken:
                if attempt == _PORT_TRIES:
                    raise DeployFailed("no free port was found for the container; widen RUNTIME_APP_PORTS") from None
            except EngineError as error:
                raise DeployFailed(f"the container could not be started: {error}") from error
        raise AssertionError("unreachable: the loop returns or raises")

    def _spec(self, order: Order, candidate: Instance, limits: Limits) -> ContainerSpec:
        return ContainerSpec(
            name=candidate.container,
            node=self._policy.node,
            user_id=order.user_id,
            app_id=order.app_id,
            fence=candidate.fence,
            image=order.image,
            image_id=candidate.image_id,
            container_port=order.container_port,
            host_port=candidate.port,
            limits=limits,
            network=self._policy.network,
            environment=order.wishes.environment,
            router_labels=labels(order.app_id, candidate.container_port) if self._policy.router_labels else {},
        )

    async def _confirm(self, order: Order) -> None:
        """Ask deploy for the word; silence is a no."""
        await self._step(order, Step.CONFIRM)
        if not self._policy.confirms or order.fence is None:
            return
        problem = ""
        for attempt in range(_CONFIRM_TRIES):
            if attempt:
                await asyncio.sleep(_CONFIRM_PAUSE_SECONDS * attempt)
            try:
                refusal = await self._control_plane.confirm(order.app_id, order.fence)
            except ControlPlaneError as error:
                problem = str(error)
                continue
            if refusal is not None:
                raise NotConfirmed(f"attempt {order.fence} of app {order.app_id} may not go live: {refusal}")
            return
        raise ConfirmationUnavailable(
            f"deploy did not confirm attempt {order.fence} of app {order.app_id}, so it did not go live: {problem}"
        )

    async def _switch(self, order: Order, candidate: Instance) -> None:
        """The commit point: remembered first, so that a crash in between rolls forward; undone when it fails."""
        before = self._ledger.get(order.app_id)
        until = self._now() + self._policy.watch_seconds
        await self._ledger.change(order.app_id, partial(commit, candidate=candidate, watch_until=until))
        try:
            await self._gateway.route(order.app_id, candidate.port)
        except GatewayError:
            await self._ledger.change(order.app_id, partial(revert, before=before))
            await self._restore_routes()
            raise
        logger.info(
            "an app went live",
            extra={"app_id": order.app_id, "container": candidate.container, "fence": candidate.fence},
        )
        await self._step(order, Step.WATCH)
        if not self._policy.watch_seconds:
            self._retirement.after_success(await self._ledger.change(order.app_id, settle))

    async def _restore_routes(self) -> None:
        """The gateway may have done what it did not confirm."""
        try:
            await self._gateway.reconcile(self._ledger.routes)
        except GatewayError as error:
            logger.warning("the gateway could not be set back yet", extra={"error": str(error)})

    async def _undo(self, order: Order) -> None:
        """Leave nothing of the attempt; what cannot be undone now stays in the journal, and is when it can be."""
        try:
            await self._restoration.give_up(order.app_id)
        except (EngineError, GatewayError, StateError) as error:
            logger.warning(
                "a failed attempt could not be undone yet and will be",
                extra={"app_id": order.app_id, "fence": order.fence, "error": str(error)},
            )


def _config(order: Order, limits: Limits) -> RunConfig:
    wishes = order.wishes
    return RunConfig(
        order.health_path,
        wishes.stop_grace_seconds,
        wishes.restart,
        wishes.strategy,
        limits.memory_bytes,
        wishes.secrets,
    )
