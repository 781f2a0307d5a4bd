"""Which silent nodes have their apps started elsewhere. Times are epoch milliseconds.

A network that fails beside the control plane looks like the death of many nodes, and must not move everything. So
silence counts only from when somebody here began to listen, no more nodes may be silent than are heard of, and only so
many failovers run at once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode, fresh


@dataclass(frozen=True, slots=True)
class FailoverRules:
    """When a silent node counts as dead, and for how many at once; `after_ms` 0 means never."""

    after_ms: int = 0
    most: int = 1

    @property
    def on(self) -> bool:
        """Whether apps of dead nodes are started elsewhere at all."""
        return self.after_ms > 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Nodes to fail over now, and, if there are dead ones that may not be, why not."""

    nodes: tuple[RuntimeNode, ...] = ()
    held_back: str | None = None


def dead(node: RuntimeNode, rules: FailoverRules, policy: NodePolicy, listening_since: int, now: int) -> bool:
    """Whether the node, which once was heard of, has been silent for too long while somebody listened."""
    if node.last_heartbeat_at is None or fresh(node, policy, now):
        return False
    return now - max(node.last_heartbeat_at, listening_since) > rules.after_ms


def verdict(
    nodes: Sequence[RuntimeNode],
    planned: Collection[int],
    failing_over: int,
    rules: FailoverRules,
    policy: NodePolicy,
    listening_since: int,
    now: int,
) -> Verdict:
    """Whose apps are to be started elsewhere. `planned` are nodes with a live plan or nothing to move, `failing_over`
    says how many failovers run already."""
    known = [node for node in nodes if node.last_heartbeat_at is not None]
    silent = [node for node in known if not fresh(node, policy, now)]
    due = [node for node in silent if dead(node, rules, policy, listening_since, now) and node.id not in planned]
    if not due:
        return Verdict()
    heard = len(known) - len(silent)
    if len(silent) > heard:
        why = f"{len(silent)} of {len(known)} nodes are silent, which looks like a network that failed, not dead nodes"
        return Verdict(held_back=why)
    room = max(0, rules.most - failing_over)
    held_back = f"{failing_over} failovers run, and no more are allowed at once" if len(due) > room else None
    return Verdict(tuple(due[:room]), held_back)
