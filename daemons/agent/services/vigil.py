"""Watches over every app that is live: probes it, notices crashes, starts it again in its time, or takes it back.

What is to be done is decided in `domain/vigil`; here it is carried out. An app that is being deployed, stopped or
tidied is left to whoever does that, except that what serves is kept running until the switch.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Final

from daemons.agent.domain.apps import AppState, Instance, settle
from daemons.agent.domain.probing import ContainerState
from daemons.agent.domain.report import Illness
from daemons.agent.domain.vigil import Condition, Pulse, Trouble, crashed, ending, felt, final, forgotten, restarted
from daemons.agent.ports import Engine, GatewayError, Probe, StateError
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.notices import Notices
from daemons.agent.services.restoration import Restoration
from daemons.agent.services.retirement import Retirement
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_ROUND_SECONDS: Final = 1.0
#: While all is well the engine is asked in every third round only: a list of all containers is work for it.
_QUIET_ROUNDS: Final = 3
_FRESH: Final = Pulse()


class Vigil:
    """`ready` says that recovery is done; `now` is the wall clock, in epoch seconds; `changed` hears of news."""

    def __init__(
        self,
        engine: Engine,
        probe: Probe,
        ledger: Ledger,
        retirement: Retirement,
        restoration: Restoration,
        notices: Notices,
        ready: Callable[[], bool],
        now: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._probe = probe
        self._ledger = ledger
        self._retirement = retirement
        self._restoration = restoration
        self._notices = notices
        self._ready = ready
        self._now = now
        self._changed = changed
        self._pulses: dict[str, Pulse] = {}
        self._busy: set[str] = set()
        self._problem: str | None = None

    async def run(self) -> None:
        """Look again and again; an app that is slow to answer keeps nobody else waiting."""
        async with asyncio.TaskGroup() as group:
            for turn in itertools.count():
                if turn % _QUIET_ROUNDS == 0 or self._anything_afoot():
                    await self.look(group)
                await asyncio.sleep(_ROUND_SECONDS)

    async def look(self, group: asyncio.TaskGroup) -> None:
        """One round: the engine is asked once for all apps, and only if one is here; those that need something get a
        task."""
        if not self._ledger.loaded:
            return
        try:
            running = await self._running()
        except EngineError as error:
            self._note(str(error))
            return
        self._note(None)
        await self._notices.look(running)
        if not self._ready():
            return
        self._pulses = {name: pulse for name, pulse in self._pulses.items() if name in running}
        for state in self._ledger.all():
            if state.app_id not in self._busy and self._needs(state, running):
                self._busy.add(state.app_id)
                up = state.current is not None and state.current.container in running
                group.create_task(self._tend(state.app_id, up))

    def condition(self, state: AppState, found: ContainerState | None) -> tuple[Condition, str | None]:
        """How an app stands, given what the engine says of its current container, and why if it is not well."""
        current, trouble = state.current, state.trouble
        if state.progress is not None and state.progress.open:
            return Condition.DEPLOYING, f"step {state.progress.step}"
        if current is None:
            return Condition.ABSENT, None
        if found is None or not found.running:
            return Condition.CRASHED, trouble.reason if trouble is not None else ending(found, current.config)
        pulse = self._pulses.get(current.container, _FRESH)
        if pulse.sick:
            return Condition.UNHEALTHY, f"it does not answer as it should: {pulse.problem}"
        return (Condition.WATCHED if state.watched else Condition.RUNNING), trouble.reason if trouble else None

    def unwell(self, running: AbstractSet[str]) -> Sequence[Illness]:
        """The apps that do not serve as they should, the latest crash first, given the names of containers that run."""
        found = []
        for state in self._ledger.all():
            up = state.current is not None and state.current.container in running
            condition, reason = self.condition(state, ContainerState(running=True) if up else None)
            if condition in (Condition.CRASHED, Condition.UNHEALTHY):
                found.append(_illness(state, condition, reason or ""))
        return sorted(found, key=lambda each: (-each.since, each.app_id))

    async def _running(self) -> frozenset[str]:
        if all(state.current is None for state in self._ledger.all()):
            return frozenset()
        return frozenset(one.name for one in await self._engine.own() if one.running)

    def _anything_afoot(self) -> bool:
        """Whether an app is within its window, down, starts for the first time, or has visitors that wait."""
        return self._ready() and any(
            state.watched
            or (state.current is None and state.candidate is not None)
            or (state.trouble is not None and state.trouble.down and not state.trouble.final)
            or (state.progress is not None and state.progress.parked)
            for state in self._ledger.all()
        )

    def _needs(self, state: AppState, running: AbstractSet[str]) -> bool:
        if state.progress is not None and state.progress.parked:
            return True
        if state.current is None:
            return False
        if state.current.container in running:
            pulse = self._pulses.get(state.current.container, _FRESH)
            window_over = state.watched and state.progress is not None and self._now() >= state.progress.watch_until
            return self._now() >= pulse.next_at or window_over or bool(state.trouble and state.trouble.down)
        trouble = state.trouble
        return trouble is None or not trouble.down or trouble.due(self._now())

    async def _tend(self, app_id: str, up: bool) -> None:
        try:
            state = self._ledger.get(app_id)
            if state.progress is not None and state.progress.parked:
                await self._finish_return(app_id)
            elif state.current is not None and up:
                await self._listen(state, state.current)
            elif state.current is not None:
                await self._fallen(app_id, state.current)
        except (EngineError, GatewayError, StateError) as error:
            logger.warning("an app could not be looked after", extra={"app_id": app_id, "error": str(error)})
        finally:
            self._busy.discard(app_id)

    async def _finish_return(self, app_id: str) -> None:
        """A way back that failed before, tried again once nobody else is at it."""
        with self._ledger.tidy(app_id) as at_rest:
            if at_rest:
                await self._restoration.restore(app_id)

    async def _listen(self, state: AppState, current: Instance) -> None:
        pulse = self._pulses.get(current.container, _FRESH)
        if self._now() >= pulse.next_at:
            answer = await self._probe.get(current.port, current.config.health_path)
            before, pulse = pulse, felt(pulse, answer, self._now(), watched=state.watched)
            self._pulses[current.container] = pulse
            if before.sick != pulse.sick:
                self._tell(state.app_id, "stopped answering" if pulse.sick else "answers again", pulse.problem)
        if state.watched and pulse.sick:
            await self._take_back(state.app_id, current, f"it stopped answering as it should: {pulse.problem}")
        elif state.watched and state.progress is not None and self._now() >= state.progress.watch_until:
            self._retirement.after_success(await self._ledger.change(state.app_id, settle))
        elif forgotten(state.trouble, pulse, self._now()):
            await self._ledger.change(state.app_id, partial(_with_trouble, current=current, trouble=None))
        elif state.trouble is not None and state.trouble.down:
            trouble = restarted(state.trouble)
            await self._ledger.change(state.app_id, partial(_with_trouble, current=current, trouble=trouble))

    async def _fallen(self, app_id: str, current: Instance) -> None:
        async with self._retirement.alone(current.container):
            state = self._ledger.get(app_id)
            if state.current != current or not state.tended:
                return
            found = await self._engine.state(current.container)
            if found is not None and found.running:
                return
            if not state.watched:
                await self._restart(state, current, found)
                return
        await self._take_back(app_id, current, ending(found, current.config))

    async def _restart(self, state: AppState, current: Instance, found: ContainerState | None) -> None:
        trouble = state.trouble
        if trouble is None or not trouble.down:
            reason = ending(found, current.config)
            trouble = crashed(trouble, reason, self._now(), final=final(found, current.config))
            await self._remember(state.app_id, current, trouble)
            self._tell(state.app_id, "crashed", reason)
        if not trouble.due(self._now()):
            return
        try:
            await self._engine.start(current.container)
        except EngineError as error:
            reason = f"it could not be started again: {error}"
            await self._remember(state.app_id, current, crashed(trouble, reason, self._now()))
            raise
        await self._remember(state.app_id, current, restarted(trouble))
        self._tell(state.app_id, "was started again", trouble.reason)

    async def _take_back(self, app_id: str, current: Instance, reason: str) -> None:
        with self._ledger.tidy(app_id) as at_rest:
            state = self._ledger.get(app_id)
            # Whoever holds the app now has ended the window, or will find the app as it is.
            if at_rest and state.watched and state.current == current:
                await self._restoration.take_back(app_id, reason, self._now())
                self._changed()

    async def _remember(self, app_id: str, current: Instance, trouble: Trouble) -> None:
        await self._ledger.change(app_id, partial(_with_trouble, current=current, trouble=trouble))

    def _tell(self, app_id: str, what: str, reason: str) -> None:
        logger.warning("an app %s", what, extra={"app_id": app_id, "reason": reason})
        self._changed()

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            logger.warning("the engine cannot be asked what runs", extra={"error": problem})
        self._problem = problem


def _illness(state: AppState, condition: Condition, reason: str) -> Illness:
    trouble = state.trouble
    if trouble is None:
        # Crashed within this second: why is known when it has been looked at.
        return Illness(state.app_id, condition, reason if condition is Condition.UNHEALTHY else "it does not run")
    return Illness(state.app_id, condition, reason, trouble.at, trouble.crashes, trouble.restart_at)


def _with_trouble(state: AppState, current: Instance, trouble: Trouble | None) -> AppState:
    """Unless another container is current by now: the trouble was this one's."""
    return replace(state, trouble=trouble) if state.current == current else state
