"""Who may do what. Every decision about a person's rights is made here, from the token's subject alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.accounts import Role

_ID: Final = re.compile("[1-9][0-9]{0,17}")


class WrongUser(Exception):
    """The request names another user than the token's; the token decides."""


class NotFound(Exception):
    """It does not exist, or it is somebody else's: the answer is the same."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The person a token stands for."""

    user_id: int


@dataclass(frozen=True, slots=True)
class Proof:
    """By what somebody was let in: a session, an API key (its hash), or neither: a token of the settings. With another
    role than `role` they would be somebody else."""

    user_id: int
    role: Role
    session_id: str | None = None
    key: str | None = field(default=None, repr=False)


def check_named(subject: Subject, named: str | None) -> None:
    """Raises WrongUser when a request carries the userId of somebody else."""
    if named is not None and named != str(subject.user_id):
        raise WrongUser("userId is not the user of this token; leave it out or send your own")


def number_of(app_id: str) -> int | None:
    """The number of an app's id, None for what is none. There is one text for each number: on nodes another would be
    another app."""
    return int(app_id) if _ID.fullmatch(app_id) else None


def acted_for(app_id: str, owner: int | None, named: str | None) -> Subject:
    """On whose behalf an operator does something with an app: its owner, who must be the user that was named, if one
    was. Raises NotFound, also for an app that is not there (`owner` is None)."""
    if owner is None or named not in (None, str(owner)):
        raise NotFound(f"there is no app {app_id}{f' of user {named}' if named is not None else ''}")
    return Subject(owner)


def owns(subject: Subject, owner: int | None) -> bool:
    """Whether the thing is the subject's; None is a thing that does not exist."""
    return owner == subject.user_id


@dataclass(frozen=True, slots=True)
class KeyGrants:
    """What the git server will let one key do: write to these repositories, or read all."""

    principal: str
    fingerprint: str
    public_key: str
    writes: tuple[str, ...] = ()
    reads_all: bool = False


def git_grants(
    keys: Sequence[tuple[int, str, str]], repositories: Mapping[int, tuple[str, ...]], bot: tuple[str, str] | None
) -> tuple[KeyGrants, ...]:
    """The whole access table: the runner bot reads everything, each user's keys write to that user's repositories.

    `keys` are (user id, fingerprint, public key), `bot` is (fingerprint, public key). A person who registers the bot's
    public key gains and takes nothing.
    """
    granted = [KeyGrants("bot:runner", *bot, reads_all=True)] if bot else []
    for user_id, fingerprint, public_key in keys:
        if bot is None or fingerprint != bot[0]:
            granted.append(KeyGrants(f"user:{user_id}", fingerprint, public_key, repositories.get(user_id, ())))
    return tuple(granted)
