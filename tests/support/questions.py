"""Questions to the database of an app, as they are sent to whoever passes them on: node, control plane or API."""

from collections.abc import Sequence
from typing import Final

#: Method, last word of the path (with its query) and body of each call.
CALLS: Final[Sequence[tuple[str, str, object]]] = (
    ("GET", "collections", None),
    ("POST", "find", {"collection": "things"}),
    ("GET", "doc?collection=things&id=a", None),
    ("POST", "insert-one", {"collection": "things", "doc": '{"_id": "a", "n": 1}'}),
    ("POST", "update-by-id", {"collection": "things", "id": "a", "update": '{"$set": {"n": 2}}'}),
    ("POST", "delete-by-id", {"collection": "things", "id": "a"}),
    ("POST", "create-collection", {"collection": "people"}),
)
_DEEP: Final = '{"a":' * 40 + "1" + "}" * 40
#: What reaches no database: call, body, status and some of the words.
HOSTILE: Final[Sequence[tuple[str, object, int, str]]] = (
    ("find", {"collection": "things", "filter": '{"$where": "1"}'}, 400, "filter: $where runs code"),
    ("find", {"collection": "things", "filter": '{"$or": [{"a": {"$where": "1"}}]}'}, 400, "filter: $where runs code"),
    ("find", {"collection": "things", "projection": '{"a": {"$function": {}}}'}, 400, "projection: $function runs"),
    ("find", {"collection": "things", "sort": '{"a": "down"}'}, 400, "sort"),
    ("find", {"collection": "things", "filter": "nonsense"}, 400, "filter: is not JSON"),
    ("find", {"collection": "things", "filter": _DEEP}, 400, "filter: is nested more than 32 levels deep"),
    ("find", {"collection": "things", "filter": "[" * 60_000}, 400, "filter"),
    ("find", {"collection": "things", "filter": {"a": 1}}, 400, "filter"),
    ("find", {"collection": "things", "limit": "many"}, 400, "limit"),
    ("find", {"collection": "things", "filter": "x" * 70_000}, 400, "filter"),
    ("find", {"collection": "system.users"}, 403, "system.users"),
    ("find", {"collection": "../x"}, 400, "collection"),
    ("find", {"collection": "$cmd"}, 400, "collection"),
    ("find", {"collection": "x" * 121}, 400, "collection"),
    ("find", {"collection": "__funai_meta__"}, 400, "collection"),
    ("find", {}, 400, "collection"),
    ("insert-one", {"collection": "things", "doc": "{}"}, 400, "doc: must not be empty"),
    ("insert-one", {"collection": "things", "doc": '{"a": {"$code": "1"}}'}, 400, "doc: $code runs code"),
    ("insert-one", {"collection": "things", "doc": _DEEP}, 400, "doc: is nested more than 32 levels deep"),
    ("insert-one", {"collection": "things", "doc": "x" * 790_000}, 400, "doc"),
    ("insert-one", {"collection": "system.js", "doc": '{"a": 1}'}, 403, "system.js"),
    ("update-by-id", {"collection": "things", "id": "a", "update": '{"n": 2}'}, 400, "update"),
    ("update-by-id", {"collection": "things", "id": "", "update": '{"$set": {"n": 2}}'}, 400, "id"),
    ("update-by-id", {"collection": "things", "id": "x" * 513, "update": '{"$set": {"n": 2}}'}, 400, "id"),
    ("delete-by-id", {"collection": "things", "id": {"$ne": 1}}, 400, "id"),
    ("delete-by-id", {"collection": "things"}, 400, "id"),
    ("create-collection", {"collection": "people", "fields": '{"$where": "1"}'}, 400, "fields"),
    ("create-collection", {"collection": "people", "fields": [{"name": "a.b", "type": "int"}]}, 400, "fields"),
)


def asked(call: str, more: str) -> str:
    """A call with more in its query."""
    return f"{call}{'&' if '?' in call else '?'}{more}"
