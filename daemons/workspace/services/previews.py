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
from daemons.workspace.services.admission import Admission
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_previews import Visibility

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


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a visitor is led to. With `private`, nobody else may be led by it, and `renewed` is the pass to show from
    now on, if it is another one."""

    address: Address
    private: bool = False
    renewed: str = ""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What servers listen on, ways to those that nobody reaches from outside, and the port that containers publish."""

    listeners: Listeners
    ways: Ways
    port: int


class Previews:
    """Leads visitors to the servers of apps."""

    def __init__(
        self, workspaces: Workspaces, runs: Runs, admission: Admission, sockets: Sockets, hold_seconds: float
    ) -> None:
        """`hold_seconds` is how long a visitor waits for a server that starts."""
        self._workspaces = workspaces
        self._runs = runs
        self._admission = admission
        self._listeners = sockets.listeners
        self._ways = sockets.ways
        self._port = sockets.port
        self._hold_seconds = hold_seconds
        self._found: dict[str, tuple[float, str, Address]] = {}

    async def of_app(self, app_id: str, shown: str = "") -> Visit:
        """`shown` is the visitor's pass. Raises NoPreview, NotAdmitted, NotReady and as `Runs.resume`."""
        run = self._runs.of_app(app_id)
        if run is None:
            raise NoPreview("nothing serves this app here; start its preview")
        return await self._visit(run, shown)

    async def of_user(self, user_id: str, shown: str = "") -> Visit:
        """The server that the user runs now. Raises as `of_app`."""
        run = self._runs.find(user_id)
        if run is None or not serves(run):
            raise NoPreview("nothing is served from this workspace; start a preview")
        return await self._visit(run, shown)

    async def _visit(self, run: Run, shown: str) -> Visit:
        """Whoever may not see it wakes nothing, and is no use of the workspace."""
        private = self._admission.rule(run.user_id, run.app_id).visibility is Visibility.PRIVATE
        renewed = self._admission.admit(run.user_id, run.app_id, shown)
        return Visit(await self._address(run), private, renewed)

    async def _address(self, run: Run) -> Address:
        self._workspaces.touch(run.user_id, Use.PREVIEW)
        at, tag, address = self._found.get(run.user_id, (0.0, "", None))
        workspace = self._workspaces.find(run.user_id)
        phase = workspace.phase if workspace is not None else None
        known = address if tag == run.tag else None
        if known is not None and phase is Phase.RUNNING and _now() - at < _GOOD_SECONDS:
            return known
        if self._runs.alive(run):
            await self._workspaces.ensure(run.user_id)
        # What was frozen listens as before; to look would cost more than to wake it.
        if known is None or phase is not Phase.FROZEN or not self._runs.alive(run):
            if not self._runs.alive(run):
                await self._runs.resume(run.user_id)
            known = await self._led(run.user_id)
        self._found[run.user_id] = (_now(), self._tag(run), known)
        return known

    def _tag(self, run: Run) -> str:
        """Of what runs now: a server that starts again has another."""
        now = self._runs.find(run.user_id)
        return now.tag if now is not None else ""

    async def _led(self, user_id: str) -> Address:
        """The way to the server, once it listens."""
        until = _now() + self._hold_seconds
        while True:
            run, workspace = self._runs.find(user_id), self._workspaces.find(user_id)
            if run is None or workspace is None or not self._runs.alive(run):
                raise NoPreview("the app's server ended while it started; its log says why")
            way = way_in(await self._listeners.listening(user_id), self._port)
            if way is not None:
                published = way.port == self._port and not way.loopback
                port = workspace.host_port if published else await self._lead(user_id, way.port)
                return Address(port, run.keeps_prefix, run.app_id, user_id)
            if _now() > until:
                raise NotReady("the app's server is starting; try again in a moment")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _lead(self, user_id: str, to: int) -> int:
        try:
            return await self._ways.lead(user_id, to)
        except OSError as error:
            raise EngineError(f"visitors cannot be led to port {to} of the workspace: {error}") from error


def _now() -> float:
    return asyncio.get_running_loop().time()
