"""Keys of the platform's own git server: lent by a file in a folder that it looks into for every question."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import asyncssh

from daemons.kit.clock import Clock
from daemons.kit.loan_files import LoanFiles, principal, writing_loan
from daemons.workspace.ports.git import KeysUnavailable, Loan

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 1024
_SSH_PORT: Final = 22
Given = TypeVar("Given")
Done = TypeVar("Done")
#: For an advice to operators, and why.
ADVICE: Final = "no key for the git server can be lent; operators: {} ({})"


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
        self._files = LoanFiles(folder)
        self._known_hosts = known_hosts
        self._clock = clock

    def url(self, user_id: str, app_id: str) -> str:
        """The address of an app's repository."""
        return self._server.url(user_id, app_id)

    @asynccontextmanager
    async def lent(self, user_id: str, app_id: str, seconds: float) -> AsyncIterator[Loan]:
        """Entering it raises KeysUnavailable."""
        hosts = await known_hosts(self._known_hosts)
        key = new_key()
        loan = writing_loan(
            user_id, app_id, self._server.repository(user_id, app_id), key.named, self._now() + int(seconds * 1000)
        )
        await self._do(self._files.write, loan)
        try:
            yield Loan(self.url(user_id, app_id), self._server.known_as, hosts, key.private)
        finally:
            # The thread takes it back even if whoever waits here is cancelled.
            await asyncio.to_thread(self._files.remove, key.fingerprint)

    async def take_back(self, user_id: str, app_id: str) -> int:
        """None of the app's keys opens anything any more; how many there were. Raises KeysUnavailable."""
        return await self._do(self._files.remove_of, principal(user_id, app_id))

    async def sweep(self) -> None:
        """Raises KeysUnavailable."""
        if gone := await self._do(self._files.sweep, self._now()):
            logger.info("took back keys that a process before had lent", extra={"keys": gone})

    async def _do(self, step: Callable[[Given], Done], given: Given) -> Done:
        try:
            return await asyncio.to_thread(step, given)
        except OSError as error:
            raise KeysUnavailable(ADVICE.format(f"make {self._folder} writable", error.strerror)) from error

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that nobody had before: its fingerprint, its public half in one line, and its private one as OpenSSH writes
    it."""

    fingerprint: str
    public: str
    private: bytes = field(repr=False)

    @property
    def named(self) -> tuple[str, str]:
        """What others may know of it."""
        return self.fingerprint, self.public


def new_key() -> NewKey:
    """Of type Ed25519, without a comment."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="")
    public = " ".join(key.export_public_key().decode().split()[:2])
    return NewKey(key.get_fingerprint("sha256"), public, key.export_private_key())


async def known_hosts(path: Path) -> str:
    """Whose host key is right. Raises KeysUnavailable."""

    def read() -> str:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace").replace("\0", "").strip()

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        advice = f"put the server's key into {path}, FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH"
        raise KeysUnavailable(ADVICE.format(advice, error.strerror)) from error
