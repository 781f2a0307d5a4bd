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


#: What may follow what. A start that fails leaves a workspace stopped or without a container.
_NEXT: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.ABSENT: frozenset({Phase.STARTING, Phase.MOVED}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.STOPPED, Phase.ABSENT}),
    Phase.RUNNING: frozenset({Phase.FROZEN, Phase.STOPPING, Phase.STARTING}),
    Phase.FROZEN: frozenset({Phase.RUNNING, Phase.STOPPING, Phase.MOVED}),
    Phase.STOPPING: frozenset({Phase.STOPPED, Phase.ABSENT}),
    Phase.STOPPED: frozenset({Phase.STARTING, Phase.STOPPING, Phase.ABSENT, Phase.MOVED}),
    Phase.MOVED: frozenset({Phase.ABSENT}),
}
_SEEN: Final[Mapping[Seen, Phase]] = {
    Seen.ABSENT: Phase.ABSENT,
    Seen.CREATED: Phase.STOPPED,
    Seen.RUNNING: Phase.RUNNING,
    Seen.PAUSED: Phase.FROZEN,
    Seen.EXITED: Phase.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the node remembers of one. `host_port` is its own for good; `used_at_ms` is when somebody used it last."""

    user_id: str
    host_port: int
    created_at_ms: int
    phase: Phase = Phase.ABSENT
    epoch: int = 0
    image: str = ""
    changed_at_ms: int = 0
    used_at_ms: int = 0
    error: str = ""


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
    """The workspace as the engine has it; one that was moved away stays so, whatever is left of it here."""
    phase = Phase.MOVED if workspace.phase is Phase.MOVED else _SEEN[seen]
    return workspace if phase is workspace.phase else replace(workspace, phase=phase, changed_at_ms=now_ms)


def admitted(workspace: Workspace, epoch: int | None, now_ms: int) -> Workspace:
    """The workspace for a caller who knows this epoch (None: a client from before epochs). A newer one than the node's
    says that the workspace has come back. Raises StaleEpoch, MovedAway."""
    if epoch is not None and epoch < workspace.epoch:
        raise StaleEpoch(f"epoch {epoch} is over: the workspace is at {workspace.epoch}; ask where it lives now")
    if workspace.phase is not Phase.MOVED:
        return workspace if epoch in (None, workspace.epoch) else replace(workspace, epoch=epoch or 0)
    if epoch is None or epoch == workspace.epoch:
        raise MovedAway("the workspace lives on another node now; ask where")
    return replace(workspace, phase=Phase.ABSENT, epoch=epoch, changed_at_ms=now_ms)
