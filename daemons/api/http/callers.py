"""Who calls: the gates of the API entry, and the person behind an admitted request."""

from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

from daemons.api.domain.access import Subject
from daemons.kit.auth import CALLER, Gate, Network
from daemons.kit.bodies import InvalidRequest
from protocol.headers import ADMIN_TOKEN, AUTHORIZATION, IDEMPOTENCY_KEY

_USER: Final = "user:"
_MOST_KEY_CHARACTERS: Final = 64


def user_gates(tokens: Mapping[int, Sequence[str]]) -> tuple[Gate, ...]:
    """One gate per user; the gate's name carries the user's id to `subject`."""
    return tuple(
        Gate(f"{_USER}{user_id}", AUTHORIZATION, tuple(live), scheme="Bearer ") for user_id, live in tokens.items()
    )


def admin_gate(tokens: Sequence[str], networks: Sequence[Network] = ()) -> Gate:
    """The operators' gate; `networks` are where they may call from, all when there are none."""
    return Gate("admin", ADMIN_TOKEN, tuple(tokens), networks=tuple(networks))


def subject(request: web.Request) -> Subject:
    """The person whose token opened the route."""
    return Subject(int(request[CALLER].removeprefix(_USER)))


def idempotency_key(request: web.Request) -> str | None:
    """The request's Idempotency-Key, if any. Raises InvalidRequest for one that is not short and plain."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not key.isascii() or not key.replace("-", "").replace("_", "").isalnum() or len(key) > _MOST_KEY_CHARACTERS:
        rule = f"must be at most {_MOST_KEY_CHARACTERS} letters, digits, '-' or '_'"
        raise InvalidRequest(f"{IDEMPOTENCY_KEY}: {rule}", [IDEMPOTENCY_KEY])
    return key
