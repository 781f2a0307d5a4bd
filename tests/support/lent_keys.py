"""A git server's lent keys in memory, for tests of what stands on them: the same contract suite runs against all."""

import asyncio
from collections.abc import Sequence

from daemons.api.domain.loans import Loan
from daemons.api.ports.repositories import RepositoryTrouble


class MemoryKeys:
    """Holds until when each key of a repository is let in; while `failing`, nothing is done. `still` stands in the
    middle of a call: of one that was not done yet ("before"), or of one that was ("after")."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], int] = {}
        self.failing = 0
        #: How often somebody looked for a key to take it back.
        self.looks = 0
        self.still: str | None = None
        self.entered = asyncio.Event()

    async def admit(self, loan: Loan, public_key: str) -> None:
        """Remembered."""
        self._fail()
        await self._stand("before")
        self.keys[loan.repository, loan.fingerprint] = loan.expires_at
        await self._stand("after")

    async def expel(self, loan: Loan) -> None:
        """Forgotten."""
        self._fail()
        self.looks += 1
        self.keys.pop((loan.repository, loan.fingerprint), None)

    async def sweep(self, repositories: Sequence[str], now: int) -> int:
        """Forgotten."""
        self._fail()
        over = [key for key, until in self.keys.items() if key[0] in repositories and until <= now]
        for key in over:
            del self.keys[key]
        return len(over)

    async def _stand(self, place: str) -> None:
        if self.still == place:
            self.entered.set()
            await asyncio.Event().wait()

    def _fail(self) -> None:
        if self.failing:
            self.failing -= 1
            raise RepositoryTrouble("the git server is away")
