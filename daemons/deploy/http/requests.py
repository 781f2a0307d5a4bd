"""What several handlers read from a request: ids in paths, who is calling and under which key."""

import re
from typing import Final

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import JobNotFound
from daemons.deploy.services.orders import Caller
from daemons.kit.auth import CALLER, SOURCE
from daemons.kit.bodies import InvalidRequest
from protocol.headers import IDEMPOTENCY_KEY
from protocol.names import AppId

_APP_ID: Final = TypeAdapter[str](AppId)
_JOB_ID: Final = re.compile(r"[0-9a-f-]{36}")
#: Spaces only inside: some databases compare text without those at its end.
_KEY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def job_id(request: web.Request) -> str:
    """The job id in the path. Raises JobNotFound for what cannot be one."""
    text = request.match_info["job_id"]
    if not _JOB_ID.fullmatch(text):
        raise JobNotFound(text if text.isalnum() and len(text) <= 64 else "of that id")
    return text


def app_in_path(request: web.Request) -> str:
    """The app id in the path. Raises InvalidRequest for what cannot be one."""
    try:
        return _APP_ID.validate_python(request.match_info["app_id"])
    except ValidationError as error:
        rule = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"appId: {rule}", ["appId"]) from None


def caller(request: web.Request) -> Actor:
    """The kind of caller that was admitted and where it called from."""
    return Actor(request.get(CALLER, "anyone"), request.get(SOURCE) or None)


def orderer(request: web.Request) -> Caller:
    """Who orders, and the request's Idempotency-Key, if any. Raises InvalidRequest for a key that is none."""
    given = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not given:
        return Caller(caller(request))
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        rule = "must be given once and be 1 to 128 printable ASCII characters"
        raise InvalidRequest(f"{IDEMPOTENCY_KEY}: {rule}", [IDEMPOTENCY_KEY])
    return Caller(caller(request), given[0])
