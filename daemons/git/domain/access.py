"""What a key may do with a repository."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from daemons.git.domain.commands import Command


class AccessDenied(Exception):
    """The key may not do this; the text is shown to the person and does not tell whether the repository exists."""


class Level(IntEnum):
    """Levels of access; each includes the ones below it."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of a key's rights; the repository `*` means all."""

    repository: str
    level: Level


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a key belongs to and what it opens."""

    principal: str
    grants: tuple[Grant, ...]


def level(grants: Sequence[Grant], repository: str) -> Level:
    """The highest access that any of the grants gives."""
    return max((grant.level for grant in grants if grant.repository in (repository, "*")), default=Level.NONE)


def admit(holder: Holder, command: Command) -> None:
    """Raises AccessDenied unless the holder may run the command."""
    given = level(holder.grants, command.repository)
    if given is Level.NONE:
        raise AccessDenied(f"{command.repository}.git does not exist, or this key has no access to it")
    if command.service.writes and given < Level.WRITE:
        raise AccessDenied(f"this key may read {command.repository}.git but not push to it")


def may_create(holder: Holder, repository: str) -> bool:
    """Whether a first use makes the repository: only for a key with write access to exactly this one."""
    return any(grant.repository == repository and grant.level is Level.WRITE for grant in holder.grants)
