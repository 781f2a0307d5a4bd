"""What of the changes of files is told to those who watch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from daemons.workspace.domain.paths import Parts

#: More at once are not told one by one: a reader loads its tree anew.
MOST_CHANGES: Final = 500


class Change(StrEnum):
    """What became of a path."""

    CREATED = "CREATED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class PathChange:
    """One path and what became of it."""

    path: Parts
    change: Change


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that were seen together; `reload` when there were more than are told."""

    changes: tuple[PathChange, ...] = ()
    reload: bool = False


class TooManyWatchers(Exception):
    """No more can watch now."""


def settled(seen: Sequence[Change], exists: bool) -> Change | None:
    """What several changes of one path come to, the path being there now or not; None for what came and went.

    A file that is replaced in one step is seen to come before the former one is seen to go, so the order proves
    nothing.
    """
    if not exists:
        return None if seen[0] is Change.CREATED and Change.MODIFIED not in seen else Change.DELETED
    return Change.CREATED if Change.CREATED in seen and Change.DELETED not in seen else Change.MODIFIED
