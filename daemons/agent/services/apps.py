"""Stop, delete, and what can be asked of an app. An engine that fails is an error, never a pretended success."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from daemons.agent.domain.apps import AppState, Setback, admit, forget, named_by_us, retired, withdraw
from daemons.agent.domain.configuration import RunConfig
from daemons.agent.domain.images import of_app
from daemons.agent.domain.probing import ContainerState
from daemons.agent.domain.vigil import Condition, Trouble
from daemons.agent.domain.visitors import Patience
from daemons.agent.ports import AccessLog, Engine, Gateway, GatewayError, Outputs, OwnContainer
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.redaction import redactor_of
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.vigil import Vigil
from daemons.kit.engine.errors import EngineError
from daemons.kit.mongo.keeping import AppDatabases, Farewell

logger = logging.getLogger(__name__)


class StopFailed(Exception):
    """The app was not stopped, or not all of it was removed."""


class UnknownApp(Exception):
    """The app has no container on this node."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An app as it stands: its container's state is None when it has none. `trouble` is that of its crashes."""

    app_id: str
    container: str
    fence: int | None
    image: str | None = None
    port: int | None = None
    state: ContainerState | None = None
    condition: Condition | None = None
    reason: str | None = None
    trouble: Trouble | None = None
    setback: Setback | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """References of images that went and that stayed; `problem` says why one stayed. `database`: what became of it."""

    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    problem: str | None = None
    database: Farewell = field(default_factory=Farewell)


class Apps:
    """Everything but the rollout. `patience` bounds the wait for what is in flight before a stop."""

    def __init__(
        self,
        engine: Engine,
        outputs: Outputs,
        gateway: Gateway,
        ledger: Ledger,
        retirement: Retirement,
        vigil: Vigil,
        patience: Patience,
        access_log: AccessLog,
        databases: AppDatabases | None = None,
    ) -> None:
        self._engine = engine
        self._outputs = outputs
        self._gateway = gateway
        self._ledger = ledger
        self._retirement = retirement
        self._vigil = vigil
        self._patience = patience
        self._access_log = access_log
        self._databases = databases

    async def stop(self, user_id: str, app_id: str, fence: int | None) -> None:
        """Take the app's route away, let requests in flight end, stop and remove its containers; its fence stays.

        Raises AppBusy, StaleFence, ForeignApp, StopFailed and StateError.
        """
        async with self._ledger.hold(app_id, fence):
            await self._stop(user_id, app_id, fence)

    async def delete(self, user_id: str, app_id: str, fence: int | None) -> Removal:
        """Stop the app, remove its local images, its database's account and who visited it, and forget it.

        Raises like `stop`; AccountError.
        """
        async with self._ledger.hold(app_id, fence):
            await self._stop(user_id, app_id, fence)
            removal = await self._remove_images(user_id, app_id)
            if self._databases is not None:
                removal = replace(removal, database=await self._databases.leave(user_id, app_id))
            await self._access_log.remove(app_id)
            await self._ledger.change(app_id, forget)
            return removal

    async def status(self, user_id: str, app_id: str) -> Standing:
        """How the app stands. Raises EngineError when the engine cannot be asked."""
        state = self._ledger.get(app_id)
        if state.user_id != user_id:
            return Standing(app_id, f"rt-u-{user_id}-{app_id}", None)
        found = await self._engine.state(state.current.container) if state.current is not None else None
        return self._standing(state, found)

    async def every(self) -> Sequence[Standing]:
        """How every app that has a container stands. Raises EngineError when the engine cannot be asked."""
        running = {one.name for one in await self._engine.own() if one.running}
        standings = []
        for state in self._ledger.all():
            if state.current is not None:
                name = state.current.container
                found = ContainerState(running=True) if name in running else await self._engine.state(name)
                standings.append(self._standing(state, found))
        return sorted(standings, key=lambda standing: standing.app_id)

    def _standing(self, state: AppState, found: ContainerState | None) -> Standing:
        current = state.current
        condition, reason = self._vigil.condition(state, found)
        if current is None:
            name = f"rt-u-{state.user_id}-{state.app_id}"
            fence = state.fence or None
            return Standing(state.app_id, name, fence, condition=condition, reason=reason, setback=state.setback)
        return Standing(
            state.app_id,
            current.container,
            current.fence or None,
            current.image,
            current.port,
            found,
            condition,
            reason,
            state.trouble,
            state.setback,
        )

    async def logs(self, user_id: str, app_id: str, tail: int) -> str:
        """The last lines of the app's output, without its secrets. Raises UnknownApp and EngineError."""
        state = self._ledger.get(app_id)
        if state.current is None or state.user_id != user_id:
            raise UnknownApp(f"app {app_id} of user {user_id} has no container on this node")
        redactor = await redactor_of(self._outputs, state.current)
        return redactor.text(await self._engine.logs(state.current.container, tail))

    async def images(self, user_id: str, app_id: str) -> Sequence[str]:
        """Every reference in the app's own repositories that the engine has. Raises EngineError."""
        found = of_app(await self._engine.images(), user_id, app_id)
        return sorted({reference for image in found for reference in image.references})

    async def containers(self) -> Sequence[OwnContainer]:
        """Every container that this node's agent made, by name. Raises EngineError."""
        return sorted(await self._engine.own(), key=lambda container: container.name)

    async def _stop(self, user_id: str, app_id: str, fence: int | None) -> None:
        await self._ledger.change(app_id, partial(admit, user_id=user_id, fence=fence, required=False))
        state = await self._ledger.change(app_id, withdraw)
        try:
            await self._gateway.remove(app_id)
            await self._drain(state)
            for name, grace in (await self._containers(state, user_id)).items():
                await self._retirement.end(name, grace)
                await self._ledger.change(app_id, partial(retired, container=name))
        except (EngineError, GatewayError) as error:
            # The state lists what is left: repeating the stop, or the next start of the agent, ends it.
            raise StopFailed(f"app {app_id} is not stopped: {error}") from error
        logger.info("an app was stopped", extra={"app_id": app_id, "user_id": user_id})

    async def _drain(self, state: AppState) -> None:
        for instance in state.retiring:
            await self._retirement.drain(instance.port, self._patience)

    async def _containers(self, state: AppState, user_id: str) -> dict[str, int]:
        """Those that the state names and those that only the engine knows of, with the seconds each has to end."""
        known = {one.container: one.config.stop_grace_seconds for one in state.retiring}
        for container in await self._engine.own():
            if named_by_us(container.name, user_id, state.app_id):
                known.setdefault(container.name, RunConfig().stop_grace_seconds)
        return known

    async def _remove_images(self, user_id: str, app_id: str) -> Removal:
        removed: list[str] = []
        kept: list[str] = []
        problem = None
        try:
            references = [
                name for image in of_app(await self._engine.images(), user_id, app_id) for name in image.references
            ]
        except EngineError as error:
            return Removal(problem=str(error))
        for reference in sorted(references, key=lambda name: "@" in name):
            try:
                await self._engine.remove_image(reference)
                removed.append(reference)
            except EngineError as error:
                kept.append(reference)
                problem = str(error)
        return Removal(tuple(removed), tuple(kept), problem)
