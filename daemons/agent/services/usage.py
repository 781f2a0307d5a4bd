"""What apps use: read when somebody asks, never otherwise, so that a node whose figures nobody wants pays nothing."""

import asyncio
from collections.abc import Sequence
from typing import Final

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.usage import Sample, cpu_pct
from daemons.agent.ports import Usages
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger
from protocol.running import AppStats

#: The shortest time that a share of the processor is measured over, and the longest that an earlier sample is used for.
_SPAN_SECONDS: Final = 0.25
_OLDEST_SECONDS: Final = 60.0
_KEPT: Final = 2000


class AppUsage:
    """Figures of the containers that visitors are sent to. The share of the processor is that since the last question,
    at most a minute ago, or else over a quarter of a second."""

    def __init__(self, usages: Usages, ledger: Ledger, span_seconds: float = _SPAN_SECONDS) -> None:
        self._usages = usages
        self._ledger = ledger
        self._span_seconds = span_seconds
        self._last: dict[str, Sample] = {}

    async def all(self) -> Sequence[AppStats]:
        """Every app of this node, by id. Raises EngineError."""
        return await self._of({state.app_id: state for state in self._ledger.all()})

    async def one(self, user_id: str, app_id: str) -> AppStats:
        """Raises UnknownApp and EngineError."""
        state = self._ledger.get(app_id)
        if state.current is None or state.user_id != user_id:
            raise UnknownApp(f"app {app_id} of user {user_id} has no container on this node")
        return (await self._of({app_id: state}))[0]

    async def _of(self, states: dict[str, AppState]) -> Sequence[AppStats]:
        running = {state.current.container: state for _, state in sorted(states.items()) if state.current is not None}
        first = {name: await self._usages.usage(name) for name in running}
        before = {name: self._earlier(name, found) for name, found in first.items() if found is not None}
        second = dict(first)
        if any(earlier is None for earlier in before.values()):
            await asyncio.sleep(self._span_seconds)
            for name, earlier in before.items():
                if earlier is None:
                    second[name] = await self._usages.usage(name)
        found = []
        for name, state in running.items():
            start, now = before.get(name) or first[name], second[name]
            self._remember(name, now)
            disk = await self._usages.disk_bytes(name)
            found.append(_stats(state.app_id, state.user_id or "", name, start, now, disk))
        return found

    def _earlier(self, name: str, now: Sample) -> Sample | None:
        last = self._last.get(name)
        usable = last is not None and self._span_seconds <= now.at - last.at <= _OLDEST_SECONDS
        return last if usable else None

    def _remember(self, name: str, now: Sample | None) -> None:
        self._last.pop(name, None)
        if now is not None:
            self._last[name] = now
        while len(self._last) > _KEPT:
            del self._last[next(iter(self._last))]


def _stats(
    app_id: str, user_id: str, container: str, before: Sample | None, now: Sample | None, disk: int | None
) -> AppStats:
    if now is None:
        return AppStats(app_id=app_id, user_id=user_id, container=container, running=False, disk_bytes=disk)
    return AppStats(
        app_id=app_id,
        user_id=user_id,
        container=container,
        running=True,
        cpu_pct=cpu_pct(before, now) if before is not None else None,
        cpu_seconds=now.cpu_seconds,
        memory_bytes=now.memory_bytes,
        memory_limit_bytes=now.memory_limit_bytes,
        processes=now.processes,
        received_bytes=now.received_bytes,
        sent_bytes=now.sent_bytes,
        disk_bytes=disk,
    )
