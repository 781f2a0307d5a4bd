"""Makes plans for nodes that have died, if operators want that; `DrainSteps` carries them out like any other."""

import logging
from typing import Final

from daemons.deploy.domain.capacity import DoesNotFit
from daemons.deploy.domain.drains import DrainLive
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.failover import FailoverRules, Verdict, dead, verdict
from daemons.deploy.domain.nodes import NodeNotFound, NodePolicy, RuntimeNode
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.drains import Drains
from protocol.drains import DrainKind, StartDrain

#: A pause of the listener longer than this may have cost heartbeats: silence counts anew.
_DEAF_MS: Final = 15_000
#: What could not be moved is tried again after this long.
_AGAIN_MS: Final = 300_000
_ACTOR: Final = Actor("failover")

logger = logging.getLogger(__name__)


class Failover:
    """`step` is the loop's body; what it remembers is only since when it listens."""

    def __init__(self, store: Store, drains: Drains, rules: FailoverRules, policy: NodePolicy) -> None:
        self._store = store
        self._drains = drains
        self._rules = rules
        self._policy = policy
        self._since: int | None = None
        self._last = 0
        self._said: str | None = None
        self._refused: dict[str, str] = {}

    async def step(self) -> None:
        """Make a plan for every node that died."""
        if not self._rules.on:
            return
        found = await self._store.transact(self._judge)
        if found.held_back != self._said and found.held_back is not None:
            logger.warning("dead nodes are not failed over", extra={"why": found.held_back})
        self._said = found.held_back
        for node in found.nodes:
            await self._start(node.name)

    async def _judge(self, tx: Transaction) -> Verdict:
        now = await tx.now()
        if self._since is None or now - self._last > _DEAF_MS:
            self._since = now
        self._last = now
        live = await tx.live_drains()
        nodes, planned = await tx.nodes(), {drain.node_id for drain in live}
        for node in nodes:
            if node.id not in planned and not await self._open(tx, node, now):
                planned.add(node.id)
        running = sum(drain.kind is DrainKind.FAILOVER for drain in live)
        return verdict(nodes, planned, running, self._rules, self._policy, self._since, now)

    async def _open(self, tx: Transaction, node: RuntimeNode, now: int) -> bool:
        """Whether there is something to move that was not tried just now."""
        if not dead(node, self._rules, self._policy, self._since or now, now) or not await tx.apps_on(node.id, 1):
            return False
        last = await tx.newest_drain_of(node.id)
        return last is None or last.finished_at is None or now - last.finished_at > _AGAIN_MS

    async def _start(self, node: str) -> None:
        """Whatever fits is moved; the plan says what is not."""
        try:
            made = await self._drains.start(StartDrain(node=node, partial=True), _ACTOR, DrainKind.FAILOVER)
        except (DrainLive, NodeNotFound, DoesNotFit) as error:
            if self._refused.get(node) != str(error):
                logger.warning("a dead node was not failed over", extra={"node": node, "why": str(error)})
            self._refused[node] = str(error)
            return
        self._refused.pop(node, None)
        logger.warning("a dead node is failed over", extra={"node": node, "drain": made.id, "how_far": made.summary})
