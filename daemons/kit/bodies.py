"""The only reader of request bodies and of what stands in for one, and the only writer of answers."""

import re
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import orjson
from aiohttp import web
from pydantic import ValidationError
from pydantic_core import from_json

from protocol.base import Wire
from protocol.headers import EXPECTED_VERSION

Model = TypeVar("Model", bound=Wire)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
#: `protocol.versions`.
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class InvalidRequest(Exception):
    """The request is not well formed; `fields` names what is wrong, never with the offending value."""

    def __init__(self, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


async def read(request: web.Request, model: type[Model]) -> Model:
    """The request's JSON body as a wire model. Raises InvalidRequest that names every bad field."""
    return parse(await request.read(), model)


def parse(body: bytes, model: type[Model]) -> Model:
    """JSON bytes as a wire model. Raises InvalidRequest that names every bad field."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        named = [
            (".".join(str(part) for part in problem["loc"]) or "body", problem["msg"]) for problem in problems[:20]
        ]
        text = "; ".join(f"{field}: {message.removeprefix('Value error, ')}" for field, message in named)
        raise InvalidRequest(text, [field for field, _ in named]) from None


def plain(body: bytes) -> object:
    """A JSON document by the reader that models have, who takes more for JSON than others do: what this one cannot read
    is read by no handler. Raises ValueError."""
    return from_json(body)


def query(request: web.Request, model: type[Model]) -> Model:
    """The request's query parameters as a wire model; whole numbers and booleans are read from their text, where the
    model has them. Raises InvalidRequest that names every bad field."""
    kinds = {field.alias or name: _kinds(field.annotation) for name, field in model.model_fields.items()}
    read_as = {key: _typed(text, kinds.get(key, frozenset())) for key, text in request.query.items()}
    return parse(orjson.dumps(read_as), model)


def _kinds(annotation: object) -> frozenset[object]:
    """The types that a field may have, without what they are annotated with."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(inner[0])
    if origin in (Union, UnionType):
        return frozenset().union(*map(_kinds, inner))
    return frozenset({annotation})


def _typed(text: str, kinds: frozenset[object]) -> object:
    if str in kinds:
        return text
    if bool in kinds and text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if int in kinds and _INTEGER.fullmatch(text) else text


def number(request: web.Request, name: str, *, default: int, low: int, high: int) -> int:
    """A whole number from the query, clamped to low..high. Raises InvalidRequest for anything but a number."""
    text = request.query.get(name)
    if text is None or text == "":
        return default
    if not _INTEGER.fullmatch(text):
        raise InvalidRequest(f"{name}: must be a whole number", [name])
    return max(low, min(high, int(text)))


def expected(request: web.Request) -> str | None:
    """What the object of the change looked like to whoever decided it, if that was said. Raises InvalidRequest for what
    is no version."""
    given = request.headers.getall(EXPECTED_VERSION, [])
    if not given:
        return None
    if len(given) > 1 or not _VERSION.fullmatch(given[0]):
        rule = "must be given once and be 1 to 64 letters, digits, dots, dashes or underscores"
        raise InvalidRequest(f"{EXPECTED_VERSION}: {rule}", [EXPECTED_VERSION])
    return given[0]


def reply(data: Wire | Sequence[Wire] | str | None, *, status: int = 200) -> web.Response:
    """A success in the envelope."""
    plain: object
    if isinstance(data, Wire):
        plain = data.to_data()
    elif data is None or isinstance(data, str):
        plain = data
    else:
        plain = [item.to_data() for item in data]
    return _json({"code": status, "message": "ok", "data": plain}, status)


def refuse(status: int, message: str, reason: str, data: object = None) -> web.Response:
    """A failure in the envelope; the HTTP status equals `code`."""
    return _json({"code": status, "message": message, "data": data, "reason": reason}, status)


def bare(data: Wire | dict[str, Any], *, status: int = 200) -> web.Response:
    """An answer without an envelope, as agents give it."""
    return _json(data.to_data() if isinstance(data, Wire) else data, status)


def passed_on(answer: bytes) -> web.Response:
    """The success of another daemon as it came: JSON, in the envelope if the other has one. Nobody keeps it."""
    told = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=answer, content_type="application/json", headers=told)


def _json(document: object, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
