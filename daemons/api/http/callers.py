"""Who calls: the gates of the API entry, and the person behind an admitted request."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api.domain.access import Proof, Subject
from daemons.api.domain.accounts import Session
from daemons.api.services.watch import Held
from daemons.kit.auth import CALLER, SOURCE, Gate, Network
from daemons.kit.bodies import InvalidRequest
from protocol.accounts import Role
from protocol.headers import ADMIN_TOKEN, AUTHORIZATION, IDEMPOTENCY_KEY

logger = logging.getLogger(__name__)

#: How a person's token is shown.
SCHEME: Final = "Bearer "
_USER: Final = "user:"
_MOST_KEY_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who proved who they are; `session` is there for those who logged in, `key` is what is kept of the API
    key of those who showed one."""

    subject: Subject
    role: Role
    session: Session | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For counting and for logs."""
        return f"{_USER}{self.subject.user_id}"

    @property
    def proof(self) -> Proof:
        """What their right to go on is looked up by."""
        session_id = self.session.id if self.session is not None else None
        return Proof(self.subject.user_id, self.role, session_id, self.key)


PERSON: Final = web.RequestKey("person", Person)
#: A person's request while it is answered.
HELD: Final = web.RequestKey("held", Held)


def user_gates(tokens: Mapping[int, Sequence[str]]) -> tuple[Gate, ...]:
    """One gate per user; the gate's name carries the user's id to `person_of_gate`."""
    return tuple(
        Gate(f"{_USER}{user_id}", AUTHORIZATION, tuple(live), scheme=SCHEME) for user_id, live in tokens.items()
    )


def person_of_gate(request: web.Request) -> Person:
    """The person whose token of the settings opened the route: a user, whoever it is."""
    return Person(Subject(int(request[CALLER].removeprefix(_USER))), Role.USER)


def admin_gate(tokens: Sequence[str], networks: Sequence[Network] = ()) -> Gate:
    """The operators' gate; `networks` are where they may call from, all when there are none."""
    return Gate("admin", ADMIN_TOKEN, tuple(tokens), networks=tuple(networks))


def subject(request: web.Request) -> Subject:
    """The person whose token opened the route."""
    return request[PERSON].subject


def session(request: web.Request) -> Session:
    """The session of a route that only those who logged in get to."""
    found = request[PERSON].session
    if found is None:
        raise LookupError("this route has no rule that asks for a session")
    return found


def log_acting(request: web.Request, app_id: str, owner: Subject) -> None:
    """Who of the operators does something with whose app."""
    said = {"caller": request[CALLER], "source_address": request[SOURCE], "path": request.path}
    logger.info("an operator acts for a user", extra={**said, "app_id": app_id, "user_id": owner.user_id})


def idempotency_key(request: web.Request) -> str | None:
    """The request's Idempotency-Key, if any. Raises InvalidRequest for one that is not short and plain."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not key.isascii() or not key.replace("-", "").replace("_", "").isalnum() or len(key) > _MOST_KEY_CHARACTERS:
        rule = f"must be at most {_MOST_KEY_CHARACTERS} letters, digits, '-' or '_'"
        raise InvalidRequest(f"{IDEMPOTENCY_KEY}: {rule}", [IDEMPOTENCY_KEY])
    return key
