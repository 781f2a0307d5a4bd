"""Every answer that a daemon gives in a test, held against its contract as it was checked in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import jsonschema_rs
import orjson
from aiohttp import web

from daemons.kit.openapi import JSON
from tests.support.openapi.places import checked_in

#: Of every route: it answers for aiohttp, before anything of ours is asked.
_ANYWHERE: Final = (404, 405)


@contextmanager
def contracted(app: web.Application, name: str) -> Iterator[None]:
    """While it lasts, answers are looked at; at its end the first that the contract lacks fails the test."""
    found: list[str] = []
    _contract(name)

    async def look(request: web.Request, response: web.StreamResponse) -> None:
        resource, transport = request.match_info.route.resource, request.transport
        # An answer to who has gone is none.
        if resource is not None and transport is not None and not transport.is_closing():
            found.extend(_wrong(name, request.method, resource.canonical, response))

    app.on_response_prepare.append(look)
    yield
    assert not found, f"answers that the contract of {name} lacks:\n" + "\n".join(dict.fromkeys(found))


def _wrong(name: str, method: str, path: str, response: web.StreamResponse) -> Iterator[str]:
    operations = _contract(name)["paths"].get(path, {})
    operation = operations.get(method.lower()) or (operations.get("get") if method == "HEAD" else None)
    if operation is None:
        if response.status not in _ANYWHERE:
            yield f"{method} {path}: is in no contract; run `python -m tests.openapi`"
        return
    documented = operation["responses"].get(str(response.status))
    if documented is None:
        given = getattr(response, "text", None) if isinstance(response, web.Response) else ""
        yield f"{method} {path}: {response.status} is not documented: {(given or '')[:300]}"
        return
    if method != "HEAD":
        yield from (f"{method} {path}: {wrong}" for wrong in _document(name, _resolved(name, documented), response))


def _document(name: str, documented: dict[str, Any], response: web.StreamResponse) -> Iterator[str]:
    contents = documented.get("content", {})
    if contents and response.content_type not in contents:
        yield f"{response.status} of type {response.content_type}, documented {list(contents)}"
    elif contents and response.content_type == JSON and isinstance(body := getattr(response, "body", None), bytes):
        schema = orjson.dumps(contents[JSON]["schema"]).decode()
        for error in _validator(name, schema).iter_errors(orjson.loads(body)):
            yield f"{response.status}: {error.message[:300]} at {error.instance_path}"


@cache
def _contract(name: str) -> dict[str, Any]:
    contract: dict[str, Any] = orjson.loads(checked_in(name).read_bytes())
    return contract


def _resolved(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if (reference := schema.get("$ref")) is None:
        return schema
    resolved: dict[str, Any] = _contract(name)["components"]["responses"][reference.rsplit("/", 1)[1]]
    return resolved


@cache
def _validator(name: str, schema: str) -> jsonschema_rs.Draft202012Validator:
    whole = {**orjson.loads(schema), "components": _contract(name)["components"]}
    return jsonschema_rs.Draft202012Validator(whole)
