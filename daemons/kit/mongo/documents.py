"""What the explorer passes on to MongoDB: JSON texts of people, read into documents without anything that runs code.

Operators are admitted by name. `$where`, `$function`, `$accumulator`, mapReduce and whatever a newer server knows are
not among them. What was checked is what is sent: nobody reads the text a second time.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

_DEEPEST: Final = 32
_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


#: Values that JSON has no notation for, as MongoDB's extended JSON (version 2) writes them.
_TYPES: Final = _words(
    "$oid $date $numberInt $numberLong $numberDouble $numberDecimal $uuid $binary $timestamp $minKey $maxKey",
    "$regularExpression",
)
_QUERY: Final = _words(
    "$eq $ne $gt $gte $lt $lte $in $nin $and $or $nor $not $exists $type $mod $regex $options $size $all $elemMatch",
    "$bitsAllClear $bitsAllSet $bitsAnyClear $bitsAnySet $text $search $language $caseSensitive $diacriticSensitive",
    "$geoWithin $geoIntersects $near $nearSphere $geometry $box $center $centerSphere $polygon $maxDistance",
    "$minDistance $comment $expr",
)
_UPDATE: Final = _words(
    "$set $unset $setOnInsert $inc $mul $min $max $rename $currentDate $bit $push $pull $pullAll $pop $addToSet $each",
    "$position $slice $sort",
)
_RUNS_CODE: Final = _words("$where $function $accumulator $code $scope $reduce")
#: Types of a field that the API's form knows, and MongoDB's own.
_BSON_TYPES: Final = _words(
    "double string object array binData objectId bool date null regex int timestamp long decimal number"
)
_TYPES_OF_FORMS: Final = {
    "integer": "int",
    "int32": "int",
    "int64": "long",
    "boolean": "bool",
    "float": "double",
    "text": "string",
    "str": "string",
    "datetime": "date",
    "oid": "objectId",
    "objectid": "objectId",
    "map": "object",
    "list": "array",
}


class Purpose(StrEnum):
    """What a text is for; each has operators of its own."""

    FILTER = "filter"
    PROJECTION = "projection"
    SORT = "sort"
    DOCUMENT = "doc"
    UPDATE = "update"
    FIELDS = "fields"


_ALLOWED: Final[Mapping[Purpose, frozenset[str]]] = {
    Purpose.FILTER: _QUERY | _TYPES,
    Purpose.PROJECTION: frozenset({"$slice", "$elemMatch", "$meta"}) | _QUERY | _TYPES,
    Purpose.SORT: frozenset({"$meta"}),
    Purpose.DOCUMENT: _TYPES,
    Purpose.UPDATE: _UPDATE | _QUERY | _TYPES,
    Purpose.FIELDS: frozenset(),
}

Document = dict[str, Any]


class BadDocument(Exception):
    """The text is not a document that may be sent; the message names the parameter and never its content."""


class SystemCollection(Exception):
    """The collection belongs to MongoDB itself."""


def document(text: str | None, purpose: Purpose) -> Document:
    """The text as a document in extended JSON; empty without a text. Raises BadDocument."""
    found = _parsed(text, purpose)
    if not isinstance(found, dict):
        raise BadDocument(f"{purpose}: must be a JSON object")
    return found


def new_document(text: str) -> Document:
    """A document to be stored. Raises BadDocument."""
    found = document(text, Purpose.DOCUMENT)
    if not found:
        raise BadDocument("doc: must not be empty")
    return found


def update(text: str) -> Document:
    """An update by operators such as `$set`. Raises BadDocument."""
    found = document(text, Purpose.UPDATE)
    if not found or any(key not in _UPDATE for key in found):
        raise BadDocument('update: must consist of update operators, such as {"$set": {"name": "new"}}')
    return found


def order(text: str | None) -> Document:
    """A sort order, its keys in the text's order. Raises BadDocument."""
    found = document(text, Purpose.SORT)
    for direction in found.values():
        if direction not in (1, -1) and not isinstance(direction, dict):
            raise BadDocument("sort: each field's direction must be 1 or -1")
    return found


def validator(text: str | None) -> Document:
    """The JSON schema of a collection, from one or from a list of `{name, type, required, nullable}`; empty without."""
    found = _parsed(text, Purpose.FIELDS)
    if isinstance(found, dict):
        return {"$jsonSchema": found} if found else {}
    if not isinstance(found, list):
        raise BadDocument("fields: must be a JSON schema or a list of fields")
    return {"$jsonSchema": _schema(found)} if found else {}


def own_collection(name: str) -> str:
    """The name of a collection that is the app's own. Raises SystemCollection."""
    if name.startswith("system."):
        raise SystemCollection(f"collection: {name} is MongoDB's own; choose one of the app's")
    return name


def document_id(text: str) -> Any:
    """A document's id in extended JSON: 24 hexadecimal digits are an ObjectId, anything else is a string."""
    return {"$oid": text.lower()} if _OBJECT_ID.fullmatch(text) else text


def _parsed(text: str | None, purpose: Purpose) -> Any:
    if text is None or not text.strip():
        return {}
    try:
        found = json.loads(text, parse_constant=_no_constant)
        _check(found, purpose)
    except (ValueError, RecursionError):
        raise BadDocument(f"{purpose}: is not JSON") from None
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check(value: Any, purpose: Purpose) -> None:
    for key, depth in _keys(value, 1):
        if depth > _DEEPEST:
            raise BadDocument(f"{purpose}: is nested more than {_DEEPEST} levels deep")
        if "\0" in key:
            raise BadDocument(f"{purpose}: a field name holds a zero byte")
        if key.startswith("$") and key not in _ALLOWED[purpose]:
            shown = key if key.lstrip("$").isalnum() and len(key) <= 40 else "an operator"
            why = "runs code" if key in _RUNS_CODE else "is not among those that the explorer knows here"
            raise BadDocument(f"{purpose}: {shown} {why}; leave it out")


def _keys(value: Any, depth: int) -> Iterator[tuple[str, int]]:
    pending = [(value, depth)]
    while pending:
        each, level = pending.pop()
        if isinstance(each, dict):
            yield from ((key, level) for key in each)
            pending.extend((inner, level + 1) for inner in each.values())
        elif isinstance(each, list):
            yield "", level
            pending.extend((inner, level + 1) for inner in each)


def _schema(fields: Sequence[Any]) -> Document:
    properties: Document = {}
    required = []
    for each in fields:
        name, kind = _field(each)
        properties[name] = {"bsonType": [kind, "null"] if each.get("nullable") is True else kind}
        if each.get("required") is True:
            required.append(name)
    return {"bsonType": "object", "properties": properties} | ({"required": required} if required else {})


def _field(each: Any) -> tuple[str, str]:
    name = each.get("name") if isinstance(each, dict) else None
    kind = each.get("type") if isinstance(each, dict) else None
    if not isinstance(name, str) or not 1 <= len(name) <= 120 or set(name) & {"$", "\0", "."}:
        raise BadDocument("fields: each needs a name of 1 to 120 characters without '$' and '.'")
    found = _TYPES_OF_FORMS.get(str(kind), str(kind))
    if found not in _BSON_TYPES:
        raise BadDocument(f"fields: the type of a field must be one of {', '.join(sorted(_BSON_TYPES))}")
    return name, found
