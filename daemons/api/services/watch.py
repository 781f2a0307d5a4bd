"""What goes on for long goes on only as long as its caller may: terminals, event streams, downloads.

A door looks once. Whoever holds something open is looked up again every few seconds, by whichever process of the API
they are at: all of them ask the same tables. Calls that end between two looks cost nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from daemons.api.domain.access import Proof
from daemons.kit.sql import DatabaseUnavailable

logger = logging.getLogger(__name__)


class Rights(Protocol):
    """Who may still do what they were let in for."""

    async def last(self, proof: Proof) -> bool:
        """Whether the door would open again. Raises DatabaseUnavailable."""
        ...


@dataclass(eq=False, slots=True)
class Held:
    """A request that is being answered; `end` breaks it off."""

    proof: Proof
    end: Callable[[], None]
    seen: bool = field(default=False, init=False)


class Watch:
    """Looks every `seconds`. While the database does not answer everything goes on, for as long as an access token is
    good (`patience` seconds): nobody is cut off by a restart of the database, nor goes on for ever without one."""

    def __init__(self, rights: Rights, seconds: float, patience: float) -> None:
        self._rights = rights
        self._seconds = seconds
        self._patience = patience
        self._held: dict[Proof, set[Held]] = defaultdict(set)
        self._confirmed: dict[Proof, float] = {}

    @contextmanager
    def over(self, held: Held) -> Iterator[None]:
        """`held.end` is called when the right to it is over."""
        of_proof = self._held[held.proof]
        of_proof.add(held)
        try:
            yield
        finally:
            of_proof.discard(held)
            if not of_proof:
                del self._held[held.proof]
                self._confirmed.pop(held.proof, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.look()

    async def look(self) -> None:
        """Once at everybody who holds something since the look before."""
        now, asks = asyncio.get_running_loop().time(), True
        for proof, of_proof in list(self._held.items()):
            older = [held for held in of_proof if held.seen]
            for held in of_proof:
                held.seen = True
            if not older:
                continue
            try:
                lasts = await self._rights.last(proof) if asks else None
            except DatabaseUnavailable:
                # Who comes next would wait for the same database.
                lasts, asks = None, False
            if lasts:
                self._confirmed[proof] = now
            elif lasts is False or now - self._confirmed.setdefault(proof, now) > self._patience:
                # Whose request has ended meanwhile may have left the connection to somebody else's.
                self._end(proof, [held for held in older if held in of_proof], known=lasts is not None)

    def _end(self, proof: Proof, older: list[Held], *, known: bool) -> None:
        why = "the right to it is over" if known else "nobody could say for too long whether the right to it lasts"
        said = {"user_id": proof.user_id, "lines": len(older), "reason": why}
        logger.info("what somebody held open is ended", extra=said)
        for held in older:
            held.end()
