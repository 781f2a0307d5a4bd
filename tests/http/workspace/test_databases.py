"""The explorer of databases for development over HTTP: paths and keys that clients know, and what it refuses."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from daemons.kit.clock import SystemClock
from daemons.workspace.composition.databases import DatabaseParts, development
from daemons.workspace.http.databases import DatabaseRoutes
from daemons.workspace.ports import Use
from daemons.workspace.services.databases import Development
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.workspace_calls import Answer, SignedCalls, TwinActivity, served, settings, whose

PREFIX = "/api/fun-ai/workspace/mongo"
ABOUT = {"userId": "7", "appId": "5", "dbName": "db_5"}
ON = {
    "FUNAI_WORKSPACE_MONGO_ENABLED": "true",
    "FUNAI_WORKSPACE_MONGO_HOST": "mongo.test",
    "FUNAI_WORKSPACE_MONGO_USERNAME": "admin of tests",
    "FUNAI_WORKSPACE_MONGO_PASSWORD": "p@ss of admin",
}
CALLS = [
    ("GET", "collections", None),
    ("POST", "find", {"collection": "things"}),
    ("GET", "doc", None),
    ("POST", "insert-one", {"collection": "things", "doc": '{"a": 1}'}),
    ("POST", "update-by-id", {"collection": "things", "id": "a", "update": '{"$set": {"n": 2}}'}),
    ("POST", "delete-by-id", {"collection": "things", "id": "a"}),
    ("POST", "create-collection", {"collection": "things"}),
    ("POST", "op", {"op": "find", "collection": "things"}),
]


@dataclass
class Explored:
    """A node with a database server."""

    calls: SignedCalls
    databases: TwinDatabases
    development: Development | None
    activity: TwinActivity

    async def ask(self, method: str, call: str, body: object = None, *, user: str = "7", app: str = "5") -> Answer:
        """What it answers about the app."""
        extra = {"collection": "things", "id": "a"} if call == "doc" else {}
        sent = body if body is not None else b""
        return await self.calls.call(method, f"{PREFIX}/{call}", whose(user, app) | extra, sent)

    async def run(self, user: str = "7", app: str = "5") -> None:
        """A program of the app is started."""
        assert self.development is not None
        assert await self.development.variables(user, app)


@asynccontextmanager
async def exploring(root: Path, **more: str) -> AsyncIterator[Explored]:
    databases, activity, asked = TwinDatabases(), TwinActivity(), settings(root, **more)
    parts = DatabaseParts(databases, databases, TwinAccounts()) if asked.mongo_enabled else None
    found = development(asked, parts, SystemClock())
    async with (
        served(asked, lambda wiring: wiring.serve(DatabaseRoutes(found, activity).table())) as url,
        aiohttp.ClientSession() as session,
    ):
        yield Explored(SignedCalls(session, url), databases, found, activity)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Explored]:
    async with exploring(tmp_path, **ON) as found:
        await found.run()
        yield found


async def test_documents_are_made_found_changed_and_removed(node: Explored) -> None:
    for number in (1, 2, 3):
        doc = json.dumps({"_id": f"t{number}", "n": number})
        answer = await node.ask("POST", "insert-one", {"collection": "things", "doc": doc})
        assert answer.data == {**ABOUT, "collection": "things", "acknowledged": True, "insertedId": f"t{number}"}
    find = {"collection": "things", "filter": '{"n": {"$gt": 1}}', "sort": '{"n": -1}', "limit": 9999, "skip": None}
    items = [{"_id": "t3", "n": 3}, {"_id": "t2", "n": 2}]
    found = {**ABOUT, "collection": "things", "limit": 200, "skip": 0, "returned": 2, "items": items}
    assert (await node.ask("POST", "find", find)).data == {**found, "truncated": False}
    change = {"collection": "things", "id": "a", "update": '{"$set": {"n": 20}}', "upsert": True}
    counts = {"acknowledged": True, "matchedCount": 0, "modifiedCount": 0, "upsertedId": "a"}
    assert (await node.ask("POST", "update-by-id", change)).data == {**ABOUT, "collection": "things", **counts}
    one = {**ABOUT, "collection": "things", "id": "a", "doc": {"_id": "a", "n": 20}}
    assert (await node.ask("GET", "doc")).data == one
    gone = {**ABOUT, "collection": "things", "acknowledged": True, "deletedCount": 1}
    assert (await node.ask("POST", "delete-by-id", {"collection": "things", "id": "a"})).data == gone
    assert (await node.ask("GET", "doc")).data == {**one, "doc": None}
    fields = [{"name": "name", "type": "string", "required": True}]
    people = {"collection": "people", "strict": True, "fields": fields}
    made = {**ABOUT, "collection": "people"}
    assert (await node.ask("POST", "create-collection", people)).data == {**made, "created": True, "message": "ok"}
    assert (await node.ask("POST", "create-collection", people)).data["created"] is False
    assert (await node.ask("GET", "collections")).data == {**ABOUT, "collections": ["people", "things"]}
    broken = await node.ask("POST", "insert-one", {"collection": "people", "doc": '{"x": 1}'})
    assert (broken.status, broken.document["reason"]) == (422, "invalid_request")
    assert set(node.activity.touched) == {("7", Use.CALL)}


async def test_a_field_may_be_null_unless_it_is_said(node: Explored) -> None:
    fields = [
        {"name": "a", "type": "int32"},
        {"name": "b", "type": "str", "nullable": False},
        {"name": "c", "type": "oid"},
    ]
    assert (await node.ask("POST", "create-collection", {"collection": "people", "fields": fields})).data["created"]
    properties = {
        "a": {"bsonType": ["int", "null"]},
        "b": {"bsonType": "string"},
        "c": {"bsonType": ["objectId", "null"]},
    }
    schema = {"bsonType": "object", "properties": properties}
    assert node.databases.collection("db_5", "people").validator == {"$jsonSchema": schema}


@pytest.mark.parametrize(
    "fields", ["[", '[{"name": "$where", "type": "int"}]', '[{"name": "a", "type": "javascript"}]', "5"]
)
async def test_rules_that_are_none_are_refused(node: Explored, fields: str) -> None:
    answer = await node.ask("POST", "create-collection", {"collection": "people", "fields": fields})
    assert (answer.status, answer.document["reason"]) == (400, "invalid_request")


async def test_ids_are_plain_text_as_clients_read_them(node: Explored) -> None:
    answer = await node.ask("POST", "insert-one", {"collection": "things", "doc": '{"n": 1}'})
    assert len(answer.data["insertedId"]) == 24
    number = await node.ask("POST", "insert-one", {"collection": "things", "doc": '{"_id": 12}'})
    assert number.data["insertedId"] == "12"


@pytest.mark.parametrize(
    ("op", "rest", "told"),
    [
        ("insertOne", {"doc": '{"_id": "b"}'}, ("insertedId", "b")),
        ("insert_one", {"doc": '{"_id": "b"}'}, ("insertedId", "b")),
        ("find", {"filter": '{"_id": "a"}', "limit": None}, ("returned", 1)),
        ("DOC", {"id": "a"}, ("doc", {"_id": "a", "n": 1})),
        ("update-by-id", {"id": "a", "update": '{"$inc": {"n": 1}}', "upsert": None}, ("modifiedCount", 1)),
        ("deleteById", {"id": "a"}, ("deletedCount", 1)),
        ("createCollection", {}, ("created", False)),
    ],
)
async def test_the_same_is_done_by_name(
    node: Explored, op: str, rest: dict[str, object], told: tuple[str, object]
) -> None:
    await node.ask("POST", "insert-one", {"collection": "things", "doc": '{"_id": "a", "n": 1}'})
    answer = await node.ask("POST", "op", {"op": op, "collection": "things", **rest})
    assert answer.status == 200, answer.document
    assert answer.data[told[0]] == told[1]


@pytest.mark.parametrize("op", [None, "", "aggregate", "runCommand", "dropDatabase", "$where", "eval", 1, ["find"]])
async def test_no_other_operation_has_a_name(node: Explored, op: object) -> None:
    answer = await node.ask("POST", "op", {"op": op, "collection": "things"})
    assert (answer.status, answer.document["reason"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "hostile",
    [
        {"filter": '{"$where": "sleep(9999)"}'},
        {"filter": '{"a": {"$where": "1"}}'},
        {"filter": '{"$expr": {"$function": {"body": "f", "args": [], "lang": "js"}}}'},
        {"filter": '{"$or": [{"$jsonSchema": {}}]}'},
        {"filter": "[]"},
        {"filter": "'); db.dropDatabase(); ('"},
        {"projection": '{"a": {"$accumulator": {}}}'},
        {"projection": '{"a": {"$function": {}}}'},
        {"sort": '{"a": "$where"}'},
        {"sort": '{"a": 2}'},
        {"filter": '{"a": ' * 40 + "1" + "}" * 40},
    ],
)
async def test_what_runs_code_or_is_no_document_is_refused(node: Explored, hostile: dict[str, str]) -> None:
    node.databases.calls.clear()
    for call, body in (("find", hostile), ("op", {"op": "find", **hostile})):
        answer = await node.ask("POST", call, {"collection": "things", **body})
        assert (answer.status, answer.document["reason"]) == (400, "invalid_request")
    assert node.databases.calls == []


@pytest.mark.parametrize("update", ['{"n": 1}', '[{"$set": {"n": 1}}]', '{"$where": 1}', '{"$out": "other"}', "{}"])
async def test_a_change_is_made_by_operators_alone(node: Explored, update: str) -> None:
    answer = await node.ask("POST", "update-by-id", {"collection": "things", "id": "a", "update": update})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("system.users", 403),
        ("system.js", 403),
        ("$cmd", 400),
        ("admin.$cmd", 400),
        ("../admin", 400),
        ("a b", 400),
        (".a", 400),
        ("", 400),
        ("x" * 121, 400),
        (None, 400),
        ({"$ne": 1}, 400),
    ],
)
async def test_collections_are_the_apps_own(node: Explored, name: object, status: int) -> None:
    node.databases.calls.clear()
    rest = {"id": "a", "doc": "{}", "update": '{"$set": {"a": 1}}'}
    for call in ("find", "insert-one", "update-by-id", "delete-by-id", "create-collection"):
        answer = await node.ask("POST", call, {"collection": name, **rest})
        assert answer.status == status, (call, answer.document)
    assert node.databases.calls == []


async def test_one_app_sees_nothing_of_another(node: Explored) -> None:
    await node.run("8", "6")
    await node.ask("POST", "insert-one", {"collection": "things", "doc": '{"_id": "a"}'}, user="8", app="6")
    assert (await node.ask("GET", "collections")).data["collections"] == []
    for user, app in (("7", "6"), ("8", "5"), ("9", "6")):
        for method, call, body in CALLS:
            answer = await node.ask(method, call, body, user=user, app=app)
            assert (answer.status, answer.document["reason"]) == (404, "not_found")
    # A body's own names count for nothing: the one that was proven is the query's.
    told = {"collection": "things", "userId": "8", "appId": "6", "dbName": "db_6"}
    assert (await node.ask("POST", "find", told)).data["returned"] == 0


async def test_an_app_without_a_run_has_no_database_and_asking_makes_none(tmp_path: Path) -> None:
    async with exploring(tmp_path, **ON) as node:
        for method, call, body in CALLS:
            answer = await node.ask(method, call, body)
            assert (answer.status, "start its preview" in answer.document["message"]) == (404, True)
        assert (node.databases.users, node.databases.calls) == ({}, [])


async def test_without_a_server_every_call_says_so(tmp_path: Path) -> None:
    async with exploring(tmp_path) as node:
        for method, call, body in CALLS:
            answer = await node.ask(method, call, body)
            assert (answer.status, answer.document["reason"]) == (503, "unavailable")
            assert "FUNAI_WORKSPACE_MONGO_ENABLED" in answer.document["message"]


async def test_a_server_that_is_away_is_told_and_not_waited_for(node: Explored) -> None:
    node.databases.away = True
    for method, call, body in CALLS:
        answer = await node.ask(method, call, body)
        assert (answer.status, answer.document["reason"]) == (503, "peer_failed")


async def test_nobody_asks_without_the_apis_signature(node: Explored) -> None:
    for method, call, body in CALLS:
        url = f"{node.calls.url}{PREFIX}/{call}?userId=7&appId=5"
        async with node.calls.session.request(method, url, json=body) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("query", ["userId=7", "appId=5", "userId=7&userId=8&appId=5", "userId=7&appId=5&appId=6"])
async def test_user_and_app_are_named_once(node: Explored, query: str) -> None:
    for method, call, body in CALLS:
        sent = body if body is not None else b""
        assert (await node.calls.call(method, f"{PREFIX}/{call}", query, sent)).status == 400
