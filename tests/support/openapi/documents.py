"""OpenAPI 3.1 documents, made of an application's routes, of what they say and read, and of the wire models."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from aiohttp.hdrs import METH_HEAD
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from daemons.kit.openapi import JSON, SOCKET, TEXT, Answers, check_described, said_of
from daemons.kit.problems import HTTP_REASONS, Problems
from protocol.base import Envelope
from protocol.errors import ErrorReason
from tests.support.openapi.reading import Reads, reads_of

Schema = dict[str, Any]
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_REFUSED: Final = "#/components/responses/"
_REF: Final = "#/components/schemas/{model}"
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: What a WebSocket is refused with that is none.
_NO_UPGRADE: Final = 400
#: What aiohttp's parser answers.
_NO_HTTP: Final = 400


@dataclass(frozen=True)
class Plane:
    """A daemon as its contract sees it. `schemes` are the headers that prove callers, by the name of a scheme; `guards`
    are the alternatives that open a route, each of the schemes that it takes; `always` are refusals that every guarded
    route may have."""

    title: str
    about: str
    app: web.Application
    problems: Problems
    schemes: Mapping[str, Schema]
    guards: Callable[[str, str], Sequence[Sequence[str]]]
    envelope: bool = True
    always: Sequence[int] = ()
    more: Callable[[str, str], Sequence[int]] = field(default=lambda _method, _path: ())


class _Written(GenerateJsonSchema):
    """Answers have all of their fields: nulls are written out."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)

    def field_title_should_be_set(self, schema: object) -> bool:
        """Never: it would be the name once more."""
        return False


@dataclass(frozen=True)
class _Route:
    method: str
    path: str
    handler: Any
    said: Answers
    reads: Reads


class _Models:
    """The schemas of all models, which are made together so that each has one name."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, JsonSchemaMode], tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = {}
        self._made: Mapping[tuple[str, JsonSchemaMode], Schema] = {}
        self.definitions: dict[str, Schema] = {}

    def ask(self, kind: Any, mode: JsonSchemaMode) -> None:
        self._asked[(str(kind), mode)] = (str(kind), mode, TypeAdapter[Any](kind))

    def make(self) -> None:
        made, rest = TypeAdapter.json_schemas(list(self._asked.values()), ref_template=_REF, schema_generator=_Written)
        self._made, self.definitions = dict(made), rest.get("$defs", {})

    def of(self, kind: object, mode: JsonSchemaMode) -> Schema:
        return self._made[(str(kind), mode)]

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself where there is a reference to it."""
        reference = schema.get("$ref")
        return self.definitions[reference.rsplit("/", 1)[1]] if reference else schema


def document(plane: Plane) -> Schema:
    """The contract of a daemon. Raises ValueError that says which route lacks what."""
    check_described(plane.app.router)
    routes, models = list(_routes(plane)), _Models()
    for each in routes:
        for kind in _answered(each.said):
            models.ask(kind, "serialization")
        for kind in _taken(each):
            models.ask(kind, "validation")
    models.make()
    paths: dict[str, Schema] = {}
    for each in routes:
        paths.setdefault(each.path, {})[each.method.lower()] = _Operation(plane, each, models).made()
    written: Schema = {
        "openapi": "3.1.0",
        "info": {"title": plane.title, "version": version("funai-platform"), "description": plane.about},
        "paths": dict(sorted(paths.items())),
    }
    components: Schema = {
        "responses": _refusals(plane, written),
        "schemas": _needed(models.definitions, written),
        "securitySchemes": dict(plane.schemes),
    }
    return {**written, "components": components}


def _refusals(plane: Plane, written: Schema) -> dict[str, Schema]:
    """What the operations refer to, each once."""
    found = sorted(set(re.findall(rf"{_REFUSED}(Refused|Detail)(\d+)", str(written))))
    return {f"{form}{status}": _refusal(plane, form, int(status)) for form, status in found}


def _refusal(plane: Plane, form: str, status: int) -> Schema:
    given = {reason for code, reason in plane.problems.values() if code == status}
    given |= {HTTP_REASONS[status]} if status in HTTP_REASONS else set()
    reasons = sorted(reason.value for reason in given or set(ErrorReason))
    content = {JSON: {"schema": _refused(status, reasons) if form == "Refused" else _detail(reasons)}}
    if status == _NO_HTTP:
        # What is no HTTP, or has a line of more than 8 KiB, is answered before anything of ours sees it.
        content[TEXT] = {"schema": {"type": "string"}}
    return {"description": f"refused: {', '.join(reasons)}", "content": content}


