"""What an object looked like to whoever decided to change it, as a short text: its version.

A reader makes it from what it shows and sends it along (header `X-Expected-Version`). The control plane makes it from
what is true at that moment, under the lock of the change, and refuses 409 `changed` when the two differ: nobody cancels
a build who saw a job that waits. Only what decisions are based on is part of it: a heartbeat changes no version.
"""


def of_job(status: str, attempt: int) -> str:
    """A job: its state, and which attempt it is in."""
    return f"{status}.{attempt}"


def of_node(node_id: int, *, enabled: bool, weight: int) -> str:
    """A node: whether it takes deployments, and how many; one that was deleted and came back is another one."""
    return f"{node_id}.{'enabled' if enabled else 'disabled'}.{weight}"


def of_runner(*, drained: bool) -> str:
    """A runner: whether it was drained."""
    return "drained" if drained else "working"


def of_app(node_id: int | None) -> str:
    """An app: where it lives."""
    return "nowhere" if node_id is None else f"on.{node_id}"


def of_drain(state: str) -> str:
    """A plan that drains a node: its state."""
    return state


def of_releases(newest: int | None) -> str:
    """An app's releases: the number of the newest one, which is what runs."""
    return "none" if newest is None else f"release.{newest}"
