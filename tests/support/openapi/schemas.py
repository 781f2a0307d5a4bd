"""JSON schemas: of the wire models, of envelopes and refusals, and of parameters."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from daemons.kit.openapi import BYTES, FORM, HTML, JSON

Schema = dict[str, Any]
_REF: Final = "#/components/schemas/{model}"


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


class Models:
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

    def has(self, kind: object, names: Collection[str]) -> bool:
        """Whether a model that is taken has one of these fields."""
        return not self.resolved(self.of(kind, "validation")).get("properties", {}).keys().isdisjoint(names)

    def leave_out(self, kind: object, names: Collection[str]) -> None:
        """Of a model that is taken: these fields are not its sender's to say."""
        whole = self.resolved(self.of(kind, "validation"))
        for name in names:
            whole.get("properties", {}).pop(name, None)
        if "required" in whole:
            whole["required"] = [name for name in whole["required"] if name not in names]

    def of(self, kind: object, mode: JsonSchemaMode) -> Schema:
        return self._made[(str(kind), mode)]

    def resolved(self, schema: Schema) -> Schema:
        """The schema itself where there is a reference to it."""
        reference = schema.get("$ref")
        return self.definitions[reference.rsplit("/", 1)[1]] if reference else schema


def wrapped(status: int, data: Schema) -> Schema:
    """An envelope."""
    return {
        "type": "object",
        "required": ["code", "message", "data"],
        "properties": {"code": {"const": status}, "message": {"type": "string"}, "data": data},
    }


def page(status: int) -> Schema:
    """An answer that is a page, or a document to who accepts that alone."""
    document = wrapped(status, {})
    document["properties"]["reason"] = {"type": "string"}
    contents = {HTML: {"schema": {"type": "string"}}, JSON: {"schema": document}}
    return {"description": "says so to people, or to who accepts documents alone", "content": contents}


def refused(status: int, reasons: Sequence[str]) -> Schema:
    """A refusal in an envelope."""
    made = wrapped(status, {})
    made["properties"]["reason"] = {"enum": list(reasons)}
    return made | {"required": [*made["required"], "reason"]}


def detail(reasons: Sequence[str]) -> Schema:
    """A refusal of an agent."""
    return {
        "type": "object",
        "required": ["detail", "reason"],
        "properties": {"detail": {"type": "string"}, "reason": {"enum": list(reasons)}, "data": {}},
    }


def carried(media: str) -> Schema:
    """A file that is a body, or the only field of a form."""
    if media != FORM:
        return {}
    file = {"type": "string", "contentMediaType": BYTES}
    return {"type": "object", "required": ["file"], "properties": {"file": file}}


def query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, **({"required": True} if required else {})}


def plain(schema: Schema) -> Schema:
    """Of a parameter: one that is not given is not there, so nothing is null."""
    kinds = schema.get("anyOf")
    if not kinds:
        return schema
    left = [each for each in kinds if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default") or value is not None}
    rest.pop("anyOf", None)
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}


def number(default: int | None, low: int, high: int) -> Schema:
    """A whole number that is brought into its bounds."""
    made: Schema = {"type": "integer", "description": f"taken as {low} at least and {high} at most"}
    return made | ({"default": default} if isinstance(default, int) else {})
