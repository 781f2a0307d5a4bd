"""What services rely on in a database server: of the twin, and of PyMongo against a server that speaks its protocol."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from daemons.kit.mongo import driver as mongo
from daemons.kit.mongo.accounts import DatabaseServer, connection_string, realm_of
from daemons.kit.mongo.ports import Changed, DatabaseError, Databases, Documents, Doors, QueryRefused
from daemons.kit.mongo.ports import MongoServer as MongoLogin
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_server
from tests.support.mongo_twin import TwinDatabases

DB = "db_u7_a5"


class Both(Databases, Documents, Protocol):
    """Both ports."""


class Real(mongo.MongoDatabases, mongo.MongoDocuments):
    """Both adapters over one client."""


@dataclass
class Served:
    """A server, what it holds, and how it goes away and comes back."""

    server: Both
    doors: Doors
    users: Callable[[], dict[tuple[str, str], str]]
    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    store: Callable[[str, str], list[dict[str, Any]]]


def over_the_twin() -> Served:
    twin = TwinDatabases()

    async def stop() -> None:
        twin.away = True

    async def start() -> None:
        twin.away = False

    def users() -> dict[tuple[str, str], str]:
        return {key: password for key, (password, _) in twin.users.items()}

    return Served(twin, twin, users, stop, start, lambda database, name: twin.collection(database, name).documents)


def over_the_wire(server: MongoServer, client: AsyncMongoClient[dict[str, Any]]) -> Served:
    def users() -> dict[tuple[str, str], str]:
        return {key: user.password for key, user in server.users.items() if key[0] != "admin"}

    return Served(
        Real(client),
        mongo.MongoDoors(MongoLogin("127.0.0.1", server.port)),
        users,
        server.stop,
        server.start,
        lambda database, name: server.collection(database, name).documents,
    )


@pytest.fixture
async def wire() -> AsyncIterator[MongoServer]:
    async with mongo_server() as server:
        yield server


@asynccontextmanager
async def client_of(
    server: MongoServer, password: str = ADMIN_PASSWORD
) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    async with await mongo.connect(MongoLogin("127.0.0.1", server.port, ADMIN, password)) as client:
        yield client


@pytest.fixture(params=["twin", "wire"])
async def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    if request.param == "twin":
        yield over_the_twin()
        return
    monkeypatch.setattr(mongo, "_SELECTION_MILLISECONDS", 1000)
    async with mongo_server() as server, client_of(server) as client:
        yield over_the_wire(server, client)


def node(name: str = "n1", port: int = 27017) -> DatabaseServer:
    return DatabaseServer("127.0.0.1", port, realm_of(name))


ACCOUNT = node().account("7", "5", "pass-of-5")


async def test_an_account_is_made_once_and_changed_when_asked_again(served: Served) -> None:
    await served.server.ensure(ACCOUNT)
    await served.server.ensure(ACCOUNT)
    assert served.users() == {(ACCOUNT.realm, DB): "pass-of-5"}
    await served.server.ensure(replace(ACCOUNT, password="another"))
    assert served.users() == {(ACCOUNT.realm, DB): "another"}


async def test_every_node_has_an_account_of_its_own_and_all_go_together(served: Served) -> None:
    other = node("n2").account("7", "5", "pass-on-n2")
    stranger = node().account("7", "55", "pass-of-55")
    for account in (ACCOUNT, other, stranger):
        await served.server.ensure(account)
    assert served.users()[(ACCOUNT.realm, DB)] == "pass-of-5"
    await served.server.revoke(ACCOUNT)
    await served.server.revoke(ACCOUNT)
    assert served.users() == {(stranger.realm, stranger.user): "pass-of-55"}


async def test_a_marked_database_shows_no_collection(served: Served) -> None:
    await served.server.mark(DB)
    await served.server.mark(DB)
    assert await served.server.collections(DB) == []
    await served.server.insert(DB, "things", {"a": 1})
    await served.server.insert(DB, "Other", {"a": 1})
    assert await served.server.collections(DB) == ["Other", "things"]
    await served.server.drop(DB)
    await served.server.drop(DB)
    assert await served.server.collections(DB) == []


async def test_documents_come_as_they_are_asked_for(served: Served) -> None:
    server = served.server
    for number in range(120):
        await server.insert(DB, "things", {"_id": f"t{number:03}", "n": number, "even": number % 2 == 0})
    page = await server.find(DB, "things", {"even": True}, {}, {}, skip=0, limit=200)
    assert [each["n"] for each in page.items] == list(range(0, 120, 2))
    page = await server.find(DB, "things", {"n": {"$gte": 100}}, {"n": 1, "_id": 0}, {"n": -1}, skip=2, limit=3)
    assert (page.items, page.truncated) == (({"n": 117}, {"n": 116}, {"n": 115}), False)
    assert (await server.find(DB, "nothing", {}, {}, {}, skip=0, limit=5)).items == ()


async def test_values_without_a_notation_in_json_come_back_as_they_went(served: Served) -> None:
    stored = {"at": {"$date": "2026-01-02T03:04:05.678Z"}, "big": 2**40, "none": None, "half": 0.5, "in": [{"x": "ü"}]}
    new = await served.server.insert(DB, "things", stored)
    assert len(new["$oid"]) == 24
    page = await served.server.find(DB, "things", {"_id": new}, {}, {}, skip=0, limit=1)
    assert page.items == ({"_id": new, **stored},)


async def test_an_answer_is_bounded(served: Served) -> None:
    for number in range(5):
        await served.server.insert(DB, "large", {"_id": number, "text": "x" * 700_000})
    page = await served.server.find(DB, "large", {}, {}, {}, skip=0, limit=50)
    assert ([each["_id"] for each in page.items], page.truncated) == ([0, 1], True)


async def test_one_document_is_changed_made_and_removed(served: Served) -> None:
    server = served.server
    await server.insert(DB, "things", {"_id": "a", "n": 1})
    assert await server.update(DB, "things", "a", {"$set": {"n": 2}}, upsert=False) == Changed(1, 1)
    assert await server.update(DB, "things", "a", {"$set": {"n": 2}}, upsert=False) == Changed(1, 0)
    assert await server.update(DB, "things", "b", {"$set": {"n": 2}}, upsert=False) == Changed(0, 0)
    assert await server.update(DB, "things", "b", {"$set": {"n": 3}}, upsert=True) == Changed(0, 0, "b")
    assert [await server.delete(DB, "things", name) for name in ("a", "a", "b")] == [1, 0, 1]
    assert served.store(DB, "things") == []


async def test_what_the_server_refuses_says_why(served: Served) -> None:
    server = served.server
    await server.insert(DB, "things", {"_id": "a"})
    with pytest.raises(QueryRefused, match="duplicate key"):
        await server.insert(DB, "things", {"_id": "a"})
    with pytest.raises(QueryRefused, match="unknown operator"):
        await server.find(DB, "things", {"a": {"$bitsAllSet": 1}}, {}, {}, skip=0, limit=1)
    with pytest.raises(QueryRefused, match="Unknown modifier"):
        await server.update(DB, "things", "a", {"$bit": {"n": 1}}, upsert=False)


async def test_a_collection_is_made_once_and_holds_to_its_rules(served: Served) -> None:
    rules = {"$jsonSchema": {"bsonType": "object", "required": ["name"]}}
    assert await served.server.create(DB, "strict", rules, strict=True) is True
    assert await served.server.create(DB, "strict", rules, strict=True) is False
    assert await served.server.create(DB, "loose", rules, strict=False) is True
    with pytest.raises(QueryRefused, match="failed validation"):
        await served.server.insert(DB, "strict", {"other": 1})
    await served.server.insert(DB, "loose", {"other": 1})
    assert await served.server.create(DB, "plain", {}, strict=False) is True


async def test_a_server_that_is_away_is_an_error_and_comes_back(served: Served) -> None:
    await served.server.ensure(ACCOUNT)
    await served.stop()
    for call in (served.server.ensure(ACCOUNT), served.server.collections(DB)):
        with pytest.raises(DatabaseError, match="cannot be reached"):
            await call
    await served.start()
    await served.server.ensure(replace(ACCOUNT, password="new"))
    assert served.users() == {(ACCOUNT.realm, DB): "new"}


async def test_an_account_has_a_way_into_its_own_database_and_into_no_other(served: Served) -> None:
    other = node().account("8", "6", "pass-of-6")
    for account in (ACCOUNT, other):
        await served.server.ensure(account)
    async with served.doors.opened(ACCOUNT) as own:
        await own.insert(DB, "things", {"_id": "a", "n": 1})
        assert await own.update(DB, "things", "a", {"$set": {"n": 2}}, upsert=False) == Changed(1, 1)
        page = await own.find(DB, "things", {}, {}, {}, skip=0, limit=5)
        assert (page.items, await own.collections(DB)) == (({"_id": "a", "n": 2},), ["things"])
        assert await own.create(DB, "people", {}, strict=False) is True
        assert await own.delete(DB, "things", "a") == 1
        for foreign in (other.database, "admin"):
            with pytest.raises(DatabaseError, match="not authorized"):
                await own.collections(foreign)
            with pytest.raises(DatabaseError, match="not authorized"):
                await own.find(foreign, "things", {}, {}, {}, skip=0, limit=5)
            with pytest.raises(DatabaseError, match="not authorized"):
                await own.insert(foreign, "things", {"a": 1})


async def test_nobody_gets_in_with_an_account_that_is_gone_or_has_another_password(served: Served) -> None:
    await served.server.ensure(ACCOUNT)
    async with served.doors.opened(replace(ACCOUNT, password="guessed")) as door:
        with pytest.raises(DatabaseError, match="Authentication failed"):
            await door.collections(DB)
    await served.server.revoke(ACCOUNT)
    async with served.doors.opened(ACCOUNT) as door:
        with pytest.raises(DatabaseError, match="Authentication failed") as failed:
            await door.collections(DB)
    assert "pass-of-5" not in str(failed.value)


async def test_the_app_logs_in_with_what_it_is_told_and_reaches_its_own_database_only(wire: MongoServer) -> None:
    account = node(port=wire.port).account("7", "5", "p@ss:w/rd ?#[]%&=+ü")
    async with client_of(wire) as client:
        await mongo.MongoDatabases(client).ensure(account)
    text = connection_string(node(port=wire.port), account)
    app: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(text, serverSelectionTimeoutMS=2000) as app:
        own: AsyncDatabase[dict[str, Any]] = app[DB]
        assert app.get_default_database().name == DB
        await own["things"].insert_one({"n": 1})
        assert await own["things"].find_one({}, {"_id": 0}) == {"n": 1}
        for foreign in (app["db_u8_a6"]["things"].find_one(), app["admin"].command("usersInfo", 1)):
            with pytest.raises(OperationFailure, match="not authorized"):
                await foreign
        with pytest.raises(OperationFailure, match="not authorized"):
            await app.drop_database(DB)


async def test_a_wrong_password_of_this_node_is_told_without_it(wire: MongoServer) -> None:
    async with client_of(wire, "a wrong one") as client:
        with pytest.raises(DatabaseError, match="Authentication failed") as failed:
            await mongo.MongoDatabases(client).ensure(ACCOUNT)
        with pytest.raises(DatabaseError, match="Authentication failed"):
            await mongo.MongoDocuments(client).collections(DB)
    assert "wrong one" not in repr(failed.value)
    assert "pass-of-5" not in repr(failed.value) + repr(ACCOUNT)


async def test_a_lost_right_is_the_nodes_trouble_and_not_the_askers(wire: MongoServer) -> None:
    async with client_of(wire) as client:
        wire.broken["find"] = (13, "not authorized on db_u7_a5")
        with pytest.raises(DatabaseError, match="not authorized"):
            await mongo.MongoDocuments(client).find(DB, "things", {}, {}, {}, skip=0, limit=1)


@pytest.mark.parametrize(
    "text",
    [
        '{"$oid": "xyz"}',
        '{"a": {"$date": []}}',
        '{"a": {"$numberLong": "many"}}',
        '{"a": 123456789012345678901234567890}',
    ],
)
async def test_values_that_are_none_are_refused(wire: MongoServer, text: str) -> None:
    async with client_of(wire) as client:
        with pytest.raises(QueryRefused):
            await mongo.MongoDocuments(client).insert(DB, "things", json.loads(text))
    assert wire.databases == {}


async def test_every_question_has_a_time_limit(wire: MongoServer) -> None:
    async with client_of(wire) as client:
        await mongo.MongoDocuments(client).find(DB, "things", {}, {}, {}, skip=0, limit=7)
    asked = [each for each in wire.asked if "find" in each]
    assert [(each["maxTimeMS"], each["limit"]) for each in asked] == [(3000, 7)]
