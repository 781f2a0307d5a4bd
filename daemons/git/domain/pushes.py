"""Which pushes are to be told: what differs between the branches that were told of and those that are there.

So nothing is lost when the server dies between a push and the note of it: whoever looks next finds the difference.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

#: In place of a commit: the branch was not there, or is there no more.
NOTHING: Final = "0" * 40


@dataclass(frozen=True, slots=True)
class Push:
    """A branch went from one commit to another; `id` names it in every attempt to tell."""

    id: str
    branch: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Journal:
    """Of one repository: its branches as they were when last looked at, and what is still to be told, oldest first."""

    branches: Mapping[str, str]
    pushes: tuple[Push, ...] = ()


def noted(journal: Journal, branches: Mapping[str, str], new_id: Callable[[], str]) -> Journal:
    """With what happened since. Of a branch that is pushed to again and again while nobody listens, the newest push
    that was not tried yet stands for all of them; the first of the list may be on its way and stays as it is."""
    pushes = list(journal.pushes)
    for branch in sorted(journal.branches.keys() | branches.keys()):
        before, after = journal.branches.get(branch, NOTHING), branches.get(branch, NOTHING)
        if before == after:
            continue
        waiting = next((place for place, push in enumerate(pushes) if place and push.branch == branch), None)
        if waiting is None:
            pushes.append(Push(new_id(), branch, before, after))
        else:
            pushes.append(Push(new_id(), branch, pushes.pop(waiting).before, after))
    return Journal(dict(branches), tuple(pushes))


def told(journal: Journal) -> Journal:
    """After the first of them was taken."""
    return replace(journal, pushes=journal.pushes[1:])


def pause_seconds(attempts: int) -> float:
    """How long to wait after so many attempts in vain: twice as long each time, at most a minute."""
    return float(min(2.0 ** min(attempts - 1, 30), 60.0))
