"""What Schemathesis cannot know of our daemons: ids of things that are there, how calls are signed, and that a call
which is parked for as long as it asks for would be parked for hours in all."""

import hashlib
import os
import time
import zlib
from typing import Any, Final

import orjson
import requests
import schemathesis
from schemathesis import HookContext

from protocol import headers
from protocol.client.signed import signed_headers
from protocol.webhooks import RESULTS_PATH, signature

_KNOWN: Final[dict[str, list[str]]] = orjson.loads(os.environ.get("FUNAI_KNOWN", "{}"))
_LONGEST_SECONDS: Final = 25
_DELIVERY_SECRET: Final = os.environ.get("FUNAI_DELIVERIES_SIGNED_WITH", "")
_SECRET: Final = os.environ.get("FUNAI_SIGNED_WITH", "")


@schemathesis.hook
def before_call(_context: HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Most ids are of somebody and something that is there; nobody waits for what does not come; what proves itself by
    a signature is signed last."""
    if "follow" in case.query:
        # The log of a job that waits ends when the job does.
        case.query["follow"] = "0"
    for given, place in ((case.path_parameters, "path."), (case.query, ""), (case.body, "body.")):
        if isinstance(given, dict):
            for name, value in list(given.items()):
                given[name] = (
                    0.01 if _waits(name, value) else _known((f"{case.path} {name}", place + name, name), value)
                )
    if _SECRET:
        kwargs["auth"] = _Signing()
    elif _DELIVERY_SECRET:
        kwargs["auth"] = _Delivering()


@schemathesis.serializer("application/offset+octet-stream")
def offset_bytes(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A part of a file."""
    return value if isinstance(value, bytes) else orjson.dumps(value, default=str)


def _known(names: tuple[str, ...], value: Any) -> Any:
    there = next((_KNOWN[name] for name in names if name in _KNOWN), [])
    chance = zlib.crc32(str(value).encode("utf-8", "surrogatepass"))
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    return there[chance // 4 % len(there)] if there and plain and chance % 4 else value


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


class _Delivering(requests.auth.AuthBase):
    """As the control plane signs results of jobs."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if request.path_url == RESULTS_PATH and headers.DELIVERY_SIGNATURE not in request.headers:
            body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
            now = int(time.time())
            request.headers[headers.DELIVERY_TIMESTAMP] = str(now)
            request.headers[headers.DELIVERY_SIGNATURE] = signature([_DELIVERY_SECRET], now, body)
        return request
