"""How many runs a workspace node may carry, and who may begin one more."""

from dataclasses import dataclass
from typing import Final

#: After so many seconds somebody's run may have ended: idle ones are frozen after minutes.
_RETRY_SECONDS: Final = 30


class NodeFull(Exception):
    """The user's node carries as many runs as it may."""

    retry_after: Final = _RETRY_SECONDS

    def __init__(self, node: str, busy: int, most: int) -> None:
        super().__init__(
            f"your workspace's node {node} has no room for another run now: {busy} of {most} are going on. Your files "
            f"can be edited; try again in {_RETRY_SECONDS} s. Operators: move users to another node (funai workspaces "
            f"migrate), or raise FUNAI_WORKSPACE_NODE_LIMITS_MAX_RUNNING_PER_NODE"
        )
        self.data = {"busy": busy, "most": most, "retryAfterSeconds": _RETRY_SECONDS}


@dataclass(frozen=True, slots=True)
class Busy:
    """What a node says: how many users' runs live there, and whether the asking user's does."""

    count: int
    user: bool


def admit(node: str, busy: Busy, starting: int, most: int) -> None:
    """Raises NodeFull. `starting` are runs of others that this API lets begin and the node may not count yet. Who runs
    something already gets no more of the node by running something else: a user has one run at a time."""
    if not busy.user and busy.count + starting >= most:
        raise NodeFull(node, busy.count + starting, most)