def _routes(plane: Plane) -> Sequence[_Route]:
    found = []
    for route in plane.app.router.routes():
        if route.resource is None or (route.method == METH_HEAD and _has_get(plane.app, route)):
            continue
        said = said_of(route.handler)
        assert said is not None
        for method in _METHODS if route.method == "*" else (route.method,):
            found.append(_Route(method, route.resource.canonical, route.handler, said, reads_of(route.handler)))
    return sorted(found, key=lambda each: (each.path, each.method))


def _has_get(app: web.Application, route: web.AbstractRoute) -> bool:
    assert route.resource is not None
    return any(each.method == "GET" for each in route.resource)


def _answered(said: Answers) -> Sequence[object]:
    plain = [_inside(kind) for kind in (said.data, *said.also.values())]
    return [kind for kind in plain if kind is not None and not isinstance(kind, str)]


def _wraps(kind: object) -> bool:
    """Whether it is `Envelope[...]`, whatever a daemon does by itself."""
    return isinstance(kind, type) and issubclass(kind, Envelope)


def _inside(kind: object) -> object:
    """Of `Envelope[...]` what is in it, of anything else itself."""
    if isinstance(kind, type) and issubclass(kind, Envelope):
        return kind.__pydantic_generic_metadata__["args"][0]
    return kind


def _taken(route: _Route) -> Sequence[Any]:
    said, reads = route.said, route.reads
    named = [kind for kind in (said.body, *said.query) if kind is not None and not isinstance(kind, str)]
    return [*reads.bodies, *reads.queries, *named]


def _needed(definitions: Mapping[str, Schema], written: Schema) -> dict[str, Schema]:
    """Of all definitions those that something refers to."""
    needed: dict[str, Schema] = {}
    ahead = [written]
    while ahead:
        for name in re.findall(r"#/components/schemas/([\w.-]+)", str(ahead.pop())):
            if name not in needed:
                needed[name] = definitions[name]
                ahead.append(definitions[name])
    return dict(sorted(needed.items()))


