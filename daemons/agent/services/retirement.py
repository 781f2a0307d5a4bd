"""What happens after a switch: old containers finish what they serve, then go; superfluous images are removed.

Every retiring container stands in the state on disk until it is gone, so a crash only delays it.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from daemons.agent.domain.apps import AppState, Instance, finished, follow, retired
from daemons.agent.domain.collection import held, protected
from daemons.agent.domain.images import of_app, outdated
from daemons.agent.domain.steps import Step
from daemons.agent.domain.visitors import Patience
from daemons.agent.ports import ControlPlane, ControlPlaneError, Engine, Gateway, GatewayDown, GatewayError, StateError
from daemons.agent.services.ledger import Ledger
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 5.0


class Retirement:
    """Drains, stops and removes; `run` is the loop that owns the work."""

    def __init__(
        self, engine: Engine, gateway: Gateway, ledger: Ledger, control_plane: ControlPlane, patience: Patience
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._control_plane = control_plane
        self._patience = patience
        self._queue: asyncio.Queue[tuple[str, Instance | None]] = asyncio.Queue()
        self._busy: set[str] = set()
        self._acting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def after_success(self, state: AppState) -> None:
        """Retire what the switch left behind, then prune the app's images."""
        self.resume(state)
        if not state.retiring:
            self._queue.put_nowait((state.app_id, None))

    def resume(self, state: AppState) -> None:
        """Queue every retiring container of the app, and its images if they were next."""
        if state.progress is not None and state.progress.step is Step.PRUNE:
            self._queue.put_nowait((state.app_id, None))
        for instance in state.retiring:
            if instance.container not in self._busy:
                self._busy.add(instance.container)
                self._queue.put_nowait((state.app_id, instance))

    async def run(self) -> None:
        """Work for ever; every retirement is a task of this one."""
        async with asyncio.TaskGroup() as group:
            while True:
                app_id, instance = await self._queue.get()
                group.create_task(self._prune(app_id) if instance is None else self._retire(app_id, instance))

    async def drain(self, port: int, patience: Patience) -> None:
        """Wait until nothing is in flight to the port, or the patience is at its end. Raises GatewayError."""
        left = await self._gateway.drain(port, patience)
        if left.total:
            logger.info(
                "an old container is stopped although something is in flight to it",
                extra={"port": port, "requests": left.requests, "sockets": left.sockets, "streams": left.streams},
            )

    def alone(self, container: str) -> asyncio.Lock:
        """Whoever starts, stops or removes a container that others may start, stop or remove holds this meanwhile."""
        return self._acting.setdefault(container, asyncio.Lock())

    async def halt(self, instance: Instance) -> None:
        """Stop a container that may be started again. Raises EngineError."""
        async with self.alone(instance.container):
            await self._engine.stop(instance.container, instance.config.stop_grace_seconds)

    async def end(self, container: str, grace_seconds: int) -> None:
        """Stop and remove one container; a second caller waits for the first. Raises EngineError."""
        async with self.alone(container):
            await self._engine.stop(container, grace_seconds)
            await self._engine.remove(container)

    async def dismiss(self, app_id: str, instance: Instance) -> AppState:
        """End a retiring container and strike it from the journal. Raises EngineError and StateError."""
        await self._ledger.change(app_id, partial(follow, step=Step.STOP))
        await self.end(instance.container, instance.config.stop_grace_seconds)
        return await self._ledger.change(app_id, partial(retired, container=instance.container))

    async def _retire(self, app_id: str, instance: Instance) -> None:
        """Until it is gone: a gateway that still routes to it is mended first, an engine that fails is asked again."""
        try:
            while True:
                try:
                    await self._no_longer_routed()
                    await self.drain(instance.port, self._patience)
                    state = await self.dismiss(app_id, instance)
                except (EngineError, GatewayError, StateError) as error:
                    logger.warning(
                        "an old container could not be retired yet and will be tried again",
                        extra={"app_id": app_id, "container": instance.container, "error": str(error)},
                    )
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if not state.retiring:
                    self._queue.put_nowait((app_id, None))
                return
        finally:
            self._busy.discard(instance.container)

    async def _no_longer_routed(self) -> None:
        try:
            await self._gateway.reconcile(self._ledger.routes)
        except GatewayDown:
            return

    async def _prune(self, app_id: str) -> None:
        """Keep the images of what runs and of what ran before, and those that the control plane keeps; best effort,
        repeated at the next success."""
        with self._ledger.tidy(app_id) as at_rest:
            if not at_rest:
                return
            try:
                await self._remove_outdated(app_id)
                await self._ledger.change(app_id, finished)
            except StateError as error:
                logger.warning("the end of a rollout is not noted", extra={"app_id": app_id, "error": str(error)})

    async def _remove_outdated(self, app_id: str) -> None:
        try:
            references = await self._outdated(self._ledger.get(app_id))
        except (EngineError, ControlPlaneError) as error:
            logger.info("old images stay for now", extra={"app_id": app_id, "error": str(error)})
            return
        for reference in references:
            try:
                await self._engine.remove_image(reference)
            except EngineError as error:
                logger.info("an old image could not be removed", extra={"app_id": app_id, "error": str(error)})

    async def _outdated(self, state: AppState) -> Sequence[str]:
        if state.current is None or state.user_id is None:
            return ()
        images = of_app(await self._engine.images(), state.user_id, state.app_id)
        answer = await self._control_plane.kept_images((state.app_id,))
        keep = protected(state)
        if answer is not None and (kept := answer.get(state.app_id)) is not None:
            keep |= held(images, kept)
        return outdated(images, keep=keep, below=state.fence)
