"""Keeps the gateway told what to say of apps that nothing answers for: still starting, or crashed."""

import logging
from collections.abc import Set as AbstractSet

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.visitors import Notice, notice
from daemons.agent.ports import Gateway, GatewayError
from daemons.agent.services.ledger import Ledger

logger = logging.getLogger(__name__)


class Notices:
    """A route that answers goes before any notice, so one that comes late harms nobody. Whoever looks at the engine
    anyway says what runs."""

    def __init__(self, gateway: Gateway, ledger: Ledger) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._told: dict[str, Notice | None] = {}
        self._problem: str | None = None

    async def look(self, running: AbstractSet[str]) -> None:
        """One round, given the names of the containers that run."""
        try:
            for state in self._ledger.all():
                await self._tell(state, running)
            self._note(None)
        except GatewayError as error:
            self._note(str(error))

    async def _tell(self, state: AppState, running: AbstractSet[str]) -> None:
        now = notice(state, running)
        if state.app_id not in self._told or self._told[state.app_id] is not now:
            await self._gateway.announce(state.app_id, now)
            self._told[state.app_id] = now

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("visitors may not be told why an app does not answer", extra={"error": problem})
        self._problem = problem
