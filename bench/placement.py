"""How fast one process decides where new apps go, and how evenly a burst spreads.

10,000 apps over 1,000 nodes, decided in batches of 16 with a new look at all nodes for each batch; and 1,000 apps over
ten equal nodes that report in the middle of the burst, of which every second one is deployed at once.
"""

import time
from collections import Counter
from dataclasses import replace

from bench.figures import Figure, show
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.domain.placement import Board, choose

APPS, NODES, BATCH = 10_000, 1_000, 16
DECISIONS_PER_SECOND = 5_000.0
ABOVE_SHARE_PCT = 15.0
NOW = 1_000_000
GIB = 1024**3
POLICY = NodePolicy()


def node(number: int, **changes: object) -> RuntimeNode:
    """A node with room; no two are quite alike."""
    free, total = (400 + number % 97) * GIB, 1000 * GIB
    made = RuntimeNode(
        number,
        f"n{number}",
        "http://10.0.0.1:7005",
        "http://10.0.0.1:8088",
        weight=50 + number % 5 * 50,
        last_heartbeat_at=NOW,
        disk_free_pct=100 * free / total,
        disk_free_bytes=free,
        disk_total_bytes=total,
        inodes_free_pct=80.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def decisions_per_second(batch: int) -> float:
    """Decisions per second of this process when one board serves `batch` of them."""
    nodes, unseen = [node(number) for number in range(1, NODES + 1)], Counter[int]()
    started = time.perf_counter()
    for first in range(0, APPS, batch):
        board = Board(nodes, unseen, POLICY, NOW)
        for number in range(first, min(first + batch, APPS)):
            unseen[board.decide(f"app-{number}").node.id] += 1
    return APPS / (time.perf_counter() - started)


def above_share_pct() -> float:
    """By how many percent the fullest node of a burst is above its share."""
    size, apps, got, unseen = 500 * GIB, 1000, Counter[int](), Counter[int]()
    room = {"disk_free_bytes": size, "disk_total_bytes": size, "disk_free_pct": 100.0, "weight": 100}
    nodes = {number: node(number, **room) for number in range(1, 11)}
    for number in range(apps):
        if number % 100 == 50:
            beating = 1 + number // 100
            shown = got[beating] // 2
            nodes[beating] = replace(nodes[beating], disk_free_bytes=size - shown * size // 100)
            unseen[beating] = got[beating] - shown
        home = choose(f"app-{number}", list(nodes.values()), unseen, POLICY, NOW).id
        got[home] += 1
        unseen[home] += 1
    share = apps / len(nodes)
    return 100 * (max(got.values()) - share) / share


def main() -> int:
    """Measure and print; exit code 0 if both limits held."""
    each, many = decisions_per_second(BATCH), decisions_per_second(1000)
    return show(
        f"placement of {APPS} apps over {NODES} nodes, and of a burst over ten",
        [
            Figure(f"time of a decision, batches of {BATCH}", 1e6 / each, "µs", "limit", 1e6 / DECISIONS_PER_SECOND, 1),
            Figure("time of a decision, batches of 1000", 1e6 / many, "µs", "limit", 1e6 / DECISIONS_PER_SECOND, 1),
            Figure("fullest node above its share", above_share_pct(), "%", "limit", ABOVE_SHARE_PCT, 1),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())
