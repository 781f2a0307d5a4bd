"""What an SSH client may ask for: three git services, each with the path of one repository.

Nothing a client sends reaches a shell or a path unless it matched an allowlist here.
Protocol: git's `pack-protocol`, section "SSH Transport"; the environment variable GIT_PROTOCOL is part of protocol v2.
"""

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_MOST_COMMAND_CHARACTERS: Final = 512
_REPOSITORY: Final = re.compile(r"/?(?P<name>[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9._-]{0,99})\.git")
_PROTOCOL: Final = re.compile(r"version=[0-9]")


class CommandRefused(Exception):
    """The client asked for something this server does not do; the text is shown to the person."""


class Service(StrEnum):
    """The git services, by the names that clients send."""

    UPLOAD_PACK = "git-upload-pack"
    RECEIVE_PACK = "git-receive-pack"
    UPLOAD_ARCHIVE = "git-upload-archive"

    @property
    def writes(self) -> bool:
        """Whether the service changes the repository."""
        return self is Service.RECEIVE_PACK


@dataclass(frozen=True, slots=True)
class Command:
    """A well-formed request; `repository` is `owner/name` without `.git`."""

    service: Service
    repository: str


def parse(text: str | None) -> Command:
    """The command of an exec request. Raises CommandRefused for everything that is not one git service on one path."""
    if not text:
        raise CommandRefused("this server offers git only, no shell: use git clone, fetch or push")
    if len(text) > _MOST_COMMAND_CHARACTERS:
        raise CommandRefused("the command is too long")
    try:
        words = shlex.split(text)
    except ValueError:
        raise CommandRefused("the command is not well quoted") from None
    if len(words) != 2 or words[0] not in tuple(Service):
        raise CommandRefused("only git clone, fetch, push and archive are offered here")
    path = _REPOSITORY.fullmatch(words[1])
    if path is None or ".." in words[1]:
        raise CommandRefused("the repository must be named OWNER/NAME.git")
    return Command(Service(words[0]), path["name"])


def protocol_version(value: str | None) -> str | None:
    """The client's GIT_PROTOCOL when it is exactly a version request, else None."""
    return value if value is not None and _PROTOCOL.fullmatch(value) else None
