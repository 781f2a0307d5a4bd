"""Whether a database server still has everything that was acknowledged: the rules of epochs.

One row names the server that has the history, and the epoch, which an operator raises when another server goes on with
it. A replica of the control plane remembers the highest epoch it has seen, and the newest event that it committed.
"""

from dataclasses import dataclass
from typing import Final

#: How far fences and event numbers are raised at a promotion: further than what the lost commits can have used.
LEAP: Final = 1_000_000
_PROMOTE: Final = "stop the old server, then run `python -m daemons.deploy promote` against this one"


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says: its own identity, the identity and epoch in its row, its newest event (0: none)."""

    here: str
    server: str
    epoch: int
    newest: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What this process has seen."""

    epoch: int = 0
    newest: int = 0


def objection(memory: Memory, found: Found) -> str | None:
    """Why nothing may be read or written there; None when the history goes on."""
    if found.epoch < memory.epoch:
        return (
            f"the database is of epoch {found.epoch} and this replica has seen epoch {memory.epoch}: it is an old "
            "primary that came back; stop it, and point the address at the promoted server"
        )
    if found.server != found.here:
        return (
            f"the database server ({found.here}) was not confirmed as the successor of {found.server} "
            f"(epoch {found.epoch}) and may lack acknowledged changes; if it is to go on, {_PROMOTE}"
        )
    if found.epoch == memory.epoch and 0 < found.newest < memory.newest:
        return (
            f"the database ends at event {found.newest} and this replica has committed event {memory.newest}: "
            f"acknowledged changes are missing; restore them, or, if they are to be given up, {_PROMOTE}"
        )
    return None


def remembered(memory: Memory, found: Found) -> Memory:
    """What to remember of a server without objection."""
    if found.epoch > memory.epoch:
        return Memory(found.epoch, found.newest)
    return Memory(memory.epoch, max(memory.newest, found.newest))
