"""Keeps the gateway told what to say of apps that nothing answers for: still starting, or crashed."""

import asyncio
import logging
from typing import Final

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.visitors import Notice, notice
from daemons.agent.ports import Containers, EngineError, Gateway, GatewayError
from daemons.agent.services.ledger import Ledger

logger = logging.getLogger(__name__)

_ROUND_SECONDS: Final = 1.0


class Notices:
    """A route that answers goes before any notice, so one that comes late harms nobody."""

    def __init__(self, containers: Containers, gateway: Gateway, ledger: Ledger) -> None:
        self._containers = containers
        self._gateway = gateway
        self._ledger = ledger
        self._told: dict[str, Notice | None] = {}
        self._problem: str | None = None

    async def run(self) -> None:
        """Look again and again."""
        while True:
            if self._ledger.loaded:
                await self.look()
            await asyncio.sleep(_ROUND_SECONDS)

    async def look(self) -> None:
        """One round: the engine is asked once, and only if an app is here."""
        states = self._ledger.all()
        try:
            running = await self._running() if any(state.current is not None for state in states) else frozenset()
            for state in states:
                await self._tell(state, running)
            self._note(None)
        except (EngineError, GatewayError) as error:
            self._note(str(error))

    async def _running(self) -> frozenset[str]:
        return frozenset(one.name for one in await self._containers.own() if one.running)

    async def _tell(self, state: AppState, running: frozenset[str]) -> None:
        now = notice(state, running)
        if state.app_id not in self._told or self._told[state.app_id] is not now:
            await self._gateway.announce(state.app_id, now)
            self._told[state.app_id] = now

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("visitors may not be told why an app does not answer", extra={"error": problem})
        self._problem = problem
