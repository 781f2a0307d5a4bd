"""The little of MongoDB's query language that tests need, over documents of any kind of values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Document = dict[str, Any]

_VALUES = frozenset({"$oid", "$date", "$numberLong"})


class Wrong(Exception):
    """The query is refused, with a code of MongoDB's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _compare(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: value is not None and type(value) is type(wanted) and holds(value, wanted)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$gt": _compare(lambda value, wanted: bool(value > wanted)),
    "$gte": _compare(lambda value, wanted: bool(value >= wanted)),
    "$lt": _compare(lambda value, wanted: bool(value < wanted)),
    "$in": lambda value, wanted: value in wanted,
    "$exists": lambda value, wanted: (value is not None) is wanted,
    "$regex": lambda value, wanted: isinstance(value, str) and re.search(wanted, value) is not None,
}


def _operators(condition: Any) -> bool:
    return isinstance(condition, dict) and any(key.startswith("$") and key not in _VALUES for key in condition)


def fits(document: Document, query: Mapping[str, Any]) -> bool:
    """Whether the document is one of those asked for."""
    for key, condition in query.items():
        if key == "$and":
            if not all(fits(document, each) for each in condition):
                return False
            continue
        if key.startswith("$"):
            raise Wrong(2, f"unknown top level operator: {key}")
        tests = condition if _operators(condition) else {"$eq": condition}
        for operator, wanted in tests.items():
            if operator not in _OPERATORS:
                raise Wrong(2, f"unknown operator: {operator}")
            if not _OPERATORS[operator](document.get(key), wanted):
                return False
    return True


def shown(document: Document, projection: Mapping[str, Any]) -> Document:
    """The document's fields that are asked for."""
    if not projection:
        return dict(document)
    included = {key for key, how in projection.items() if how} | ({"_id"} if projection.get("_id", 1) else set())
    if any(how for key, how in projection.items() if key != "_id"):
        return {key: value for key, value in document.items() if key in included}
    return {key: value for key, value in document.items() if key not in projection}


def changed(document: Document, update: Mapping[str, Any], *, new: bool) -> Document:
    """The document after an update."""
    after = dict(document)
    for operator, fields in update.items():
        for key, value in fields.items():
            if operator == "$set" or (operator == "$setOnInsert" and new):
                after[key] = value
            elif operator == "$unset":
                after.pop(key, None)
            elif operator == "$inc":
                after[key] = after.get(key, 0) + value
            elif operator != "$setOnInsert":
                raise Wrong(9, f"Unknown modifier: {operator}")
    return after


def _rank(key: str, document: Document) -> Any:
    return key in document, document.get(key)


@dataclass
class Collection:
    """Documents in the order of their making, and the rules for new ones."""

    new_id: Callable[[], Any]
    documents: list[Document] = field(default_factory=list)
    validator: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False

    def find(
        self, query: Mapping[str, Any], projection: Mapping[str, Any], order: Mapping[str, Any], skip: int, limit: int
    ) -> list[Document]:
        """Those that fit."""
        found = [each for each in self.documents if fits(each, query)]
        for key, direction in reversed(tuple(order.items())):
            found.sort(key=partial(_rank, key), reverse=direction == -1)
        end = skip + limit if limit else None
        return [shown(each, projection) for each in found[skip:end]]

    def insert(self, document: Document) -> Any:
        """The new id."""
        new = {"_id": document.get("_id", self.new_id()), **document}
        if any(each["_id"] == new["_id"] for each in self.documents):
            raise Wrong(11000, "E11000 duplicate key error")
        required = self.validator.get("$jsonSchema", {}).get("required", [])
        if self.strict and any(name not in new for name in required):
            raise Wrong(121, "Document failed validation")
        self.documents.append(new)
        return new["_id"]

    def update(self, query: Mapping[str, Any], update: Mapping[str, Any], *, upsert: bool) -> tuple[int, int, Any]:
        """How many fitted, how many changed, and the id of a new one."""
        for index, each in enumerate(self.documents):
            if fits(each, query):
                after = changed(each, update, new=False)
                self.documents[index] = after
                return 1, int(after != each), None
        if not upsert:
            return 0, 0, None
        plain = {key: value for key, value in query.items() if not _operators(value)}
        return 0, 0, self.insert(changed(plain, update, new=True))

    def delete(self, query: Mapping[str, Any]) -> int:
        """0 or 1."""
        for index, each in enumerate(self.documents):
            if fits(each, query):
                del self.documents[index]
                return 1
        return 0
