"""How each workspace of the node stands, for operators: from what is remembered, so that thousands are told at once."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.kit.clock import Clock
from daemons.kit.tasks import every
from daemons.workspace.domain.idle import Measured
from daemons.workspace.domain.runs import Run, Sight, state
from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports import HomeError, Homes, Usage
from daemons.workspace.services.idle import Idle
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.terminals import Terminals
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_runs import RunState

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 15.0
#: Of whom nothing can be in use that was not when their disk was looked at last.
_AT_REST: Final = (
    Phase.ABSENT,
    Phase.STOPPED,
    Phase.FROZEN,
    Phase.LEAVING,
    Phase.ARRIVING,
    Phase.MOVED,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One workspace; `run_state` is what the first process of its run tells, the rest what was measured last."""

    workspace: Workspace
    used: Measured | None
    disk: Usage | None
    run: Run | None
    run_state: RunState | None
    terminals: int


class Figures:
    """`disk_seconds`: how old a figure of a user's disk may be; where it takes a walk over all files, long."""

    def __init__(
        self,
        workspaces: Workspaces,
        runs: Runs,
        terminals: Terminals,
        idle: Idle,
        homes: Homes,
        clock: Clock,
        disk_seconds: float,
    ) -> None:
        self._workspaces = workspaces
        self._runs = runs
        self._terminals = terminals
        self._idle = idle
        self._homes = homes
        self._clock = clock
        self._disk_ms = int(disk_seconds * 1000)
        self._disks: dict[str, tuple[int, Usage]] = {}

    async def run(self) -> None:
        """For ever."""
        await every(_LOOK_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Look at the disks of those that use them, one after the other."""
        for workspace in self._workspaces.known():
            before = self._disks.get(workspace.user_id)
            if workspace.phase in _AT_REST or (before is not None and self._now() - before[0] < self._disk_ms):
                continue
            try:
                usage = await self._homes.usage(workspace.user_id)
            except HomeError as error:
                said = {"user_id": workspace.user_id, "error": str(error)}
                logger.warning("nobody knows what a user's disk holds", extra=said)
                continue
            self._disks[workspace.user_id] = (self._now(), usage)

    def told(self, user_ids: Collection[str]) -> Sequence[Standing]:
        """Those of the users that the node knows."""
        open_ones = Counter(session.user_id for session in self._terminals.every())
        found = (self._workspaces.find(user_id) for user_id in user_ids)
        return [self._standing(each, open_ones[each.user_id]) for each in found if each is not None]

    def _standing(self, workspace: Workspace, terminals: int) -> Standing:
        user_id, run = workspace.user_id, self._runs.find(workspace.user_id)
        used = self._idle.used(user_id) if workspace.phase is Phase.RUNNING else None
        disk = self._disks.get(user_id)
        run_state = self._run_state(run) if run is not None else None
        return Standing(workspace, used, disk[1] if disk else None, run, run_state, terminals)

    def _run_state(self, run: Run) -> RunState:
        """A server whose process lives counts as one that listens: to look at its sockets costs a call each."""
        alive = self._runs.alive(run)
        return state(run, Sight(alive, (1,) if alive else ()), self._now(), 0)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
