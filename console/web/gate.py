"""Who may come in: from which pages, with which proof, and for how long. Pure but for the clock that is given.

An operator proves itself once with the admin token of the control plane; the browser then holds a random name for the
session, in a cookie that scripts cannot read and other sites cannot send. The token stays in this process's memory.
"""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

SESSION_SECONDS: Final = 12 * 3600.0
MOST_SESSIONS: Final = 50
#: So many wrong tokens within a minute, from wherever, and nobody is asked for one until the minute is over.
MOST_WRONG: Final = 10
_MINUTE: Final = 60.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Session:
    """One operator's browser."""

    name: str = field(repr=False)
    token: str = field(repr=False)
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the pages are served. `public_url` is what people type when a proxy stands before it."""

    host: str
    port: int
    public_url: str | None = None

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self.public_url is not None and urlsplit(self.public_url).scheme == "https"

    def knows_host(self, host: str | None) -> bool:
        """Whether a request's Host is ours: a name that somebody else's DNS points at us is not (DNS rebinding)."""
        return host in self._hosts()

    def knows_origin(self, origin: str | None) -> bool:
        """Whether a page of ours sent it; without an Origin, nobody says so."""
        if origin is None:
            return False
        return origin in {f"http://{host}" for host in self._local()} or origin == self._public_origin()

    def _local(self) -> tuple[str, ...]:
        return tuple(f"{name}:{self.port}" for name in {*_LOOPBACK, self.host})

    def _hosts(self) -> tuple[str, ...]:
        public = urlsplit(self.public_url).netloc if self.public_url else None
        return (*self._local(), public) if public else self._local()

    def _public_origin(self) -> str | None:
        if self.public_url is None:
            return None
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"


class Gate:
    """The sessions, and how often somebody tried in vain."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._wrong: deque[float] = deque(maxlen=MOST_WRONG)

    @property
    def closed(self) -> bool:
        """Whether too many wrong tokens came within the last minute."""
        return len(self._wrong) == MOST_WRONG and self._now() - self._wrong[0] < _MINUTE

    def wrong(self) -> None:
        """A token was not accepted."""
        self._wrong.append(self._now())

    def open(self, token: str) -> Session:
        """A session for an accepted token; the oldest one ends when there are too many."""
        session = Session(secrets.token_urlsafe(32), token, self._now() + SESSION_SECONDS)
        self._sessions[session.name] = session
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def session(self, name: str | None) -> Session | None:
        """The session of that name while it lasts."""
        found = self._sessions.get(name) if name else None
        if found is not None and found.until <= self._now():
            del self._sessions[found.name]
            return None
        return found

    def end(self, session: Session) -> None:
        """The operator leaves."""
        self._sessions.pop(session.name, None)
