"""OpenAPI 3.1 documents, made of an application's routes, of what they say and read, and of the wire models."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from aiohttp.hdrs import METH_HEAD

from daemons.kit.openapi import JSON, SOCKET, TEXT, Answers, check_described, said_of
from daemons.kit.problems import HTTP_REASONS, Problems
from protocol.base import Envelope
from protocol.errors import ErrorReason
from tests.support.openapi import schemas
from tests.support.openapi.reading import Reads, reads_of
from tests.support.openapi.schemas import Models, Schema

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_REFUSED: Final = "#/components/responses/"
_MARK: Final = "#/components/headers/"
#: What a WebSocket is refused with that is none.
_NO_UPGRADE: Final = 400
#: What aiohttp's parser answers.
_NO_HTTP: Final = 400


@dataclass(frozen=True)
class Behind:
    """A daemon that calls are passed on to, by routes whose answers have status 0. `filled` are the names that whoever
    passes on says in query and body itself, `passed` are the headers that go on, in lower case, and `marks` are those
    that an answer may have besides, with what they tell."""

    plane: "Plane"
    filled: Collection[str]
    passed: Collection[str]
    marks: Mapping[str, str]


@dataclass(frozen=True)
class Plane:
    """A daemon as its contract sees it. `schemes` are the headers that prove callers, by the name of a scheme; `guards`
    are the alternatives that open a route, each of the schemes that it takes; `always` are refusals that every guarded
    route may have; `behind` answers what is only passed on."""

    title: str
    about: str
    app: web.Application
    problems: Problems
    schemes: Mapping[str, Schema]
    guards: Callable[[str, str], Sequence[Sequence[str]]]
    envelope: bool = True
    always: Sequence[int] = ()
    more: Callable[[str, str], Sequence[int]] = field(default=lambda _method, _path: ())
    behind: Behind | None = None


@dataclass(frozen=True)
class _Route:
    """`passes` is what the handler says that passes the call on to this route of the daemon behind."""

    method: str
    path: str
    handler: Any
    said: Answers
    reads: Reads
    passes: Answers | None = None


def document(plane: Plane) -> Schema:
    """The contract of a daemon. Raises ValueError that says which route lacks what."""
    check_described(plane.app.router)
    routes, models = list(_routes(plane)), Models()
    for each in routes:
        for kind in _answered(each.said):
            models.ask(kind, "serialization")
        for kind in _taken(each):
            models.ask(kind, "validation")
    models.make()
    if plane.behind is not None:
        for kind in _passed_bodies(routes, models, plane.behind.filled):
            models.leave_out(kind, plane.behind.filled)
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
    if plane.behind is not None:
        marks = plane.behind.marks.items()
        components["headers"] = {name: {"description": about, "schema": {"type": "string"}} for name, about in marks}
    return {**written, "components": components}


def _passed_bodies(routes: Sequence[_Route], models: Models, filled: Collection[str]) -> Sequence[Any]:
    """The models of bodies that are passed on with fields that are filled in. Raises ValueError for one that is also
    told or taken here, whole."""
    bodies = [kind for route in routes if route.passes for kind in route.reads.bodies]
    passed = {str(kind): kind for kind in bodies if models.has(kind, filled)}
    here = [kind for route in routes if not route.passes for kind in (*_taken(route), *_answered(route.said))]
    if twice := [kind for kind in map(str, here) if kind in passed]:
        raise ValueError(f"{twice} would have two schemas of one name; give one of them a model of its own")
    return list(passed.values())


def _refusals(plane: Plane, written: Schema) -> dict[str, Schema]:
    """What the operations refer to, each once."""
    found = sorted(set(re.findall(rf"{_REFUSED}(Refused|Detail|Passed)(\d+)", str(written))))
    return {f"{form}{status}": _refusal(plane, form, int(status)) for form, status in found}


def _refusal(plane: Plane, form: str, status: int) -> Schema:
    passed = plane.behind if form == "Passed" else None
    problems = [*plane.problems.values(), *(passed.plane.problems.values() if passed else ())]
    given = {reason for code, reason in problems if code == status}
    given |= {HTTP_REASONS[status]} if status in HTTP_REASONS else set()
    reasons = sorted(reason.value for reason in given or set(ErrorReason))
    content = {JSON: {"schema": schemas.detail(reasons) if form == "Detail" else schemas.refused(status, reasons)}}
    if status == _NO_HTTP:
        # What is no HTTP, or has a line of more than 8 KiB, is answered before anything of ours sees it.
        content[TEXT] = {"schema": {"type": "string"}}
    refusal = {"description": f"refused: {', '.join(reasons)}", "content": content}
    return _marked(refusal, passed) if passed else refusal


def _marked(answer: Schema, behind: Behind) -> Schema:
    """An answer with what is added to it on its way back."""
    return {**answer, "headers": {name: {"$ref": f"{_MARK}{name}"} for name in behind.marks}}


def _routes(plane: Plane) -> Sequence[_Route]:
    found = []
    for route in plane.app.router.routes():
        if route.resource is None or (route.method == METH_HEAD and _has_get(plane.app, route)):
            continue
        said = said_of(route.handler)
        assert said is not None
        path = route.resource.canonical
        if said.status or plane.behind is None:
            found.append(_Route(route.method, path, route.handler, said, reads_of(route.handler)))
        else:
            found.append(_passed_on(plane.behind.plane.app, route.method, path, said))
    return sorted(found, key=lambda each: (each.path, each.method))


def _passed_on(app: web.Application, method: str, path: str, passes: Answers) -> _Route:
    """The route of the daemon behind that answers such a call. Raises ValueError when it has none."""
    for route in app.router.routes():
        if route.resource is not None and (route.method, route.resource.canonical) == (method, path):
            said = said_of(route.handler)
            assert said is not None
            return _Route(method, path, route.handler, said, reads_of(route.handler), passes)
    raise ValueError(f"{method} {path} is passed on, but whom it is passed on to has no such route")


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
    named = [kind for kind in (said.body, *said.query) if kind is not None and not isinstance(kind, str | tuple)]
    return [*reads.bodies, *(kind for kinds in reads.queries for kind in kinds), *named]


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

    def __init__(self, plane: Plane, route: _Route, models: Models) -> None:
        self._plane, self._route, self._models = plane, route, models
        self._said, self._reads = route.said, route.reads
        self._guards = plane.guards(route.method, route.path)
        self._wraps = plane.envelope if self._said.envelope is None else self._said.envelope
        self._behind = plane.behind if route.passes else None

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
            "tags": [self._tag()],
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

    def _tag(self) -> str:
        *_, daemon, _, module = self._route.handler.__func__.__module__.split(".")
        return f"{daemon}_{module}" if self._behind else module

    def _parameters(self) -> list[Schema]:
        made = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in _PARAMETER.findall(self._route.path)
        ]
        queried = self._modelled()
        for name in sorted({*self._reads.parameters, *(kind for kind in self._said.query if isinstance(kind, str))}):
            queried.setdefault(name, schemas.query(name, {"type": "string"}))
        for name, bounds in self._reads.numbers.items():
            queried[name] = schemas.query(name, schemas.number(*bounds))
        made += [queried[name] for name in sorted(queried) if self._behind is None or name not in self._behind.filled]
        return made + [{"name": name, "in": "header", "schema": {"type": "string"}} for name in self._headers()]

    def _headers(self) -> Sequence[str]:
        proofs = {scheme.get("name", "Authorization") for scheme in self._plane.schemes.values()}
        read = sorted({*self._reads.headers, *self._said.headers} - proofs)
        return [name for name in read if self._behind is None or name.lower() in self._behind.passed]

    def _modelled(self) -> dict[str, Schema]:
        """The fields of the models that the query is read as; of several that it may be, all have what is required."""
        made: dict[str, Schema] = {}
        for kinds in [*self._reads.queries, *((kind,) for kind in self._said.query if not isinstance(kind, str))]:
            wholes = [self._models.resolved(self._models.of(kind, "validation")) for kind in kinds]
            required = set.intersection(*(set(whole.get("required", ())) for whole in wholes)) if wholes else set()
            for name, schema in (
                (name, schema) for whole in wholes for name, schema in whole.get("properties", {}).items()
            ):
                made[name] = schemas.query(name, schemas.plain(schema), required=name in required)
        return made

    def _body(self) -> Schema | None:
        kinds = [*self._reads.bodies, *([self._said.body] if self._said.body is not None else [])]
        if not kinds:
            if self._reads.raw and self._said.status:
                raise ValueError(f"{self._name()}: it reads its body itself; say what is in it with body= of @Answers")
            return None
        if isinstance(self._said.body, str | tuple):
            media = (self._said.body,) if isinstance(self._said.body, str) else self._said.body
            return {"required": True, "content": {each: {"schema": schemas.carried(each)} for each in media}}
        models = [self._models.of(kind, "validation") for kind in kinds]
        required = any(self._models.resolved(schema).get("required") for schema in models)
        whole = models[0] if len(models) == 1 else {"allOf": models}
        return {"required": required, "content": {JSON: {"schema": whole}}}

    def _responses(self) -> Schema:
        said = self._said
        made: Schema = {}
        for status, kind in {said.status: said.data, **said.also}.items():
            made[str(status) if status else "default"] = self._success(status, kind)
        made |= {str(status): schemas.page(status) for status in said.pages}
        if self._behind is not None:
            made = {status: _marked(answer, self._behind) for status, answer in made.items()}
        for status in sorted(self._refusals()):
            if str(status) not in made:
                made[str(status)] = {"$ref": f"{_REFUSED}{self._form()}{status}"}
        return dict(sorted(made.items()))

    def _form(self) -> str:
        if self._behind is not None:
            return "Passed"
        return "Refused" if self._plane.envelope or self._said.envelope else "Detail"

    def _success(self, status: int, kind: object) -> Schema:
        said = self._said
        if said.media == SOCKET:
            return {"description": "a WebSocket"}
        if status in (204, 304) or (isinstance(kind, str)):
            return {"description": kind if isinstance(kind, str) else "nothing to say"}
        if said.media != JSON:
            event = {"x-event-data": self._models.of(kind, "serialization")} if kind is not None else {}
            kinds = (said.media,) if isinstance(said.media, str) else said.media
            content = {media: {"schema": {"type": "string"}, **event} for media in kinds}
            return {"description": "as it comes", "content": content}
        wraps, inner = self._wraps or _wraps(kind), _inside(kind)
        schema = {"type": "null"} if inner is None else self._models.of(inner, "serialization")
        return {
            "description": "done",
            "content": {JSON: {"schema": schemas.wrapped(status, schema) if wraps else schema}},
        }

    def _refusals(self) -> set[int]:
        said, reads = self._said, self._reads
        found = {*said.refuses, *self._plane.more(self._route.method, self._route.path)}
        if self._behind is not None and self._route.passes is not None:
            beyond = self._behind.plane
            found |= {*self._route.passes.refuses, *beyond.always, *beyond.more(self._route.method, self._route.path)}
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
