"""Keys of the platform's own git server: lent by a file in a folder that it looks into for every question."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh
from pydantic import ValidationError

from daemons.kit.clock import Clock
from daemons.workspace.ports.git import KeysUnavailable, Loan
from protocol.api import GitAccess, GitGrant, GitLoan, loan_file

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 1024
_SSH_PORT: Final = 22
#: A file that is no loan may be another process's draft; an hour later it is nobody's.
_DRAFT_SECONDS: Final = 3600.0
_ADVICE: Final = "no key for the git server can be lent; operators: {} ({})"


@dataclass(frozen=True, slots=True)
class GitServer:
    """Where repositories are, and how those of apps are named."""

    user: str
    host: str
    port: int
    owner: str
    template: str

    def repository(self, user_id: str, app_id: str) -> str:
        """`owner/name` of an app's repository."""
        return f"{self.owner}/{self.template.replace('{userId}', user_id).replace('{appId}', app_id)}"

    def url(self, user_id: str, app_id: str) -> str:
        """Its address."""
        return f"ssh://{self.user}@{self.host}:{self.port}/{self.repository(user_id, app_id)}.git"

    @property
    def known_as(self) -> str:
        """Its name in a file of known hosts."""
        return self.host if self.port == _SSH_PORT else f"[{self.host}]:{self.port}"


class FolderKeys:
    """The port `RepositoryKeys` over the git server's folder of loans."""

    def __init__(self, server: GitServer, folder: Path, known_hosts: Path, clock: Clock) -> None:
        self._server = server
        self._folder = folder
        self._known_hosts = known_hosts
        self._clock = clock

    def url(self, user_id: str, app_id: str) -> str:
        """The address of an app's repository."""
        return self._server.url(user_id, app_id)

    @asynccontextmanager
    async def lent(self, user_id: str, app_id: str, seconds: float) -> AsyncIterator[Loan]:
        """Entering it raises KeysUnavailable."""
        hosts = await asyncio.to_thread(self._hosts)
        key = asyncssh.generate_private_key("ssh-ed25519", comment="")
        fingerprint = key.get_fingerprint("sha256")
        grant = GitGrant(repository=self._server.repository(user_id, app_id), access=GitAccess.WRITE)
        loan = GitLoan(
            principal=_principal(user_id, app_id),
            fingerprint=fingerprint,
            public_key=" ".join(key.export_public_key().decode().split()[:2]),
            grants=(grant,),
            expires_at_ms=self._now() + int(seconds * 1000),
        )
        path = self._folder / loan_file(fingerprint)
        try:
            await asyncio.to_thread(_write, path, loan.to_json())
        except OSError as error:
            raise KeysUnavailable(_ADVICE.format(f"make {self._folder} writable", error.strerror)) from error
        try:
            yield Loan(self.url(user_id, app_id), self._server.known_as, hosts, key.export_private_key())
        finally:
            # The thread takes it back even if whoever waits here is cancelled.
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def take_back(self, user_id: str, app_id: str) -> int:
        """None of the app's keys opens anything any more; how many there were. Raises KeysUnavailable."""
        try:
            return await asyncio.to_thread(self._take_back, _principal(user_id, app_id))
        except OSError as error:
            raise KeysUnavailable(_ADVICE.format(f"make {self._folder} writable", error.strerror)) from error

    async def sweep(self) -> None:
        """Raises KeysUnavailable."""
        try:
            gone = await asyncio.to_thread(self._sweep)
        except OSError as error:
            raise KeysUnavailable(_ADVICE.format(f"make {self._folder} writable", error.strerror)) from error
        if gone:
            logger.info("took back keys that a process before had lent", extra={"keys": gone})

    def _sweep(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [path for path in self._folder.iterdir() if self._is_over(path)]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _take_back(self, principal: str) -> int:
        if not self._folder.exists():
            return 0
        found = [path for path in self._folder.iterdir() if _lent_to(path) == principal]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def _is_over(self, path: Path) -> bool:
        try:
            return GitLoan.model_validate_json(path.read_bytes()).expires_at_ms <= self._now()
        except FileNotFoundError:
            return False
        except ValidationError:
            return path.lstat().st_mtime + _DRAFT_SECONDS < self._clock.now().timestamp()

    def _hosts(self) -> str:
        try:
            with self._known_hosts.open("rb") as file:
                return file.read(_MOST_BYTES).decode("ascii", "replace").replace("\0", "").strip()
        except OSError as error:
            advice = f"put the server's key into {self._known_hosts}, FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH"
            raise KeysUnavailable(_ADVICE.format(advice, error.strerror)) from error

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _principal(user_id: str, app_id: str) -> str:
    return f"workspace:{user_id}/{app_id}"


def _lent_to(path: Path) -> str | None:
    try:
        return GitLoan.model_validate_json(path.read_bytes()).principal
    except (FileNotFoundError, ValidationError):
        return None


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: the server may look at any moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
