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
def map_path_parameters(_context: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Every second id is one that is there."""
    for name, value in (path_parameters or {}).items():
        if name in _KNOWN and path_parameters is not None and len(str(value)) % 2:
            path_parameters[name] = _KNOWN[name][len(str(value)) % len(_KNOWN[name])]
    return path_parameters


@schemathesis.hook
def before_call(_context: HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Nobody waits for what does not come; what proves itself by a signature is signed last."""
    if _SECRET:
        kwargs["auth"] = _Signing()
    body = case.body
    if isinstance(body, dict):
        seconds = body.get("waitSeconds")
        if isinstance(seconds, int | float) and 0 < seconds <= _LONGEST_SECONDS:
            case.body = {**body, "waitSeconds": 0.01}


class _Signing(requests.auth.AuthBase):
    """As the API entry signs its calls of workspace nodes."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        raw, _, query = request.path_url.partition("?")
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        digest = hashlib.sha256(body).hexdigest()
        request.headers.update(signed_headers(_SECRET, request.method or "GET", raw, query, digest))
        return request
