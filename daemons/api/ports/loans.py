"""Who lets lent keys in, and a record of what was lent."""

from collections.abc import Sequence
from typing import Protocol

from daemons.api.domain.loans import Loan


class LentKeys(Protocol):
    """A git server, as far as it lets in keys that write to one repository for a while. Every call may be repeated and
    raises RepositoryTrouble; of one that did, or that was cut short, nobody knows whether it was done."""

    async def admit(self, loan: Loan, public_key: str) -> None:
        """The key opens its repository and no other. Where the server knows of times, until the loan's time is over;
        elsewhere the key is called by it."""
        ...

    async def expel(self, loan: Loan) -> None:
        """The key opens its repository no more, whether it did or not."""
        ...

    async def sweep(self, repositories: Sequence[str], now: int) -> int:
        """Keys of these repositories that were lent until a moment that is over (`now` in epoch milliseconds) are gone,
        by their own word and without a record; how many there were. Keys that were not lent stay."""
        ...


class LoanStore(Protocol):
    """Table `fun_ai_git_loan`."""

    async def begin(self, loan: Loan, seconds: float, arriving_ms: int) -> Loan:
        """Write it down with its times: so long it lasts, and for `arriving_ms` it may be about to begin. Raises
        NotFound when the app is gone, TooManyLoans, LoanExists."""
        ...

    async def begun(self, fingerprint: str) -> bool:
        """The key is let in, and the loan goes on: whether it does. One that ended meanwhile is due at once."""
        ...

    async def take(self, fingerprint: str, node: str | None, hold_ms: int) -> Loan | None:
        """The loan is over from now on, and held for so long by who asks; of a `node`, only if it was lent to that.
        None: there is none."""
        ...

    async def of_app(self, user_id: int, app_id: int, node: str) -> Sequence[str]:
        """Fingerprints of what was lent to the node for the app."""
        ...

    async def claim(self, hold_ms: int) -> Loan | None:
        """One whose end is due; nobody else gets it for so long. From now on it is over."""
        ...

    async def save(self, claimed: Loan, after: Loan | None) -> bool:
        """Write down how an attempt ended (None: nothing is left), unless somebody else claimed it meanwhile: whether
        it was."""
        ...

    async def apps(self, beyond: int, most: int) -> Sequence[tuple[int, int]]:
        """So many apps with ids greater than that, by id: user and app."""
        ...

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        ...
