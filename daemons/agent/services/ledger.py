"""The memory of all apps: read once, written through, and the one-at-a-time rule per app."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from daemons.agent.domain.apps import AppState, routes, taken_ports
from daemons.agent.ports import StateError, StateFiles
from daemons.agent.services.holds import Hold, Holds


class Recovering(Exception):
    """The agent has not yet found out what runs on its node."""


class Ledger:
    """Every state that this node has. Saved before the step that it describes is taken."""

    def __init__(self, files: StateFiles) -> None:
        self._files = files
        self._states: dict[str, AppState] | None = None
        self._holds = Holds()
        self._tidying: dict[str, asyncio.Event] = {}
        self._reserved: set[int] = set()
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read all states. Raises StateError."""
        self._states = {state.app_id: state for state in await self._files.load()}

    @property
    def loaded(self) -> bool:
        """Whether `load` has succeeded."""
        return self._states is not None

    def get(self, app_id: str) -> AppState:
        """The app's state; an empty one when it was never here. Raises StateError before `load`."""
        return self._known().get(app_id) or AppState(app_id)

    def all(self) -> tuple[AppState, ...]:
        """Every state."""
        return tuple(self._known().values())

    def routes(self) -> dict[str, int | None]:
        """The routes that the gateway must hold."""
        return routes(self.all())

    async def change(self, app_id: str, step: Callable[[AppState], AppState]) -> AppState:
        """The state after `step`, written through; steps of all tasks happen one after the other.

        Raises what the step raises, and StateError; then nothing has changed.
        """
        async with self._writing:
            before = self.get(app_id)
            after = step(before)
            if after != before:
                await self._files.save(after)
                self._known()[app_id] = after
            return after

    @asynccontextmanager
    async def hold(self, app_id: str, fence: int | None) -> AsyncIterator[Hold]:
        """The app is ours for the block: an older attempt is made to end, tidying that is under way is waited for.

        Raises AppBusy.
        """
        async with self._holds.hold(app_id, fence) as hold:
            if tidied := self._tidying.get(app_id):
                await tidied.wait()
            yield hold

    @contextmanager
    def tidy(self, app_id: str) -> Iterator[bool]:
        """Whether the app is at rest; then whoever wants to hold it waits for the end of the block."""
        if app_id in self._holds or app_id in self._tidying:
            yield False
            return
        self._tidying[app_id] = done = asyncio.Event()
        try:
            yield True
        finally:
            del self._tidying[app_id]
            done.set()

    @contextmanager
    def reserve(self, port: int) -> Iterator[int]:
        """Keep a port from other deployments until a state names it."""
        self._reserved.add(port)
        try:
            yield port
        finally:
            self._reserved.discard(port)

    def taken_ports(self) -> frozenset[int]:
        """Ports that no new container may get."""
        return taken_ports(self.all()) | self._reserved

    def _known(self) -> dict[str, AppState]:
        if self._states is None:
            raise StateError("the states of apps were not read yet")
        return self._states
