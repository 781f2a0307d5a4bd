"""Keys that are lent for minutes: one file each, looked at again for every question.

Nothing is remembered, so a key that was taken back, or whose time is over, opens nothing from the next question on.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.git.adapters.access_file import holder_of
from daemons.git.domain.access import Holder
from daemons.git.ports import AccessBook
from daemons.kit.clock import Clock
from protocol.api import GitLoan, loan_file

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 1024


class LoanFolder:
    """The folder of loans as a lookup table."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def holder(self, fingerprint: str) -> Holder | None:
        """Whoever was lent the key, while its time lasts. A file that cannot be read or understood lends nothing."""
        path = self._folder / loan_file(fingerprint)
        try:
            content = await asyncio.to_thread(_content, path)
            loan = GitLoan.model_validate_json(content)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            logger.warning("a lent key cannot be read", extra={"path": str(path), "kind": type(error).__name__})
            return None
        now_ms = int(self._clock.now().timestamp() * 1000)
        return holder_of(loan) if loan.fingerprint == fingerprint and now_ms < loan.expires_at_ms else None


class Books:
    """Several books as one: the first that knows the key says what it opens."""

    def __init__(self, *books: AccessBook) -> None:
        self._books = books

    async def holder(self, fingerprint: str) -> Holder | None:
        """Whoever holds the key."""
        for book in self._books:
            found = await book.holder(fingerprint)
            if found is not None:
                return found
        return None


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST_BYTES)
