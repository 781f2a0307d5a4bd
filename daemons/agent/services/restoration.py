"""The way back to the former container, and the end of its visitors' wait, whatever went wrong with the new one."""

import logging
from functools import partial

from daemons.agent.domain.apps import AppState, Instance, abandon, give_up, returned, take_back
from daemons.agent.ports import Engine, Gateway
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.retirement import Retirement
from daemons.agent.services.startup import NotHealthy, Startup
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)


class Restoration:
    """Carries out RETURN; every method raises EngineError, GatewayError and StateError, and may then be repeated."""

    def __init__(
        self, engine: Engine, gateway: Gateway, ledger: Ledger, retirement: Retirement, startup: Startup
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._ledger = ledger
        self._retirement = retirement
        self._startup = startup

    async def give_up(self, app_id: str) -> None:
        """Undo an attempt that did not switch: its container goes, and a stopped one serves again."""
        state = self._ledger.get(app_id)
        if state.progress is not None and state.progress.parked:
            await self._ledger.change(app_id, give_up)
            await self.restore(app_id)
            return
        if state.candidate is not None:
            await self._engine.remove(state.candidate.container)
        await self._ledger.change(app_id, abandon)

    async def take_back(self, app_id: str, reason: str, now: float) -> None:
        """Send visitors back to the warm container, because the new one failed within its window at `now`."""
        state = await self._ledger.change(app_id, partial(take_back, reason=reason, now=now))
        logger.warning("an app failed right after it went live", extra={"app_id": app_id, "error": reason})
        if state.setback is not None and state.setback.back_to is not None:
            await self.restore(app_id)

    async def restore(self, app_id: str) -> None:
        """Let the current container serve, alone if it must be."""
        state = self._ledger.get(app_id)
        if state.progress is not None and state.progress.parked:
            await self._gateway.hold(app_id)
            for instance in state.retiring:
                await self._retirement.dismiss(app_id, instance)
        if state.current is not None:
            await self._start(state.current)
        await self._route(state)
        self._retirement.resume(await self._ledger.change(app_id, returned))

    async def _route(self, state: AppState) -> None:
        if state.current is None:
            await self._gateway.remove(state.app_id)
            return
        await self._gateway.route(state.app_id, state.current.port)
        logger.warning(
            "an app serves from its former container again",
            extra={"app_id": state.app_id, "container": state.current.container},
        )

    async def _start(self, current: Instance) -> None:
        """Unless it runs: it may have crashed before its successor came."""
        async with self._retirement.alone(current.container):
            found = await self._engine.state(current.container)
            if found is None:
                logger.error("a former container is gone", extra={"container": current.container})
            if found is None or found.running:
                return
            await self._engine.start(current.container)
        try:
            await self._startup.prove(current, current.config.health_path, current.config.memory_bytes)
        except (NotHealthy, EngineError) as error:
            # It is all there is: its visitors shall see what is wrong with it rather than wait for nothing. What it
            # printed may hold its secrets, which are not known any more, and stays out of the log.
            reason = error.reason if isinstance(error, NotHealthy) else str(error)
            logger.warning("a former container does not come up", extra={"error": reason})
