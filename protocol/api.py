"""The API entry on the wire: what people send and see, and the access file it writes for the git server."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator

from protocol.base import Wire
from protocol.names import ShortText

_REPOSITORY: Final = re.compile(r"\*|[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9._-]{0,99}")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_PUBLIC_KEY: Final = re.compile(r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,8192}={0,2}")


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or ".." in value:
        raise ValueError("must be OWNER/NAME without .git, or * for all")
    return value


def _fingerprint(value: str) -> str:
    if not _FINGERPRINT.fullmatch(value):
        raise ValueError("must be SHA256: and 43 characters of base64")
    return value


def _public_key(value: str) -> str:
    if not _PUBLIC_KEY.fullmatch(value):
        raise ValueError("must be a public key: its type, a space and its base64, on one line")
    return value


class GitAccess(StrEnum):
    """What a key may do; write includes read."""

    READ = "read"
    WRITE = "write"


class GitGrant(Wire):
    """One right of a key: `owner/name`, or `*` for every repository."""

    repository: Annotated[str, AfterValidator(_repository)]
    access: GitAccess


class GitKey(Wire):
    """One key that may enter: `principal` is `user:{userId}` or the name of a bot."""

    principal: ShortText
    fingerprint: Annotated[str, AfterValidator(_fingerprint)]
    public_key: Annotated[str, AfterValidator(_public_key)]
    grants: tuple[GitGrant, ...]


class GitAccessFile(Wire):
    """The whole access file. The API replaces it; the git server reads it again when it was replaced."""

    keys: tuple[GitKey, ...]
