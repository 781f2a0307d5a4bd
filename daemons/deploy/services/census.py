"""How many apps live on each node, kept up to date without counting all of them every second.

Every change of a placement is in the event log with the node before and after, whichever replica made it. So only the
nodes that the log has named since are counted anew, and now and then all of them.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from daemons.deploy.domain.events import Event
from daemons.deploy.ports import PlacementRows

_ALL_AGAIN_SECONDS: Final = 60.0


class Census:
    """The counts as one process knows them; exact as of the last event it was told of."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._stirred: set[int] = set()
        self._all_again_at = 0.0

    def heard(self, events: Iterable[Event]) -> None:
        """Events of the log, each of them once."""
        for event in events:
            if event.kind == "placement":
                self._stirred.update(_nodes_of(event.body))
                self._stirred.update(_nodes_of(event.before))

    async def counts(self, tx: PlacementRows) -> Mapping[int, int]:
        """How many apps live on each node that has any."""
        moment, stirred = asyncio.get_running_loop().time(), frozenset(self._stirred)
        if moment >= self._all_again_at:
            self._counts = dict(await tx.count_placements())
            self._all_again_at = moment + _ALL_AGAIN_SECONDS
        else:
            found = await tx.count_placements_on(stirred)
            self._counts |= {node_id: found.get(node_id, 0) for node_id in stirred}
        self._stirred -= stirred
        return self._counts


def _nodes_of(body: str | None) -> Iterable[int]:
    placement = orjson.loads(body) if body else None
    return (placement["nodeId"],) if placement else ()
