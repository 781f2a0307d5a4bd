"""Terminals of users: each goes on while nobody looks, and loses no byte for who comes back in time.

A session reads its program's output into a ring and tells its viewers how far it is. A viewer says how far it has read;
while one is connected, or was a moment ago, the program waits rather than that its bytes are dropped.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from daemons.kit.engine.errors import EngineError
from daemons.kit.tasks import first
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.packages import npm_cache
from daemons.workspace.domain.programs import Program
from daemons.workspace.domain.replay import Replay, Ring
from daemons.workspace.ports import Activity, Use
from daemons.workspace.ports.databases import Environment
from daemons.workspace.ports.programs import Programs, Terminal
from daemons.workspace.services.workspaces import Workspaces

logger = logging.getLogger(__name__)

_MOST_SESSIONS: Final = 16
#: What does not end when it is told to is killed within it.
_CLOSE_SECONDS: Final = 30.0
#: An app may have no folder yet: a terminal may be what makes it.
_ENTER: Final = 'cd "$2" 2>/dev/null; '
_SHELL: Final = "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l"
#: The first byte of a plain shell: what is typed before it would be echoed.
BEGUN: Final = b"\x06"
#: A shell that reads from a pipe neither prompts nor edits lines; what interrupts its commands leaves it alone. It is
#: dd that fills the pipe: a busybox's cat splices, and keeps the pipe locked while it waits for the terminal.
_PLAIN_SHELL: Final = (
    f"stty -echo -onlcr -icanon min 1 time 0 2>/dev/null; printf '\\{ord(BEGUN):03o}'; "
    "pipe=/tmp/terminal-$$; mkfifo -m 600 $pipe || exit; exec 3<&0; "
    "(exec >$pipe; rm -f $pipe; echo 'trap : INT'; exec dd bs=65536 <&3 2>/dev/null) & "
    "exec 3<&-; command -v bash >/dev/null 2>&1 && exec bash <$pipe; exec sh <$pipe"
)
_COMMAND: Final = 'stty -echo -onlcr 2>/dev/null; command -v bash >/dev/null 2>&1 && exec bash -c "$1"; exec sh -c "$1"'


class Kind(Enum):
    """What runs in a terminal: a shell for people; one that only answers; one command."""

    SHELL = _SHELL
    PLAIN = _PLAIN_SHELL
    COMMAND = _COMMAND


class NoSession(Exception):
    """The terminal is closed, or is another user's."""


class TooManySessions(Exception):
    """The user has as many terminals as one may have."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a session goes on without a viewer, and for how long of that its output waits for who comes back;
    seconds."""

    seconds: float = 24 * 3600.0
    unread_seconds: float = 60.0


class Viewer:
    """Somebody who reads a session, from an offset on; `read` is how far they say they are."""

    def __init__(self, offset: int) -> None:
        self.sent = offset
        self.read = offset


