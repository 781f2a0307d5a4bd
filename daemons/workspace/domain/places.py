"""Which port of the node leads to which workspace; a workspace keeps its own, running or not."""

from collections.abc import Callable, Collection


class NoPorts(Exception):
    """Every port of the range belongs to a workspace or to another process."""


def choose(user_id: str, base: int, count: int, kept: Collection[int], free: Callable[[int], bool]) -> int:
    """A port that no workspace keeps and that nobody listens on now. Raises NoPorts.

    The search begins where the existing system's does (`userId mod count`), so that most users keep theirs.
    """
    offset = int(user_id) % count
    for step in range(count):
        port = base + (offset + step) % count
        if port not in kept and free(port):
            return port
    raise NoPorts(
        f"all ports from {base} to {base + count - 1} are taken; widen FUNAI_WORKSPACE_HOSTPORTSCANSIZE or remove "
        "workspaces"
    )
