"""After a start: find out what runs, let exactly one container of each app serve, and keep the gateway true to it.

What is to be done is decided in `domain/recovery` from the journal and from what the engine shows; here it is carried
out. Apps recover side by side: a machine that starts again has all of them to start.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, assert_never

from daemons.agent.domain.apps import AppState, Instance, fall_back, moved, named_by_us, resumed
from daemons.agent.domain.recovery import Discard, End, FallBack, Follow, Rest, Revive, Unkeep, next_action
from daemons.agent.ports import Engine, Gateway, GatewayError, StateError
from daemons.agent.services.ledger import Ledger, Recovering
from daemons.agent.services.retirement import Retirement
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_UPKEEP_SECONDS: Final = 5.0
_AT_ONCE: Final = 8

Step = Discard | End | Revive | FallBack | Follow | Unkeep


class Recovery:
    """Runs once at the start, then watches over the routes. Nothing may be deployed before `done`."""

    def __init__(
        self, engine: Engine, gateway: Gateway, ledger: Ledger, retirement: Retirement, now: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._retirement = retirement
        self._now = now
        self._problem: str | None = "it has not looked yet"

    def check(self) -> None:
        """Raises Recovering, with what it waits for, until the node's apps are known."""
        if self._problem is not None:
            raise Recovering(f"the agent does not yet know what runs on its node: {self._problem}")

    @property
    def done(self) -> bool:
        """Whether the node's apps are known."""
        return self._problem is None

    async def run(self) -> None:
        """Recover, trying again until it succeeds; then keep the gateway's routes as they must be."""
        while self._problem is not None:
            try:
                await self.recover()
            except (EngineError, StateError) as error:
                if str(error) != self._problem:
                    logger.warning("the agent cannot recover yet", extra={"error": str(error)})
                self._problem = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
        problem: str | None = None
        while True:
            problem = await self._mend_routes(problem)
            await asyncio.sleep(_UPKEEP_SECONDS)

    async def recover(self) -> None:
        """Bring states, containers and routes together once. Raises EngineError and StateError."""
        await self._ledger.load()
        places = asyncio.Semaphore(_AT_ONCE)
        recovered = await asyncio.gather(
            *(self._recover_app(state.app_id, places) for state in self._ledger.all()), return_exceptions=True
        )
        for problem in filter(None, recovered):
            raise problem
        await self._remove_strays()
        await self._mend_routes(None)
        for state in self._ledger.all():
            self._retirement.resume(state)
        self._problem = None
        logger.info("the agent knows its node", extra={"apps": len(self._ledger.routes())})

    async def _recover_app(self, app_id: str, places: asyncio.Semaphore) -> None:
        tried: set[str] = set()
        async with places:
            while True:
                state = self._ledger.get(app_id)
                seen = {one.container: await self._engine.state(one.container) for one in state.instances}
                action = next_action(state, seen, tried)
                if isinstance(action, Rest):
                    if action.lost:
                        logger.error("an app has no running container", extra={"app_id": app_id})
                    await self._ledger.change(app_id, resumed)
                    return
                await self._act(state, action, tried)

    async def _act(self, state: AppState, action: Step, tried: set[str]) -> None:
        match action:
            case Discard(instance):
                await self._engine.remove(instance.container)
                await self._ledger.change(state.app_id, partial(_without_candidate, candidate=instance))
            case End(instance):
                await self._retirement.dismiss(state.app_id, instance)
            case Revive(instance):
                await self._revive(state, instance, tried)
            case FallBack(survivor):
                await self._ledger.change(state.app_id, partial(fall_back, survivor=survivor, now=self._now()))
                logger.warning(
                    "an app serves from its former container again",
                    extra={"app_id": state.app_id, "container": survivor.container},
                )
            case Unkeep(instance):
                await self._engine.leave_down(instance.container)
            case Follow(port):
                await self._ledger.change(state.app_id, partial(moved, port=port))
            case _:
                assert_never(action)

    async def _revive(self, state: AppState, instance: Instance, tried: set[str]) -> None:
        tried.add(instance.container)
        try:
            await self._engine.start(instance.container)
        except EngineError as error:
            logger.warning(
                "an app could not be started again",
                extra={"app_id": state.app_id, "container": instance.container, "error": str(error)},
            )

    async def _remove_strays(self) -> None:
        """Containers with our name and labels that no state names: left by an attempt whose journal was lost."""
        known = {one.container for state in self._ledger.all() for one in state.instances}
        for container in await self._engine.own():
            if container.name not in known and named_by_us(container.name, container.user_id, container.app_id):
                if self._ledger.get(container.app_id).current is None:
                    # Nothing else serves this app: leave it to an operator rather than take the last copy away.
                    logger.warning("a container of an unknown app was left alone", extra={"container": container.name})
                    continue
                await self._engine.remove(container.name)

    async def _mend_routes(self, before: str | None) -> str | None:
        """The gateway's problem, logged when it changes."""
        try:
            mended = await self._gateway.reconcile(self._ledger.routes)
        except GatewayError as error:
            if str(error) != before:
                logger.warning("the gateway cannot be brought up to date yet", extra={"error": str(error)})
            return str(error)
        if mended:
            logger.info("the gateway's routes were mended", extra={"routes": mended})
        return None


def _without_candidate(state: AppState, candidate: Instance) -> AppState:
    return replace(state, candidate=None) if state.candidate == candidate else state
