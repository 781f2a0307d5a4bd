"""The consoles of all browser tabs. One whose socket dropped waits a minute for its tab to come back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from console.web.gate import Session
from console.web.process import ConsoleProcess

KEPT_SECONDS: Final = 60.0
MOST_CONSOLES: Final = 20
_LOOK_SECONDS: Final = 1.0


class Full(Exception):
    """There are as many consoles as may be."""


@dataclass(slots=True)
class Tab:
    """One console; `left_at` is when its socket dropped, None while it is looked at."""

    session: Session
    process: ConsoleProcess
    socket: web.WebSocketResponse | None = None
    left_at: float | None = None


class Tabs:
    """By session and the tab's own name."""

    def __init__(self, group: asyncio.TaskGroup, now: Callable[[], float], make: Callable[[Session], ConsoleProcess]):
        self._group = group
        self._now = now
        self._make = make
        self._tabs: dict[tuple[str, str], Tab] = {}

    def waits(self, session: Session, name: str) -> bool:
        """Whether the tab's console still runs."""
        tab = self._tabs.get((session.name, name))
        return tab is not None and not tab.process.ended

    async def come(self, session: Session, name: str, socket: web.WebSocketResponse, size: tuple[int, int]) -> Tab:
        """Show the tab its console: the one that it left, or a new one. Raises Full, OSError."""
        known = self._tabs.get((session.name, name))
        if known is not None and not known.process.ended:
            before, known.socket, known.left_at = known.socket, socket, None
            if before is not None:
                await before.close()
            await known.process.show(socket.send_bytes, *size)
            return known
        if len(self._tabs) >= MOST_CONSOLES:
            raise Full
        tab = self._tabs[session.name, name] = Tab(session, self._make(session), socket)
        tab.process.watched_first(socket.send_bytes)
        try:
            await tab.process.start(*size)
        except OSError:
            del self._tabs[session.name, name]
            raise
        self._group.create_task(self._run(session, name, tab))
        return tab

    def leave(self, tab: Tab, socket: web.WebSocketResponse) -> None:
        """The socket dropped."""
        if tab.socket is socket:
            tab.socket, tab.left_at = None, self._now()
            tab.process.hide()

    async def _run(self, session: Session, name: str, tab: Tab) -> None:
        await tab.process.relay()
        if self._tabs.get((session.name, name)) is tab:
            del self._tabs[session.name, name]
        await tab.process.leave()
        if tab.socket is not None:
            await tab.socket.close()

    async def watch(self) -> None:
        """End what nobody came back to, and what outlived its session, for as long as the server runs."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._now()
            for tab in tuple(self._tabs.values()):
                forgotten = tab.left_at is not None and now - tab.left_at >= KEPT_SECONDS
                if forgotten or tab.session.until <= now:
                    await tab.process.leave()

    async def end(self, session: Session | None = None) -> None:
        """End the consoles of a session, or all."""
        for tab in tuple(self._tabs.values()):
            if session is None or tab.session.name == session.name:
                await tab.process.leave()
