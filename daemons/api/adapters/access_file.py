"""The access file on disk, as the git server reads it."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from daemons.api.domain.access import KeyGrants
from daemons.api.ports import AccessUnwritten
from protocol.api import GitAccess, GitAccessFile, GitGrant, GitKey

logger = logging.getLogger(__name__)


class DiskGitAccess:
    """Writes beside the file, syncs, renames: a reader sees the old file or the new one, also after a power cut."""

    def __init__(self, path: Path | None, bot_key: Path | None) -> None:
        self._path = path
        self._bot_key = bot_key

    async def bot_key(self) -> str | None:
        """The runner bot's public key line."""
        if self._bot_key is None:
            return None
        try:
            return await asyncio.to_thread(self._bot_key.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            logger.warning(
                "the runner bot's public key cannot be read, so runners cannot clone; check RUNNER_GIT_PUBLIC_KEY_PATH",
                extra={"path": str(self._bot_key), "error": str(error)},
            )
            return None

    async def write(self, grants: Sequence[KeyGrants]) -> None:
        """Replace the file unless it says the same already. Without a configured path there is nothing to do."""
        if self._path is None:
            return
        content = GitAccessFile(keys=tuple(_key(grant) for grant in grants)).to_json() + b"\n"
        try:
            await asyncio.to_thread(_replace, self._path, content)
        except OSError as error:
            logger.exception("the access file of the git server cannot be written", extra={"path": str(self._path)})
            raise AccessUnwritten(
                "the change is stored, but the git server could not be told; repeat the request. Operators: make "
                f"GIT_ACCESS_FILE writable ({error.strerror})"
            ) from error


def _key(grant: KeyGrants) -> GitKey:
    if grant.reads_all:
        rights: tuple[GitGrant, ...] = (GitGrant(repository="*", access=GitAccess.READ),)
    else:
        rights = tuple(GitGrant(repository=name, access=GitAccess.WRITE) for name in grant.writes)
    return GitKey(principal=grant.principal, fingerprint=grant.fingerprint, public_key=grant.public_key, grants=rights)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_bytes() == content:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
