"""What a file is to those who edit it, how a write is guarded, and the ways in which a file cannot be had."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Texts are read and written whole up to this size.
MOST_TEXT_BYTES: Final = 2 * 1024 * 1024


class Kind(StrEnum):
    """What lies at a path. Links are shown, moved and deleted, never written through."""

    FILE = "FILE"
    FOLDER = "FOLDER"
    LINK = "LINK"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies at a path now. `tag` is another one after every change, `modified_ms` is milliseconds since 1970."""

    kind: Kind
    size: int
    modified_ms: int
    tag: str


class FileError(Exception):
    """A file cannot be had; the message is for its owner."""


class NotThere(FileError):
    """Nothing lies at the path."""


class WrongKind(FileError):
    """What lies there is no regular file, or no folder, or it is reached over a link that leads out of the app."""


class Denied(FileError):
    """The file's mode or owner keeps the workspace's user from it."""


class Taken(FileError):
    """Something lies there already, or what lies there is in the way."""


class TooLarge(FileError):
    """More than may be read, written or sent at once."""


class DiskFull(FileError):
    """The user's disk has no room for it."""


class NotText(FileError):
    """The file is not UTF-8."""


class Changed(FileError):
    """The file is not what the caller wanted to replace; `data` says what it is now."""

    def __init__(self, message: str, now: Entry | None) -> None:
        super().__init__(message)
        self.data = {"lastModifiedMs": now.modified_ms if now else None, "etag": now.tag if now else None}


class TagChanged(Changed):
    """The same, said by an entity tag."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What must lie at a path for a write to take place.

    `expected_ms` is the time of the last change that the caller knows, 0 or -1 when nothing may be there; `tags` are
    those the caller takes, `*` for any; both None when it does not matter.
    """

    expected_ms: int | None = None
    tags: tuple[str, ...] | None = None
    overwrite: bool = True

    @property
    def indifferent(self) -> bool:
        """Whether anything may lie there."""
        return self.expected_ms is None and self.tags is None and self.overwrite

    def check(self, now: Entry | None) -> None:
        """Raises TagChanged, Changed, Taken, or WrongKind for what no write replaces."""
        if now is not None and now.kind is not Kind.FILE:
            raise WrongKind(f"path: there is a {now.kind.lower()} where a file would be written")
        if self.tags is not None and (now is None or not {"*", now.tag} & set(self.tags)):
            raise TagChanged("the file changed since it was read", now)
        if self.expected_ms is not None and self.expected_ms != self._time(now):
            raise Changed("the file changed since it was read", now)
        if now is not None and not self.overwrite:
            raise Taken("path: there is a file already")

    def _time(self, now: Entry | None) -> int | None:
        if now is not None:
            return now.modified_ms
        return self.expected_ms if self.expected_ms in (0, -1) else None


def tags_of(header: str) -> tuple[str, ...]:
    """The entity tags of If-Match or If-None-Match; a weak one counts as what it is the weak form of."""
    return tuple(tag.strip().removeprefix("W/") for tag in header.split(",") if tag.strip())
