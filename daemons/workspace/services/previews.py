"""Where a visitor of a preview is led to; a workspace that sleeps wakes up for the visit.

What was found is good for a moment, so that a page with a hundred files asks the engine once.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain.runs import Run, serves
from daemons.workspace.domain.sockets import way_in
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.ports import Use
from daemons.workspace.ports.runs import Listeners, Ways
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.workspaces import Workspaces

logger = logging.getLogger(__name__)

_GOOD_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.02


class NoPreview(Exception):
    """Nothing serves this app here."""


class NotReady(Exception):
    """The app's server is starting; it did not listen in time."""


@dataclass(frozen=True, slots=True)
class Address:
    """The port of this machine that leads to the server, and whether the server wants the public path left on."""

    port: int
    keeps_prefix: bool
    app_id: str
    user_id: str


class Previews:
    """Leads visitors to the servers of apps."""

    def __init__(
        self, workspaces: Workspaces, runs: Runs, listeners: Listeners, ways: Ways, port: int, hold_seconds: float
    ) -> None:
        """`port` is the container's published one; `hold_seconds` is how long a visitor waits for a server that
        starts."""
        self._workspaces = workspaces
        self._runs = runs
        self._listeners = listeners
        self._ways = ways
        self._port = port
        self._hold_seconds = hold_seconds
        self._found: dict[str, tuple[float, Address]] = {}

    async def of_app(self, app_id: str) -> Address:
        """Raises NoPreview, NotReady and as `Runs.resume`."""
        run = self._runs.of_app(app_id)
        if run is None:
            raise NoPreview("nothing serves this app here; start its preview")
        return await self._address(run)

    async def of_user(self, user_id: str) -> Address:
        """The server that the user runs now. Raises as `of_app`."""
        run = self._runs.find(user_id)
        if run is None or not serves(run):
            raise NoPreview("nothing is served from this workspace; start a preview")
        return await self._address(run)

    async def _address(self, run: Run) -> Address:
        self._workspaces.touch(run.user_id, Use.PREVIEW)
        now = asyncio.get_running_loop().time()
        at, address = self._found.get(run.user_id, (0.0, None))
        workspace = self._workspaces.find(run.user_id)
        awake = workspace is not None and workspace.phase is Phase.RUNNING
        if address is not None and awake and address.app_id == run.app_id and now - at < _GOOD_SECONDS:
            return address
        if self._runs.alive(run):
            await self._workspaces.ensure(run.user_id)
        if not self._runs.alive(run):
            await self._runs.resume(run.user_id)
        found = await self._led(run.user_id)
        self._found[run.user_id] = (asyncio.get_running_loop().time(), found)
        return found

    async def _led(self, user_id: str) -> Address:
        """The way to the server, once it listens."""
        until = asyncio.get_running_loop().time() + self._hold_seconds
        while True:
            run, workspace = self._runs.find(user_id), self._workspaces.find(user_id)
            if run is None or workspace is None or not self._runs.alive(run):
                raise NoPreview("the app's server ended while it started; its log says why")
            way = way_in(await self._listeners.listening(user_id), self._port)
            if way is not None:
                if way.loopback or way.port != self._port:
                    await self._lead(user_id, way.port)
                return Address(workspace.host_port, run.keeps_prefix, run.app_id, user_id)
            if asyncio.get_running_loop().time() > until:
                raise NotReady("the app's server is starting; try again in a moment")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _lead(self, user_id: str, to: int) -> None:
        try:
            await self._ways.lead(user_id, to)
        except OSError as error:
            raise EngineError(f"visitors cannot be led to port {to} of the workspace: {error}") from error
