"""The rollout of one app: the new container beside the old, proven, confirmed, switched to; then the old retires.

Whatever fails before the switch leaves the old container serving and removes the new one. The state on disk is the
journal: until `commit` a crash rolls back, from then on it rolls forward (see `recovery`).
"""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Final

from daemons.agent.domain.apps import (
    AppState,
    Instance,
    abandon,
    admit,
    commit,
    container_name,
    revert,
    start,
)
from daemons.agent.domain.containers import ContainerSpec, Limits
from daemons.agent.domain.traefik import labels
from daemons.agent.ports import (
    ControlPlane,
    ControlPlaneError,
    Engine,
    EngineError,
    Gateway,
    GatewayError,
    NoRoom,
    PortTaken,
    StateError,
)
from daemons.agent.services.holds import Superseded
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.room import Room
from daemons.agent.services.startup import NotHealthy, Startup

logger = logging.getLogger(__name__)

_CONFIRM_TRIES: Final = 4
_CONFIRM_PAUSE_SECONDS: Final = 0.5
_PORT_TRIES: Final = 5


class DeployFailed(Exception):
    """The deployment did not go live; what served before still serves."""


class NotConfirmed(Exception):
    """Deploy says that the attempt may no longer go live."""


class ConfirmationUnavailable(Exception):
    """Deploy did not say whether the attempt may go live."""


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


@dataclass(frozen=True, slots=True)
class Policy:
    """How this node deploys; `router_labels`: containers carry what a Traefik reads."""

    node: str
    limits: Limits
    network: str
    require_fence: bool
    confirms: bool
    router_labels: bool = False


class Rollout:
    """Deploys apps."""

    def __init__(
        self,
        engine: Engine,
        gateway: Gateway,
        ledger: Ledger,
        control_plane: ControlPlane,
        startup: Startup,
        retirement: Retirement,
        room: Room,
        policy: Policy,
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._control_plane = control_plane
        self._startup = startup
        self._retirement = retirement
        self._room = room
        self._policy = policy

    async def deploy(self, order: Order) -> Instance:
        """The container that serves now.

        Raises AppBusy, Superseded, FenceRequired, StaleFence, ForeignApp, DeployFailed, NoRoom, NotConfirmed,
        ConfirmationUnavailable and StateError.
        """
        async with self._ledger.hold(order.app_id, order.fence) as hold:
            state = await self._ledger.change(order.app_id, partial(self._admit, order))
            if repeated := await self._already_live(state, order):
                return repeated
            try:
                async with hold.interruptible():
                    candidate = await self._prepare(state, order)
                await self._switch(order, candidate)
            except (NotHealthy, EngineError, GatewayError, StateError) as error:
                await self._discard(order)
                raise DeployFailed(str(error)) from error
            except (DeployFailed, NoRoom, NotConfirmed, ConfirmationUnavailable, Superseded):
                await self._discard(order)
                raise
            return candidate

    async def _prepare(self, state: AppState, order: Order) -> Instance:
        """A container that runs, is proven and may go live."""
        try:
            image_id = await self._image(order)
        except EngineError as error:
            raise DeployFailed(f"image {order.image} is not available: {error}") from error
        candidate = await self._start(state, order, image_id)
        await self._startup.prove(candidate, order.health_path, self._policy.limits.memory_bytes)
        await self._engine.keep_running(candidate.container)
        await self._confirm(order)
        return candidate

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
                return await self._engine.pull(order.image)
        if found is None:
            raise EngineError("this node's engine has no image of that name, and the name has no registry to pull from")
        lives_here = self._ledger.get(order.app_id).current is not None
        self._room.admit(order.app_id, order.image, lives_here=lives_here)
        return found

    async def _start(self, state: AppState, order: Order, image_id: str) -> Instance:
        """A started container, its port recorded before the engine hears of it."""
        name = container_name(state, order.user_id)
        for attempt in range(1, _PORT_TRIES + 1):
            try:
                port = self._startup.free_port(self._ledger.taken_ports())
                candidate = Instance(name, order.image, image_id, port, order.container_port, state.fence)
                with self._ledger.reserve(port):
                    await self._ledger.change(order.app_id, partial(start, candidate=candidate))
                await self._engine.remove(name)
                await self._engine.create(self._spec(order, candidate))
                await self._engine.start(name)
                return candidate
            except PortTaken:
                if attempt == _PORT_TRIES:
                    raise DeployFailed("no free port was found for the container; widen RUNTIME_APP_PORTS") from None
            except EngineError as error:
                raise DeployFailed(f"the container could not be started: {error}") from error
        raise AssertionError("unreachable: the loop returns or raises")

    def _spec(self, order: Order, candidate: Instance) -> ContainerSpec:
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
            limits=self._policy.limits,
            network=self._policy.network,
            router_labels=labels(order.app_id, candidate.container_port) if self._policy.router_labels else {},
        )

    async def _confirm(self, order: Order) -> None:
        """Ask deploy for the word; silence is a no."""
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
        after = await self._ledger.change(order.app_id, partial(commit, candidate=candidate))
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
        self._retirement.after_success(after)

    async def _restore_routes(self) -> None:
        """The gateway may have done what it did not confirm."""
        try:
            await self._gateway.reconcile(self._ledger.routes)
        except GatewayError as error:
            logger.warning("the gateway could not be set back yet", extra={"error": str(error)})

    async def _discard(self, order: Order) -> None:
        """Remove the candidate, if one was begun; one that cannot be removed now stays in the journal for recovery."""
        candidate = self._ledger.get(order.app_id).candidate
        if candidate is None:
            return
        try:
            await self._engine.remove(candidate.container)
        except EngineError as error:
            logger.warning(
                "a failed container could not be removed and will be at the next start",
                extra={"app_id": order.app_id, "container": candidate.container, "error": str(error)},
            )
            return
        await self._ledger.change(order.app_id, abandon)
