"""Lends keys to workspace nodes, each for one repository and a short time, and takes them back.

Who asks is a node, by a token of its own; what it gets is for an app of a user who lives there. A loan is a row before
the git server hears of its key, and stays one until the key is gone for certain: whoever dies in between, the next
process that looks takes it back.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.api.domain.access import Subject, number_of
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.keys import PublicKey
from daemons.api.domain.loans import Loan, LoanEnded, attempted
from daemons.api.ports.loans import LentKeys, LoanStore
from daemons.api.ports.repositories import RepositoryTrouble
from daemons.api.ports.workspaces import WorkspaceStore
from daemons.api.services.ownership import Ownership
from daemons.api.services.turns import Turns

logger = logging.getLogger(__name__)

_ADMIT_SECONDS: Final = 12.0
_EXPEL_SECONDS: Final = 30.0
#: Longer than an attempt lasts.
_HOLD_MS: Final = 45_000
#: Longer than letting a key in lasts, and what it left on its way.
_ARRIVING_MS: Final = 60_000
_SWEPT_AT_ONCE: Final = 50


class NotLent(Exception):
    """No key can be lent now; the message says what an operator does about it."""


class NotTakenBack(Exception):
    """The key may open its repository for a while still; it is taken back as soon as that can be done."""


class LoanRefused(Exception):
    """This node gets no key for this app."""


@dataclass(frozen=True, slots=True)
class Lenders:
    """Who has a say in loans; without `keys` none are lent."""

    keys: LentKeys | None
    ownership: Ownership
    workspaces: WorkspaceStore
    hosting: Hosting


class Loans:
    """The use cases; `node` is the name of the node whose token the caller has, empty if it has the shared one."""

    def __init__(
        self, store: LoanStore, lenders: Lenders, *, hold_ms: int = _HOLD_MS, arriving_ms: int = _ARRIVING_MS
    ) -> None:
        """`hold_ms` is for how long whoever dies keeps others from a loan, `arriving_ms` for how long an order to let a
        key in may still arrive."""
        self._store = store
        self._lenders = lenders
        self._arriving_ms = arriving_ms
        self._hold_ms = hold_ms
        self._swept = 0
        self._turns: Turns[Loan] = Turns("loan", lambda: store.claim(hold_ms), self._end_in_turn)

    async def lend(self, node: str, user_id: str, app_id: str, key: PublicKey, seconds: float) -> Loan:
        """The key writes to the app's repository for so long. Raises LoanRefused, NotFound, TooManyLoans, LoanExists,
        LoanEnded, NotLent."""
        keys = self._keys()
        loan = await self._checked(node, user_id, app_id, key)
        begun = await self._store.begin(loan, seconds, self._arriving_ms)
        try:
            async with asyncio.timeout(_ADMIT_SECONDS):
                await keys.admit(begun, key.text)
        except (RepositoryTrouble, TimeoutError) as error:
            # Nobody knows whether the key was let in.
            await self._store.take(begun.fingerprint, None, 0)
            self._turns.ask()
            raise NotLent(str(error) or f"the git server did not answer within {_ADMIT_SECONDS:g} s") from error
        if not await self._store.begun(begun.fingerprint):
            self._turns.ask()
            raise LoanEnded(f"the loan for app {app_id} ended while it began; ask again if the app is still there")
        return begun

    async def give_back(self, node: str, fingerprint: str) -> int:
        """The key opens nothing any more; how many there were. Raises NotTakenBack."""
        return await self._ended([fingerprint], node)

    async def give_back_all(self, node: str, user_id: str, app_id: str) -> int:
        """None of the app's keys that the node was lent opens anything any more; how many there were. Raises
        NotTakenBack."""
        number = number_of(app_id)
        if number is None:
            return 0
        return await self._ended(await self._store.of_app(int(user_id), number, node), node)

    async def run(self) -> None:
        """Take back what is over, here or by a process that is gone."""
        await self._turns.run()

    async def sweep(self) -> None:
        """A key that nobody has a record of is gone once its time is over: some apps' repositories are looked through,
        with each call the next ones. Raises RepositoryTrouble."""
        if self._lenders.keys is None:
            return
        found = await self._store.apps(self._swept, _SWEPT_AT_ONCE)
        self._swept = found[-1][1] if found else 0
        names = [self._lenders.hosting.repository(*each) for each in found]
        if names and (gone := await self._lenders.keys.sweep(names, await self._store.now())):
            logger.warning("keys_without_a_record_were_taken_back", extra={"keys": gone, "repositories": len(names)})

    def _keys(self) -> LentKeys:
        if self._lenders.keys is None:
            raise NotLent(
                "this API lends no keys; operators: set GIT_LOANS_DIR or GITEA_ENABLED, and what goes with it"
            )
        return self._lenders.keys

    async def _checked(self, node: str, user_id: str, app_id: str, key: PublicKey) -> Loan:
        """What may be lent, its times left out. Raises LoanRefused, NotFound."""
        if not node:
            raise LoanRefused(
                "keys are lent to nodes with tokens of their own only, because the shared one does not say who asks; "
                "operators: FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS of the API"
            )
        subject = Subject(int(user_id))
        app = await self._lenders.ownership.app(subject, app_id)
        found = await self._lenders.workspaces.look(subject.user_id)
        if found is None or found[1].name != node:
            raise LoanRefused(f"the workspace of user {user_id} is not on {node}")
        repository = self._lenders.hosting.repository(subject.user_id, app.id)
        return Loan(key.fingerprint, subject.user_id, app.id, node, repository, 0, 0, 0)

    async def _ended(self, fingerprints: Sequence[str], node: str) -> int:
        taken = [await self._store.take(each, node, self._hold_ms) for each in fingerprints]
        loans = [loan for loan in taken if loan is not None]
        problems = [problem for loan in loans if (problem := await self._end(loan)) is not None]
        if problems:
            raise NotTakenBack(f"{problems[0]}; it is tried again until it is done")
        return len(loans)

    async def _end_in_turn(self, loan: Loan) -> None:
        await self._end(loan)

    async def _end(self, loan: Loan) -> str | None:
        """Try to take back what this process holds; what is in the way, if something is."""
        began, problem = await self._store.now(), None
        try:
            async with asyncio.timeout(_EXPEL_SECONDS):
                await self._keys().expel(loan)
        except (RepositoryTrouble, NotLent) as error:
            problem = str(error)
        except TimeoutError:
            problem = f"the git server did not answer within {_EXPEL_SECONDS:g} s"
        after = attempted(loan, problem, began, await self._store.now())
        if await self._store.save(loan, after) and problem is not None:
            told = {"app_id": loan.app_id, "node": loan.node, "repository": loan.repository}
            logger.warning("a_lent_key_is_not_taken_back", extra={**told, "problem": problem})
        return problem
