"""Keys that are lent are files in a folder that the git server of ours looks into for every question."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from daemons.api.domain.loans import Loan
from daemons.api.ports.repositories import RepositoryTrouble
from daemons.kit.loan_files import LoanFiles, writing_loan


class FolderLoans:
    """The port `LentKeys`."""

    def __init__(self, folder: Path) -> None:
        self._files = LoanFiles(folder)

    async def admit(self, loan: Loan, public_key: str) -> None:
        """Raises RepositoryTrouble."""
        key, app = (loan.fingerprint, public_key), (str(loan.user_id), str(loan.app_id))
        written = writing_loan(*app, loan.repository, key, loan.expires_at)
        try:
            await asyncio.to_thread(self._files.write, written)
        except OSError as error:
            raise _trouble(error) from error

    async def expel(self, loan: Loan) -> None:
        """Raises RepositoryTrouble."""
        try:
            await asyncio.to_thread(self._files.remove, loan.fingerprint)
        except OSError as error:
            raise _trouble(error) from error

    async def sweep(self, repositories: Sequence[str], now: int) -> int:
        """Of all repositories: the folder has them together. Raises RepositoryTrouble."""
        try:
            return await asyncio.to_thread(self._files.sweep, now)
        except OSError as error:
            raise _trouble(error) from error


def _trouble(error: OSError) -> RepositoryTrouble:
    return RepositoryTrouble(f"the folder of loans cannot be used; operators: GIT_LOANS_DIR ({error.strerror})")