class _Operation:
    """One operation of the document."""

    def __init__(self, plane: Plane, route: _Route, models: _Models) -> None:
        self._plane, self._route, self._models = plane, route, models
        self._said, self._reads = route.said, route.reads
        self._guards = plane.guards(route.method, route.path)
        self._wraps = plane.envelope if self._said.envelope is None else self._said.envelope

    def made(self) -> Schema:
        words = " ".join((self._route.handler.__doc__ or "").split())
        if self._reads.unclear and not (self._said.query or self._said.headers or self._said.body):
            raise ValueError(
                f"{self._name()}: its source does not tell what these read: {'; '.join(self._reads.unclear)}; "
                "say it with body=, query= or headers= of @Answers"
            )
        made: Schema = {
            "operationId": re.sub(r"\W+", "_", f"{self._route.method.lower()}{self._route.path}").strip("_"),
            "summary": words,
            "tags": [self._route.handler.__func__.__module__.rsplit(".", 1)[1]],
            "security": [{scheme: list[str]() for scheme in each} for each in self._guards],
        }
        if self._said.endless:
            made["x-endless"] = True
        if parameters := self._parameters():
            made["parameters"] = parameters
        if (body := self._body()) is not None:
            made["requestBody"] = body
        return made | {"responses": self._responses()}

    def _name(self) -> str:
        return f"{self._route.method} {self._route.path}"

    def _parameters(self) -> list[Schema]:
        made = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in _PARAMETER.findall(self._route.path)
        ]
        models = [kind for kind in (*self._reads.queries, *self._said.query) if not isinstance(kind, str)]
        queried: dict[str, Schema] = {}
        for model in models:
            whole = self._models.resolved(self._models.of(model, "validation"))
            for name, schema in whole.get("properties", {}).items():
                queried[name] = _query(name, _plain(schema), required=name in whole.get("required", ()))
        for name in sorted({*self._reads.parameters, *(kind for kind in self._said.query if isinstance(kind, str))}):
            queried.setdefault(name, _query(name, {"type": "string"}))
        for name, bounds in self._reads.numbers.items():
            queried[name] = _query(name, _number(*bounds))
        made += [queried[name] for name in sorted(queried)]
        proofs = {scheme.get("name", "Authorization") for scheme in self._plane.schemes.values()}
        for name in sorted({*self._reads.headers, *self._said.headers} - proofs):
            made.append({"name": name, "in": "header", "schema": {"type": "string"}})
        return made

    def _body(self) -> Schema | None:
        kinds = [*self._reads.bodies, *([self._said.body] if self._said.body is not None else [])]
        if not kinds:
            if self._reads.raw:
                raise ValueError(f"{self._name()}: it reads its body itself; say what is in it with body= of @Answers")
            return None
        if isinstance(self._said.body, str):
            return {"required": True, "content": {self._said.body: {"schema": {}}}}
        schemas = [self._models.of(kind, "validation") for kind in kinds]
        required = any(self._models.resolved(schema).get("required") for schema in schemas)
        whole = schemas[0] if len(schemas) == 1 else {"allOf": schemas}
        return {"required": required, "content": {JSON: {"schema": whole}}}

    def _responses(self) -> Schema:
        said = self._said
        made: Schema = {}
        for status, kind in {said.status: said.data, **said.also}.items():
            made[str(status)] = self._success(status, kind)
        for status in sorted(self._refusals()):
            if str(status) not in made:
                form = "Refused" if self._plane.envelope or self._said.envelope else "Detail"
                made[str(status)] = {"$ref": f"{_REFUSED}{form}{status}"}
        return dict(sorted(made.items()))

    def _success(self, status: int, kind: object) -> Schema:
        said = self._said
        if said.media == SOCKET:
            return {"description": "a WebSocket"}
        if status in (204, 304) or (isinstance(kind, str)):
            return {"description": kind if isinstance(kind, str) else "nothing to say"}
        if said.media != JSON:
            event = {"x-event-data": self._models.of(kind, "serialization")} if kind is not None else {}
            return {"description": "as it comes", "content": {said.media: {"schema": {"type": "string"}, **event}}}
        wraps, inner = self._wraps or _wraps(kind), _inside(kind)
        schema = {"type": "null"} if inner is None else self._models.of(inner, "serialization")
        return {"description": "done", "content": {JSON: {"schema": _wrapped(status, schema) if wraps else schema}}}

    def _refusals(self) -> set[int]:
        said, reads = self._said, self._reads
        found = {*said.refuses, *self._plane.more(self._route.method, self._route.path)}
        inputs = (reads.bodies, reads.queries, reads.numbers, reads.parameters, reads.headers, said.body, said.query)
        if any(inputs) or said.headers or _PARAMETER.search(self._route.path):
            found.add(400)
        if said.media == SOCKET:
            found.add(_NO_UPGRADE)
        if reads.bodies or said.body is not None:
            found.add(413)
        if self._guards:
            found |= {401, 403, *self._plane.always}
        return found


def _wrapped(status: int, data: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["code", "message", "data"],
        "properties": {"code": {"const": status}, "message": {"type": "string"}, "data": data},
    }


def _refused(status: int, reasons: Sequence[str]) -> Schema:
    made = _wrapped(status, {})
    made["properties"]["reason"] = {"enum": list(reasons)}
    return made | {"required": [*made["required"], "reason"]}


def _detail(reasons: Sequence[str]) -> Schema:
    return {
        "type": "object",
        "required": ["detail", "reason"],
        "properties": {"detail": {"type": "string"}, "reason": {"enum": list(reasons)}, "data": {}},
    }


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "schema": schema, **({"required": True} if required else {})}


def _plain(schema: Schema) -> Schema:
    """Of a parameter: one that is not given is not there, so nothing is null."""
    kinds = schema.get("anyOf")
    if not kinds:
        return schema
    left = [each for each in kinds if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default") or value is not None}
    rest.pop("anyOf", None)
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}


def _number(default: int | None, low: int, high: int) -> Schema:
    made: Schema = {"type": "integer", "description": f"taken as {low} at least and {high} at most"}
    return made | ({"default": default} if isinstance(default, int) else {})
