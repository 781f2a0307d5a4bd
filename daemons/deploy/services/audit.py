"""Looking back at the event log. A page reads a bounded range of it, however rare what is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.events import Event, Search
from daemons.deploy.ports import Store, Transaction

NEWEST: Final = 2**62
_RANGE: Final = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """Events, newest first; what is older has numbers below `cursor`, and there is nothing older when it is None."""

    items: Sequence[Event]
    cursor: int | None


class Audit:
    """Reads the log backwards."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, wanted: Search, before: int, limit: int) -> Found:
        """The newest `limit` of the wanted events with a number below `before`, as far as one range holds them."""

        async def work(tx: Transaction) -> Found:
            newest = await tx.event_before(before)
            if newest is None or newest.at < wanted.since:
                return Found((), None)
            low = newest.seq - _RANGE + 1
            items = await tx.events_before(newest.seq + 1, low, limit, wanted)
            if len(items) == limit:
                return Found(items, items[-1].seq)
            older = await tx.event_before(low)
            return Found(items, low if older is not None and older.at >= wanted.since else None)

        return await self._store.transact(work)
