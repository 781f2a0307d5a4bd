"""Containers that nobody answers for: what nodes have, held against what is known of their apps.

They are told to operators and never deleted by themselves: a catalogue that lost rows must not cost anybody an app.
"""

from dataclasses import dataclass

from daemons.deploy.domain.apps import AppFacts
from daemons.deploy.domain.nodes import Reason
from protocol.inventory import StrayReason


@dataclass(frozen=True, slots=True)
class Container:
    """A container that a node's agent made for an app."""

    name: str
    user_id: str
    app_id: str
    running: bool


def stray(container: Container, node_id: int, facts: AppFacts) -> Reason | None:
    """Why nobody answers for the container on this node, or None. `facts` must be newer than the look at the node."""
    app_id = container.app_id
    if not facts.known:
        words = f"nothing is known of app {app_id}: it was never deployed from here, or it was deleted"
        return Reason(StrayReason.UNKNOWN_APP, words)
    if facts.user_id is not None and facts.user_id != container.user_id:
        return Reason(StrayReason.OTHER_OWNER, f"app {app_id} belongs to user {facts.user_id}")
    if facts.active or any(each.node_id == node_id for each in facts.operations):
        return None  # What is under way puts it right.
    if node_id not in _homes(facts):
        where = facts.node.name if facts.node else "another node" if facts.placement else "no node"
        return Reason(StrayReason.ELSEWHERE, f"app {app_id} lives on {where}, and nothing is to stop this copy")
    if container.running and facts.run is not None and facts.run.last_job_status == "STOPPED":
        return Reason(StrayReason.STOPPED, f"app {app_id} was stopped, and yet this container runs")
    return None


def _homes(facts: AppFacts) -> set[int]:
    """The nodes where the app may have containers."""
    placed = {facts.placement.node_id} if facts.placement else set()
    return placed | ({facts.run.node_id} if facts.run and facts.run.node_id is not None else set())
