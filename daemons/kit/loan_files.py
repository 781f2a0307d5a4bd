"""The folder of keys that are lent by the git server of ours: a file each, as whoever lends them writes it.

The git server remembers nothing of the folder and looks at it for every question.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from protocol.api import GitAccess, GitGrant, GitLoan, loan_file

#: A file that is no loan may be another process's draft; an hour later it is nobody's.
_DRAFT_SECONDS: Final = 3600.0


def writing_loan(user_id: str, app_id: str, repository: str, key: tuple[str, str], expires_at_ms: int) -> GitLoan:
    """A loan for an app of a key, its fingerprint and its public half, that writes to one repository."""
    fingerprint, public_key = key
    return GitLoan(
        principal=principal(user_id, app_id),
        fingerprint=fingerprint,
        public_key=public_key,
        grants=(GitGrant(repository=repository, access=GitAccess.WRITE),),
        expires_at_ms=expires_at_ms,
    )


def principal(user_id: str, app_id: str) -> str:
    """Whom keys of an app are lent to."""
    return f"workspace:{user_id}/{app_id}"


class LoanFiles:
    """The folder. Every method blocks and raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, loan: GitLoan) -> None:
        """Whole or not at all: the server may look at any moment."""
        self._make()
        path = self._path(loan.fingerprint)
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(loan.to_json())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def remove(self, fingerprint: str) -> None:
        """Whether it was there or not."""
        self._path(fingerprint).unlink(missing_ok=True)

    def remove_of(self, whom: str) -> int:
        """All that were lent to somebody; how many there were."""
        return self._removed(lambda path: (loan := _read(path)) is not None and loan.principal == whom)

    def sweep(self, now_ms: int) -> int:
        """All whose time is over, and what is no loan and older than an hour; how many there were."""
        self._make()
        return self._removed(lambda path: _is_over(path, now_ms))

    def _removed(self, chosen: Callable[[Path], bool]) -> int:
        found = [path for path in self._every() if chosen(path)]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _every(self) -> Iterator[Path]:
        return self._folder.iterdir() if self._folder.exists() else iter(())

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, fingerprint: str) -> Path:
        return self._folder / loan_file(fingerprint)


def _read(path: Path) -> GitLoan | None:
    try:
        return GitLoan.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _is_over(path: Path, now_ms: int) -> bool:
    try:
        return GitLoan.model_validate_json(path.read_bytes()).expires_at_ms <= now_ms
    except FileNotFoundError:
        return False
    except ValidationError:
        return (path.lstat().st_mtime + _DRAFT_SECONDS) * 1000 < now_ms
