"""What Schemathesis cannot know of our daemons: ids of things that are there, how calls are signed, and that a call
which is parked for as long as it asks for would be parked for hours in all."""

import hashlib
import os
from typing import Any, Final

import orjson
import requests
import schemathesis
from schemathesis import HookContext

from protocol.client.signed import signed_headers

_KNOWN: Final[dict[str, list[str]]] = orjson.loads(os.environ.get("FUNAI_KNOWN", "{}"))
_LONGEST_SECONDS: Final = 25
_SECRET: Final = os.environ.get("FUNAI_SIGNED_WITH", "")


@schemathesis.hook
def before_call(_context: HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Ids of somebody and something that is there, but for some in paths; nobody waits for what does not come; what
    proves itself by a signature is signed last."""
    for name, value in list(case.path_parameters.items()):
        if len(str(value)) % 2:
            case.path_parameters[name] = _known(name, value)
    for name, value in list(case.query.items()):
        case.query[name] = _known(name, value)
    if isinstance(case.body, dict):
        for name, value in list(case.body.items()):
            case.body[name] = 0.01 if _waits(name, value) else _known(name, value)
    if _SECRET:
        kwargs["auth"] = _Signing()


@schemathesis.serializer("application/offset+octet-stream")
def offset_bytes(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A part of a file."""
    return value if isinstance(value, bytes) else orjson.dumps(value, default=str)


def _known(name: str, value: Any) -> Any:
    there = _KNOWN.get(name, [])
    return there[len(str(value)) % len(there)] if there and str(value).isalnum() else value


def _waits(name: str, value: object) -> bool:
    return name == "waitSeconds" and isinstance(value, int | float) and 0 < value <= _LONGEST_SECONDS


class _Signing(requests.auth.AuthBase):
    """As the API entry signs its calls of workspace nodes."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        raw, _, query = request.path_url.partition("?")
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        digest = hashlib.sha256(body).hexdigest()
        request.headers.update(signed_headers(_SECRET, request.method or "GET", raw, query, digest))
        return request
