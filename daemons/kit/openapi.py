"""What each route answers, said where its handler is, and the contract that is made of it and served.

What a handler reads is not said twice: the contract takes it from the handler's own calls of `daemons.kit.bodies`.
"""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, TypeVar

from aiohttp import web

from daemons.kit.settings import Misconfigured

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[web.StreamResponse]])

PATH: Final = "/openapi.json"
FILE: Final = "openapi.json"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
BYTES: Final = "application/octet-stream"
FORM: Final = "multipart/form-data"
TEXT: Final = "text/plain"
HTML: Final = "text/html"
SOCKET: Final = "websocket"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a handler answers with, and what its source cannot tell of what it reads.

    `data` is the type of a success, as pydantic reads types; `media` its content type, and where that is not JSON
    `data` is the type of one event, or None. `refuses` are statuses beyond those that every route of its kind may have
    (see `docs/openapi.md`); their reasons are those of the daemon's table of problems. `envelope` overrides how the
    daemon wraps. `also` are further successes; a text in place of a type describes an answer without a document.
    Status 0 stands for what another daemon answers: the call is passed on to its route of the same path. `body` is a
    model, or the content type of bytes or several, `query` and `headers` are models or names. `endless`: the answer
    ends when the reader does. `pages` are statuses that come as a page, or as a document to who accepts that alone.
    """

    data: object = None
    status: int = 200
    media: str | Sequence[str] = JSON
    refuses: Sequence[int] = ()
    also: Mapping[int, object] = field(default_factory=dict)
    envelope: bool | None = None
    body: object = None
    query: Sequence[object] = ()
    headers: Sequence[str] = ()
    endless: bool = False
    pages: Sequence[int] = ()

    def __call__(self, handler: Handler) -> Handler:
        """Says it of a handler."""
        _SAID[handler] = self
        return handler


_SAID: Final[dict[object, Answers]] = {}


def said_of(handler: object) -> Answers | None:
    """What was said of a handler, bound or not; of one that is made for a row of a table its object's `answers`."""
    own = getattr(getattr(handler, "__self__", None), "answers", None)
    return own if isinstance(own, Answers) else _SAID.get(getattr(handler, "__func__", handler))


def check_described(router: web.UrlDispatcher) -> None:
    """Raises Misconfigured that names every route whose answers nobody said."""
    silent = [
        f"{route.method} {route.resource.canonical} ({_place(route.handler)})"
        for route in router.routes()
        if route.resource is not None and said_of(route.handler) is None
    ]
    if silent:
        raise Misconfigured(
            f"nothing says what these routes answer: {', '.join(silent)}; put @Answers(...) of daemons.kit.openapi "
            "above each handler (docs/openapi.md tells how), then run `python -m tests.openapi`"
        )


def _place(handler: object) -> str:
    function = getattr(handler, "__func__", handler)
    return f"{getattr(function, '__qualname__', function)} in {getattr(inspect.getmodule(function), '__name__', '?')}"


class ContractRoutes:
    """`GET /openapi.json`: the contract as it was checked in with the daemon's package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def table(self) -> list[web.RouteDef]:
        """The route, open to anyone: what it shows is no secret."""
        return [web.get(PATH, self.show)]

    @Answers(dict[str, Any], envelope=False)
    async def show(self, _request: web.Request) -> web.Response:
        """This document."""
        return web.Response(body=await asyncio.to_thread(document_of, self._package), content_type=JSON)


def document_of(package: str) -> bytes:
    """The contract in a daemon's package."""
    return (files(package) / FILE).read_bytes()


def print_contract_if_asked(package: str) -> None:
    """For `python -m daemons.NAME openapi`: prints the contract and ends the process."""
    if sys.argv[1:] == ["openapi"]:
        sys.stdout.buffer.write(document_of(package))
        raise SystemExit(0)
