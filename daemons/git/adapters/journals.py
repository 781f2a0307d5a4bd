"""What was told of pushes, a file for each repository, replaced whole and durably."""

import asyncio
import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.git.domain.pushes import Journal, Push
from daemons.kit.durable import replace_file
from protocol.base import Wire

logger = logging.getLogger(__name__)

_PRIVATE: Final = 0o600


class _Push(Wire):
    id: str
    branch: str
    before: str
    after: str


class _Journal(Wire):
    repository: str
    branches: dict[str, str]
    pushes: tuple[_Push, ...] = ()


class FolderJournals:
    """The port `PushJournals`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def every(self) -> Sequence[str]:
        """Raises OSError."""
        places = await asyncio.to_thread(lambda: sorted(self._folder.glob("[!.]*.json")))
        found = [await asyncio.to_thread(_read, place) for place in places]
        return [document.repository for document in found if document is not None]

    async def load(self, repository: str) -> Journal | None:
        """Raises OSError."""
        found = await asyncio.to_thread(_read, self._place(repository))
        if found is None:
            return None
        pushes = tuple(Push(push.id, push.branch, push.before, push.after) for push in found.pushes)
        return Journal(found.branches, pushes)

    async def save(self, repository: str, journal: Journal) -> None:
        """Raises OSError."""
        await asyncio.to_thread(_write, self._place(repository), repository, journal)

    async def forget(self, repository: str) -> None:
        """Raises OSError."""
        await asyncio.to_thread(self._place(repository).unlink, missing_ok=True)

    def _place(self, repository: str) -> Path:
        return self._folder / f"{sha256(repository.encode()).hexdigest()}.json"


def _write(place: Path, repository: str, journal: Journal) -> None:
    pushes = tuple(_Push(id=it.id, branch=it.branch, before=it.before, after=it.after) for it in journal.pushes)
    document = _Journal(repository=repository, branches=dict(journal.branches), pushes=pushes)
    replace_file(place, document.to_json(), _PRIVATE)


def _read(place: Path) -> _Journal | None:
    try:
        return _Journal.model_validate_json(place.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        logger.error("push_journal_broken", extra={"path": str(place)})  # noqa: TRY400 - its content stays out of the log
        return None
