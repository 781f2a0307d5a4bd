"""Heartbeats of runtime nodes, written in groups.

What is news goes through at once, in a transaction of its own with its event: a node that was not known, that has moved
or was silent, or that may take apps again. Everything else only refreshes figures, and a thousand nodes send a hundred
of those a second: they are collected and written about once a second, with one look at the rows, under locks, and one
statement for all of them. What turns out to be news there (an operator, another replica or a deletion came between)
goes through alone, like any other.

The answer goes out after the commit, so what an agent was told is written; it waits for up to a second, and the first
after a quiet second for nothing. A row therefore shows a node as it was up to a second and a commit ago: by so much
earlier a node that falls silent may count as silent, out of 45 seconds or 2.5 of its intervals. Its time is that of the
heartbeat's arrival, never of the write: figures that were taken before an app was deployed must not pass for figures
that show it, and a silent node gains nothing by the delay. A heartbeat that another one has overtaken changes nothing.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import nodes
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import NodeDeleted, NodeNotFound, NodePolicy, RuntimeNode
from daemons.deploy.domain.placement import is_news, takes_more
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import NodeChange, tell_of_node
from daemons.kit.batches import Batches, Done, Failed
from protocol.nodes import NodeHeartbeat

#: Seconds between two groups.
APART_SECONDS: Final = 1.0
_MOST: Final = 500
_FORGOTTEN_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Beat:
    """A heartbeat, and when it arrived on the event loop's clock."""

    body: NodeHeartbeat
    address: str | None
    arrived: float

    def at(self, now: int, moment: float) -> int:
        """When it arrived in epoch ms, rounded down; `now` is what the database's clock said just before `moment`."""
        return now - math.ceil((moment - self.arrived) * 1000)


class Heartbeats:
    """The heartbeats that this process takes."""

    def __init__(self, store: Store, bells: Bells, policy: NodePolicy, apart: float = APART_SECONDS) -> None:
        self._store = store
        self._bells = bells
        self._policy = policy
        self._batches = Batches[_Beat, RuntimeNode](self._together, most=_MOST, apart=apart)
        #: Nodes as they were written here, and when the heartbeat arrived: only a hint of what is news.
        self._known: dict[str, tuple[RuntimeNode, float]] = {}

    async def hear(self, body: NodeHeartbeat, address: str | None = None) -> RuntimeNode:
        """Register the node or refresh its figures. Raises NodeDeleted for one that an operator deleted."""
        beat = _Beat(body, address, asyncio.get_running_loop().time())
        node = await (self._alone(beat) if self._looks_new(beat) else self._batches.do(beat))
        self._known[body.node_name] = (node, beat.arrived)
        return node

    def _looks_new(self, beat: _Beat) -> bool:
        known = self._known.get(beat.body.node_name)
        if known is None or known[0].last_heartbeat_at is None:
            return True
        node, heard = known
        about = known[0].last_heartbeat_at + int((beat.arrived - heard) * 1000)
        return is_news(node, beat.body, self._policy, about)

    async def _together(self, beats: Sequence[_Beat]) -> Sequence[Done[RuntimeNode] | Failed]:
        async def work(tx: Transaction) -> Sequence[RuntimeNode | None]:
            rows = dict(await tx.nodes_named({beat.body.node_name for beat in beats}))
            now, moment = await tx.now(), asyncio.get_running_loop().time()
            after = [self._refreshed(rows, beat, beat.at(now, moment), now) for beat in beats]
            await tx.write_beats([rows[node.name] for node in {each.id: each for each in after if each}.values()])
            return after

        written = await self._store.transact(work)
        self._forget_the_silent()
        return [
            await self._tried_alone(beat) if node is None else Done(node)
            for beat, node in zip(beats, written, strict=True)
        ]

    def _refreshed(self, rows: dict[str, RuntimeNode], beat: _Beat, at: int, now: int) -> RuntimeNode | None:
        """The node with the heartbeat's figures, also among the rows; None when the heartbeat is news."""
        before = rows.get(beat.body.node_name)
        if before is None or nodes.overtaken(before, at, now):
            return before
        if is_news(before, beat.body, self._policy, at):
            return None
        rows[before.name] = nodes.heard(before, beat.body, at)
        return rows[before.name]

    async def _tried_alone(self, beat: _Beat) -> Done[RuntimeNode] | Failed:
        try:
            return Done(await self._alone(beat))
        except Exception as error:  # noqa: BLE001 - it is the outcome of this heartbeat alone
            return Failed(error)

    async def _alone(self, beat: _Beat) -> RuntimeNode:
        name, actor = beat.body.node_name, Actor(f"node:{beat.body.node_name}", beat.address)

        async def work(tx: Transaction) -> tuple[RuntimeNode, bool]:
            before, now = await tx.node_named(name, lock=True), await tx.now()
            at = beat.at(now, asyncio.get_running_loop().time())
            if before is None:
                if await tx.tombstone(name) is not None:
                    raise NodeDeleted(name)
                inserted = await tx.insert_node(nodes.registered(beat.body, at))
                if inserted is not None:
                    await tell(tx, NodeChange("registered", inserted, None), self._policy, actor)
                    return inserted, True
                before = await named(tx, name)
            if nodes.overtaken(before, at, now):
                return before, False
            after = nodes.heard(before, beat.body, at)
            await tx.save_node(after)
            happened = nodes.happenings(before, beat.body)
            for change in happened:
                await tell(tx, NodeChange(change, after, before), self._policy, actor)
            return after, bool(happened) or takes_more(before, after, self._policy, now)

        node, news = await self._store.transact(work)
        if news:
            self._bells.changed()
        return node

    def _forget_the_silent(self) -> None:
        since = asyncio.get_running_loop().time() - _FORGOTTEN_SECONDS
        if any(heard < since for _, heard in self._known.values()):
            self._known = _heard_after(self._known, since)


async def tell(tx: Transaction, change: NodeChange, policy: NodePolicy, actor: Actor) -> None:
    """Append the event of a node whose row was written in this transaction."""
    placements = (await tx.count_placements_on({change.node.id})).get(change.node.id, 0)
    await tell_of_node(tx, change, policy, await tx.now(), actor, placements)


async def named(tx: Transaction, name: str) -> RuntimeNode:
    """The node of this name, locked. Raises NodeNotFound."""
    node = await tx.node_named(name, lock=True)
    if node is None:
        raise NodeNotFound(name)
    return node


def _heard_after(known: Mapping[str, tuple[RuntimeNode, float]], since: float) -> dict[str, tuple[RuntimeNode, float]]:
    return {name: (node, heard) for name, (node, heard) in known.items() if heard >= since}
