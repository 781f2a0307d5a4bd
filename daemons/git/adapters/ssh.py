"""The SSH side: user `git`, public keys only, no terminal, no forwarding, no file transfer protocols."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import asyncssh

from daemons.git.adapters.repositories import DiskRepositories, environment
from daemons.git.adapters.transfer import transfer
from daemons.git.domain.access import AccessDenied
from daemons.git.domain.commands import Command, CommandRefused, protocol_version
from daemons.git.services.gatekeeper import Gatekeeper
from daemons.git.services.pushes import Watch
from daemons.git.settings import GitSettings
from daemons.kit.tasks import first

logger = logging.getLogger(__name__)

USER: Final = "git"
_VISITOR: Final = "funai_visitor"
_KEEPALIVE_SECONDS: Final = 30
_MOST_OFFERED_KEYS: Final = 30
_SESSIONS_PER_CONNECTION: Final = 8
_REFUSED: Final = 1
_BROKEN: Final = 128
_FAREWELL_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5


class Door:
    """What all connections share: who is inside, and the way in."""

    def __init__(
        self, gatekeeper: Gatekeeper, repositories: DiskRepositories, settings: GitSettings, pushes: Watch
    ) -> None:
        self.gatekeeper = gatekeeper
        self._pushes = pushes
        self.settings = settings
        self.inside: set[_Visitor] = set()
        self.sessions: set[asyncio.Task[object]] = set()
        self._repositories = repositories

    async def listen(self, host_key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
        """Start listening. Raises OSError when the port is taken."""
        return await asyncssh.create_server(
            lambda: _Visitor(self),
            self.settings.host,
            self.settings.port,
            server_host_keys=[host_key],
            process_factory=self.serve,
            encoding=None,
            line_editor=False,
            allow_scp=False,
            sftp_factory=None,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            compression_algs=["none"],
            login_timeout=self.settings.login_seconds,
            keepalive_interval=_KEEPALIVE_SECONDS,
            server_version="funai-git",
        )

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """One command of one client."""
        visitor: _Visitor = process.get_extra_info(_VISITOR)
        task = asyncio.current_task()
        if task is not None:
            self.sessions.add(task)
            task.add_done_callback(self.sessions.discard)
        with visitor.busy():
            await self._answer(process, visitor)

    async def close(self, seconds: float) -> None:
        """Cut every client off and wait until their git processes are gone."""
        for visitor in tuple(self.inside):
            visitor.leave()
        if self.sessions:
            await asyncio.wait(tuple(self.sessions), timeout=seconds)

    async def _answer(self, process: asyncssh.SSHServerProcess[bytes], visitor: "_Visitor") -> None:
        key = {"key": visitor.fingerprint}
        try:
            code = await self._run(process, visitor)
        except (CommandRefused, AccessDenied) as error:
            logger.info("refused a command", extra=key | {"reason": str(error)})
            code = await _say(process, str(error), _REFUSED)
        except TimeoutError:
            logger.warning("ended a transfer that took too long", extra=key)
            code = await _say(process, "the transfer took too long and was ended", _BROKEN)
        except OSError:
            logger.exception("a command failed", extra=key)
            code = await _say(process, "the server could not serve the repository; its log has the details", _BROKEN)
        process.exit(code if code >= 0 else _BROKEN)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes], visitor: "_Visitor") -> int:
        if visitor.sessions > _SESSIONS_PER_CONNECTION:
            raise CommandRefused("too many commands at once over one connection")
        if process.subsystem is not None:
            raise CommandRefused("only git clone, fetch, push and archive are offered here")
        command = await self.gatekeeper.admit(visitor.fingerprint, process.command)
        argv = self._repositories.argv(command.service, command.repository)
        clean = environment(protocol_version(process.env.get("GIT_PROTOCOL")))
        async with self._told(command):
            work = transfer(process, argv, clean, seconds=self.settings.transfer_seconds)
            code = await first(work, self._until_refused(visitor.fingerprint, command))
        served = {"key": visitor.fingerprint, "command": command.service.value, "repository": command.repository}
        logger.info("served a command", extra=served | {"exit": str(code)})
        return code

    @asynccontextmanager
    async def _told(self, command: Command) -> AsyncIterator[None]:
        """Whatever is pushed in between is told, however the transfer ends."""
        if not command.service.writes:
            yield
            return
        await self._pushes.expect(command.repository)
        try:
            yield
        finally:
            self._pushes.look_at(command.repository)

    async def _until_refused(self, fingerprint: str, command: Command) -> int:
        """Raises AccessDenied within a second after the key lost the right to what is being served."""
        while await self.gatekeeper.may_still(fingerprint, command):  # noqa: ASYNC110 - the book tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        raise AccessDenied("this key may do so no longer; the transfer was ended")


class _Visitor(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, door: Door) -> None:
        self.fingerprint = ""
        self.sessions = 0
        self._door = door
        self._connection: asyncssh.SSHServerConnection | None = None
        self._offered = 0
        self._idle: asyncio.TimerHandle | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A session of this connection; between sessions the connection may stay open for a short while only."""
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1
            self._wait_for_work()

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        if len(self._door.inside) >= self._door.settings.max_connections:
            logger.warning("turned a connection away: too many", extra={"limit": self._door.settings.max_connections})
            conn.abort()
            return
        self._connection = conn
        self._door.inside.add(self)
        conn.set_extra_info(**{_VISITOR: self})

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.inside.discard(self)
        self._connection = None
        if self._idle is not None:
            self._idle.cancel()

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """The key that is kept is the one whose signature is verified next: nothing runs in between."""
        self._offered += 1
        if username != USER or self._offered > _MOST_OFFERED_KEYS:
            return False
        fingerprint = key.get_fingerprint("sha256")
        known = await self._door.gatekeeper.knows(fingerprint)
        if known:
            self.fingerprint = fingerprint
        return known

    def auth_completed(self) -> None:
        """One key may hold half of all connections, so that no single one locks the others out."""
        alike = sum(visitor.fingerprint == self.fingerprint for visitor in self._door.inside)
        if alike > max(1, self._door.settings.max_connections // 2):
            logger.warning("turned a connection away: too many with one key", extra={"key": self.fingerprint})
            self.leave()
        self._wait_for_work()

    def leave(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.abort()

    def _wait_for_work(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(self._door.settings.idle_seconds, self._leave_if_idle)

    def _leave_if_idle(self) -> None:
        if self._connection is not None and self.sessions == 0:
            self._connection.close()


async def _say(process: asyncssh.SSHServerProcess[bytes], text: str, code: int) -> int:
    """Tell the person, and answer the exit code; a client that is gone hears nothing."""
    try:
        process.stderr.write(f"funai: {text}\n".encode())
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await process.stderr.drain()
    except (OSError, TimeoutError, asyncssh.Error):
        logger.debug("the client left before the answer")
    return code
