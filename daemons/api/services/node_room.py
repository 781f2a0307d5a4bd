"""Room for runs on workspace nodes: asked for before each that begins.

A node that does not say how busy it is gets no run: the run would go to the same silent node, and what keeps it from
answering may be that it is overloaded. One that does not know the question is an older one and gets its runs.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemons.api.domain.capacity import Busy, admit
from daemons.api.domain.workspaces import Placement, WorkspaceNode
from daemons.api.ports.workspaces import BusyNodes, CallRefused

logger = logging.getLogger(__name__)


class NodeRoom:
    """Between several processes of the API more may begin in one moment than there is room for: at most as many as
    are being started in the other processes just then."""

    def __init__(self, nodes: BusyNodes, most: int | None) -> None:
        """`most` runs on a node; None: as many as come, and no node is asked."""
        self._nodes = nodes
        self._most = most
        #: Of each node the users whose runs are being started (None), or were until a moment of the loop's clock.
        self._starting: dict[int, dict[int, float | None]] = defaultdict(dict)

    @asynccontextmanager
    async def taken(self, placement: Placement, node: WorkspaceNode) -> AsyncIterator[None]:
        """Room for a run of the user's while it is being started. Raises NodeFull, NodeUnreachable, NotTheNode."""
        if self._most is None:
            yield
            return
        loop = asyncio.get_running_loop()
        asked_at, busy = loop.time(), await self._asked(placement, node)
        starting, user_id = self._starting[node.id], placement.user_id
        if busy is not None:
            # A run that was started after the node was asked is not in its count, whether or not it stands by now.
            others = [until is None or until >= asked_at for user, until in starting.items() if user != user_id]
            admit(node.name, busy, sum(others), self._most)
        starting[user_id] = None
        try:
            yield
        finally:
            ended = starting[user_id] = loop.time()
            self._forget(node.id, ended - self._nodes.patience)

    async def _asked(self, placement: Placement, node: WorkspaceNode) -> Busy | None:
        try:
            return await self._nodes.busy(placement, node)
        except CallRefused as error:
            said = {"node": node.name, "status": error.status, "error": str(error)}
            logger.warning("a workspace node does not say how busy it is, and gets its runs", extra=said)
            return None

    def _forget(self, node_id: int, before: float) -> None:
        """No question is under way that was asked before."""
        starting = self._starting[node_id]
        for user in [user for user, until in starting.items() if until is not None and until < before]:
            del starting[user]