class Session:
    """One terminal of one user."""

    def __init__(self, user_id: str, app_id: str, program: Program, keeping: Keeping, used: Callable[[], None]) -> None:
        self._used = used
        self.program = program
        self.id = secrets.token_hex(8)
        self.tag = f"term{secrets.token_hex(8)}"
        self.user_id = user_id
        self.app_id = app_id
        self.exit_code: int | None = None
        self.ended = asyncio.Event()
        self.gone = asyncio.Event()
        self._keeping = keeping
        self._ring = Ring()
        self._terminal: Terminal | None = None
        self._viewers: set[Viewer] = set()
        self._left = (0.0, 0)
        self._news = asyncio.Condition()

    def join(self, offset: int | None) -> Viewer:
        """A viewer who has read up to the offset; None: one who wants all that is still there."""
        viewer = Viewer(self._ring.begin if offset is None else min(max(0, offset), self._ring.end))
        self._viewers.add(viewer)
        return viewer

    async def leave(self, viewer: Viewer) -> None:
        """The viewer is gone; what they have not read waits for them for a while."""
        self._viewers.discard(viewer)
        self._left = (asyncio.get_running_loop().time(), viewer.read)
        await self._tell()

    async def more(self, viewer: Viewer) -> Replay | None:
        """What the viewer has not been sent yet, once there is any; None at the end."""
        async with self._news:
            await self._news.wait_for(lambda: viewer.sent < self._ring.end or self.ended.is_set())
        found = self._ring.since(viewer.sent)
        if not found.data:
            return None
        viewer.sent = found.offset + len(found.data)
        return found

    async def acknowledge(self, viewer: Viewer, offset: int) -> None:
        """The viewer has read up to the offset."""
        viewer.read = max(viewer.read, min(offset, viewer.sent))
        await self._tell()

    async def write(self, data: bytes) -> None:
        """Raises EngineError."""
        if self._terminal is not None and not self.ended.is_set():
            await self._terminal.write(data)

    async def resize(self, cols: int, rows: int) -> None:
        """Whoever says so last decides. Raises EngineError."""
        if self._terminal is not None and not self.ended.is_set():
            await self._terminal.resize(cols, rows)

    async def run(self, terminal: Terminal) -> None:
        """Read the program's output until its end."""
        self._terminal = terminal
        try:
            while data := await terminal.read():
                self._used()
                await self._room(len(data))
                self._ring.append(data)
                await self._tell()
            self.exit_code = await terminal.exit_code()
        except EngineError as error:
            logger.info("a terminal ended", extra={"user_id": self.user_id, "error": str(error)})

    async def closed(self) -> None:
        """Wait until somebody closes it."""
        await self.ended.wait()

    async def close(self) -> None:
        """Nobody waits for more."""
        self.ended.set()
        await self._tell()

    def abandoned(self, now: float) -> bool:
        """Whether nobody has looked at it for as long as it is kept."""
        return not self._viewers and now - self._left[0] > self._keeping.seconds

    async def _room(self, needed: int) -> None:
        """Wait until nothing that somebody still wants would be dropped."""
        async with self._news:
            while self._ring.room(self._needed()) < needed:
                try:
                    async with asyncio.timeout(1.0):
                        await self._news.wait()
                except TimeoutError:
                    # Who left may have stayed away for long enough.
                    continue

    def _needed(self) -> int:
        """The first byte that somebody may still want."""
        wanted = [viewer.read for viewer in self._viewers]
        left_at, offset = self._left
        if asyncio.get_running_loop().time() - left_at < self._keeping.unread_seconds and left_at:
            wanted.append(offset)
        return min(wanted, default=self._ring.end)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class Terminals:
    """The sessions of all users; each is a task that ends with the node."""

    def __init__(
        self,
        workspaces: Workspaces,
        programs: Programs,
        activity: Activity,
        keeping: Keeping,
        environment: Environment,
    ) -> None:
        self._workspaces = workspaces
        self._programs = programs
        self._activity = activity
        self._keeping = keeping
        self._environment = environment
        self._sessions: dict[str, Session] = {}
        self._opening: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()

    async def run(self) -> None:
        """Owns the sessions' tasks."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(await self._opening.get())

    async def open(
        self, user_id: str, app_id: str, size: tuple[int, int], kind: Kind = Kind.SHELL, command: str = ""
    ) -> Session:
        """A new terminal in the app's folder. Raises as `Workspaces.ensure`; TooManySessions, AccountError."""
        given = await self._environment.variables(user_id, app_id)
        if sum(session.user_id == user_id for session in self._sessions.values()) >= _MOST_SESSIONS:
            raise TooManySessions(f"a user may have {_MOST_SESSIONS} terminals; close one")
        program = _program(app_id, kind, command, given)
        session = Session(user_id, app_id, program, self._keeping, lambda: self._activity.touch(user_id, Use.TERMINAL))
        self._sessions[session.id] = session
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._opening.put(self._hold(session, size, started))
        await started
        return session

    def find(self, user_id: str, session_id: str) -> Session:
        """Raises NoSession."""
        session = self._sessions.get(session_id)
        if session is None or session.user_id != user_id:
            workspace = self._workspaces.find(user_id)
            if workspace is not None and workspace.ended_move:
                raise NoSession("this terminal ended when the workspace was moved between nodes; open another")
            raise NoSession("this terminal is closed; open another")
        return session

    def every(self) -> Collection[Session]:
        """Those of all users."""
        return self._sessions.values()

    def of(self, user_id: str) -> tuple[Session, ...]:
        """The user's terminals."""
        return tuple(session for session in self._sessions.values() if session.user_id == user_id)

    async def close_app(self, user_id: str, app_id: str) -> int:
        """Nothing that was started in the app's terminals runs afterwards; how many there were. Raises EngineError."""
        found = [session for session in self.of(user_id) if session.app_id == app_id]
        for session in found:
            await session.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                for session in found:
                    await session.gone.wait()
        except TimeoutError:
            raise EngineError("a terminal of the app could not be closed; stop the container") from None
        return len(found)

    async def type(self, session: Session, data: bytes) -> None:
        """Type it; the workspace wakes up for it. Raises as `Workspaces.awake`."""
        self._activity.touch(session.user_id, Use.TERMINAL)
        async with self._workspaces.thawed(session.user_id):
            await session.write(data)

    async def _hold(self, session: Session, size: tuple[int, int], started: asyncio.Future[None]) -> None:
        """A terminal that is open keeps no workspace awake: only what is typed and written does."""
        try:
            async with AsyncExitStack() as stack:
                opening = self._programs.open(session.user_id, session.program, session.tag, size)
                async with self._workspaces.awake(session.user_id):
                    terminal = await stack.enter_async_context(opening)
                started.set_result(None)
                await first(session.run(terminal), session.closed())
                # What is frozen cannot end.
                await stack.enter_async_context(self._workspaces.thawed(session.user_id))
        except Exception as error:  # noqa: BLE001 - who opened it is told
            if not started.done():
                started.set_exception(error)
            else:
                logger.warning("a terminal ended badly", extra={"user_id": session.user_id, "error": str(error)})
        finally:
            await session.close()
            self._sessions.pop(session.id, None)
            session.gone.set()


def _program(app_id: str, kind: Kind, command: str, given: Mapping[str, str]) -> Program:
    variables = {**given, "TERM": "xterm-256color" if kind is Kind.SHELL else "dumb", "FUNAI_APP_ID": app_id}
    variables["npm_config_cache"] = npm_cache(app_id)
    how = ("sh", "-c", _ENTER + kind.value, "sh", command, f"{WORKDIR}/apps/{app_id}")
    return Program(how, WORKDIR, variables)
