"""What apps leave in their user's folder, which of it belongs to apps that are gone, and when too much seems to be.

A list of apps may be empty or short because the database that it comes from failed. So nothing is believed that would
remove much of what is here unless somebody says that it is meant, and nothing that is younger than the list.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

#: Only what the platform numbers is an app; a folder of another name is the user's own.
_NUMBERED: Final = re.compile(r"[1-9][0-9]{0,18}")
#: An app's former folders: what could not be removed, and what git put aside for a repository's own files.
_FORMER: Final = re.compile(r"(.+)\.(?:deleted|replaced)-[0-9]{1,17}")
#: Without a word of the caller's, a list is as old as this: apps that were made meanwhile are not in it.
_LIST_AGE_MS: Final = 3_600_000
#: So many may always go; of more, at most this part of all that are here.
_FEW: Final = 20
_MOST_PART: Final = 0.5
#: No user's folder counts for more, whatever it was filled with.
_MOST_EACH: Final = 20


class NothingExists(Exception):
    """A list without a single app."""


class TooManyOrphans(Exception):
    """A list that leaves out so much of what is here that it is not believed."""


class InUse(Exception):
    """Somebody works on the app now; the message says how."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """An entry of a user's `apps`: its name, and when it was made or last changed."""

    name: str
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class Existing:
    """The apps that there are, as of a moment."""

    app_ids: Collection[str]
    as_of_ms: int

    def lacks(self, app_id: str | None, at_ms: int) -> bool:
        """Whether what an app of this id left then belongs to no app."""
        numbered = app_id is not None and _NUMBERED.fullmatch(app_id) is not None
        return numbered and app_id not in self.app_ids and at_ms < self.as_of_ms


def existing(app_ids: Collection[str], as_of_ms: int | None, now_ms: int, *, confirmed: bool) -> Existing:
    """The list as it may be used. Raises NothingExists for an empty one that nobody confirms."""
    if not app_ids and not confirmed:
        raise NothingExists(
            "existingAppIds: is empty, which would remove every app of this node; if that is meant, say confirmed"
        )
    return Existing(frozenset(app_ids), min(now_ms, now_ms - _LIST_AGE_MS if as_of_ms is None else as_of_ms))


def believe(users: Iterable[tuple[Sequence[Leaving], Sequence[Leaving]]], *, confirmed: bool) -> None:
    """Raises TooManyOrphans when a list leaves out too many apps; given is what was found of each user, and what of it
    is orphaned."""
    counts = [(_apps(found), _apps(orphaned)) for found, orphaned in users]
    found, orphaned = sum(each for each, _ in counts), sum(each for _, each in counts)
    if orphaned > max(_FEW, found * _MOST_PART) and not confirmed:
        raise TooManyOrphans(
            f"{orphaned} of the {found} apps on this node are not in existingAppIds; check the list, and if it is "
            "right, say confirmed"
        )


def _apps(entries: Sequence[Leaving]) -> int:
    return min(_MOST_EACH, sum(_NUMBERED.fullmatch(each.name) is not None for each in entries))


def app_of(name: str) -> str:
    """The app that an entry of `apps` belongs to."""
    former = _FORMER.fullmatch(name)
    return former[1] if former else name


def is_former(name: str) -> bool:
    """Whether it is what is left of an app, not the app."""
    return _FORMER.fullmatch(name) is not None


def aside_name(app_id: str, now_ms: int) -> str:
    """The documented name of an app that is being removed."""
    return f"{app_id}.deleted-{now_ms}"


def orphans(found: Sequence[Leaving], known: Existing) -> tuple[Leaving, ...]:
    """Entries of `apps` whose app is gone."""
    return tuple(each for each in found if known.lacks(app_of(each.name), each.changed_at_ms))


def of_app(found: Sequence[Leaving], app_id: str) -> tuple[str, ...]:
    """What is left of former folders of one app."""
    return tuple(each.name for each in found if is_former(each.name) and app_of(each.name) == app_id)
