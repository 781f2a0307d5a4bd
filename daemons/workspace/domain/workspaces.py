"""The life of a workspace: one container of one user, on one node at a time.

A record says what the node is about; the engine says what is. After a crash `observed` brings the two together.
The epoch rises whenever the workspace changes its node: a node that holds an older one than a caller knows gives way,
and a caller with an older one than the node's is refused (gitpod-io/gitpod#4671 is what happens without).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where in its life a workspace is."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    FROZEN = "frozen"
    STOPPING = "stopping"
    STOPPED = "stopped"
    #: A move holds it: nothing runs, nobody is let in, whatever the engine says.
    LEAVING = "leaving"
    #: A move brings its files here; it is another node's still.
    ARRIVING = "arriving"
    MOVED = "moved"


class Seen(StrEnum):
    """What the engine says of a container."""

    ABSENT = "absent"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"


class IllegalStep(Exception):
    """The workspace cannot do that where it is in its life."""


class StaleEpoch(Exception):
    """The caller knows an older epoch than this node: the workspace was moved meanwhile."""


class MovedAway(Exception):
    """The workspace lives on another node now."""


class BeingMoved(Exception):
    """The workspace is on its way to another node; in a moment it can be used again, there or here."""


#: What may follow what. A start that fails leaves a workspace stopped or without a container.
_NEXT: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.ABSENT: frozenset({Phase.STARTING}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.STOPPED, Phase.ABSENT}),
    Phase.RUNNING: frozenset({Phase.FROZEN, Phase.STOPPING, Phase.STARTING}),
    Phase.FROZEN: frozenset({Phase.RUNNING, Phase.STOPPING}),
    Phase.STOPPING: frozenset({Phase.STOPPED, Phase.ABSENT}),
    Phase.STOPPED: frozenset({Phase.STARTING, Phase.STOPPING, Phase.ABSENT}),
    # Only a move (domain/moves.py) or a newer epoch leads into these and out of them.
    Phase.LEAVING: frozenset(),
    Phase.ARRIVING: frozenset(),
    Phase.MOVED: frozenset(),
}
_SEEN: Final[Mapping[Seen, Phase]] = {
    Seen.ABSENT: Phase.ABSENT,
    Seen.CREATED: Phase.STOPPED,
    Seen.RUNNING: Phase.RUNNING,
    Seen.PAUSED: Phase.FROZEN,
    Seen.EXITED: Phase.STOPPED,
}


_OF_MOVES: Final = (Phase.LEAVING, Phase.ARRIVING, Phase.MOVED)


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the node remembers of one. `host_port` is its own for good; `used_at_ms` is when somebody used it last.
    `move` is the move that has to do with it now (0: none), `ended_move` the last one that was over here, and `token`
    the pass after which a copy that arrives stands."""

    user_id: str
    host_port: int
    created_at_ms: int
    phase: Phase = Phase.ABSENT
    epoch: int = 0
    image: str = ""
    changed_at_ms: int = 0
    used_at_ms: int = 0
    error: str = ""
    move: int = 0
    ended_move: int = 0
    token: str = ""


def container_name(user_id: str) -> str:
    """The documented name of a user's container."""
    return f"ws-u-{user_id}"


def advance(workspace: Workspace, to: Phase, now_ms: int, error: str = "") -> Workspace:
    """The workspace a step further. Raises IllegalStep."""
    if to is workspace.phase:
        return replace(workspace, error=error)
    if to not in _NEXT[workspace.phase]:
        raise IllegalStep(f"a workspace that is {workspace.phase} cannot become {to}")
    return replace(workspace, phase=to, changed_at_ms=now_ms, error=error)


def observed(workspace: Workspace, seen: Seen, now_ms: int) -> Workspace:
    """The workspace as the engine has it; one that a move has to do with stays so, whatever is left of it here."""
    phase = workspace.phase if workspace.phase in _OF_MOVES else _SEEN[seen]
    return workspace if phase is workspace.phase else replace(workspace, phase=phase, changed_at_ms=now_ms)


def admitted(workspace: Workspace, epoch: int | None, now_ms: int) -> Workspace:
    """The workspace for a caller who knows this epoch (None: a client from before epochs). A newer one than the node's
    says that the workspace has come back. Raises StaleEpoch, MovedAway, BeingMoved."""
    if epoch is not None and epoch < workspace.epoch:
        raise StaleEpoch(f"epoch {epoch} is over: the workspace is at {workspace.epoch}; ask where it lives now")
    if workspace.phase in (Phase.LEAVING, Phase.ARRIVING):
        raise BeingMoved("the workspace is being moved to another node; try again in a moment")
    if workspace.phase is not Phase.MOVED:
        known = epoch is None or epoch == workspace.epoch
        found = workspace if known else replace(workspace, epoch=epoch or 0)
        # Whoever comes in uses it: from now on no move may take back what it brought.
        return replace(found, ended_move=found.move, move=0, token="") if found.move else found
    if epoch is None or epoch == workspace.epoch:
        raise MovedAway("the workspace lives on another node now; ask where")
    return replace(workspace, phase=Phase.ABSENT, epoch=epoch, changed_at_ms=now_ms)
