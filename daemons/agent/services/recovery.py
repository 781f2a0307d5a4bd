"""After a start: find out what runs, let exactly one container of each app serve, and keep the gateway true to it.

The state on disk says which container is current. Candidates were never confirmed and go; retiring ones are drained
and go, unless the current one is lost and one of them still runs: then it serves again.
"""

import asyncio
import logging
from functools import partial
from typing import Final

from daemons.agent.domain.apps import AppState, Instance, abandon, fall_back, moved, named_by_us
from daemons.agent.ports import Engine, EngineError, Gateway, GatewayError, StateError
from daemons.agent.services.ledger import Ledger, Recovering
from daemons.agent.services.retirement import Retirement

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_UPKEEP_SECONDS: Final = 5.0


class Recovery:
    """Runs once at the start, then watches over the routes. Nothing may be deployed before `done`."""

    def __init__(self, engine: Engine, gateway: Gateway, ledger: Ledger, retirement: Retirement) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._retirement = retirement
        self._problem: str | None = "it has not looked yet"

    def check(self) -> None:
        """Raises Recovering, with what it waits for, until the node's apps are known."""
        if self._problem is not None:
            raise Recovering(f"the agent does not yet know what runs on its node: {self._problem}")

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
        for state in self._ledger.all():
            await self._recover_app(state)
        await self._remove_strays()
        await self._mend_routes(None)
        for state in self._ledger.all():
            self._retirement.resume(state)
        self._problem = None
        logger.info("the agent knows its node", extra={"apps": len(self._ledger.routes())})

    async def _recover_app(self, state: AppState) -> None:
        if state.candidate is not None:
            await self._engine.remove(state.candidate.container)
            state = await self._ledger.change(state.app_id, abandon)
        if state.current is None:
            return
        port = await self._running_port(state.current)
        if port is None:
            await self._fall_back(state)
        elif port != state.current.port:
            await self._ledger.change(state.app_id, partial(moved, port=port))

    async def _running_port(self, instance: Instance) -> int | None:
        """The port of a container that runs or could be started again; None when it is lost."""
        found = await self._engine.state(instance.container)
        if found is None:
            return None
        if not found.running and not found.restarting:
            try:
                await self._engine.start(instance.container)
            except EngineError as error:
                logger.warning(
                    "an app could not be started again", extra={"container": instance.container, "error": str(error)}
                )
                return None
        return found.host_port or instance.port

    async def _fall_back(self, state: AppState) -> None:
        for survivor in reversed(state.retiring):
            found = await self._engine.state(survivor.container)
            if found is not None and found.running:
                await self._ledger.change(state.app_id, partial(fall_back, survivor=survivor))
                logger.warning(
                    "an app serves from its former container again",
                    extra={"app_id": state.app_id, "container": survivor.container},
                )
                return
        logger.error("an app has no running container; deploy it again", extra={"app_id": state.app_id})

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
