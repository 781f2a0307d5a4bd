"""The explorer of apps' databases over HTTP: paths and keys that existing callers know, and who may call."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemons.agent.composition.databases import DatabaseParts, open_databases
from daemons.kit.mongo import opening
from daemons.kit.settings import Misconfigured
from protocol.apps import AppRef, DeployApp
from protocol.client.agent import AgentClient
from protocol.client.databases import ExplorerClient
from protocol.client.transport import Refused, Transport
from protocol.databases import (
    CreateCollection,
    DatabaseRef,
    DeleteDocument,
    FindDocuments,
    InsertDocument,
    UpdateDocument,
)
from tests.http.agent.test_agent_http import IMAGE, TOKEN, settings
from tests.support.agent_served import listening, twin_parts
from tests.support.agent_twins import TwinEngine
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.questions import CALLS, HOSTILE, asked

PREFIX = "/api/fun-ai/deploy/mongo"
WHOSE = "userId=7&appId=5"


@dataclass
class Served:
    """A running agent with a database server."""

    url: str
    session: aiohttp.ClientSession
    databases: TwinDatabases
    engine: TwinEngine

    async def ask(self, method: str, call: str, body: object = None, query: str = "") -> tuple[int, dict[str, Any]]:
        """Status and document of an answer."""
        url = f"{PREFIX}/{call}?{WHOSE}{query}"
        async with self.session.request(method, url, json=body) as response:
            return response.status, await response.json()


async def serving(databases: TwinDatabases | None, **more: str) -> AsyncIterator[Served]:
    engine = TwinEngine(local={IMAGE: "sha256:1"})
    database = DatabaseParts(databases, databases, TwinAccounts()) if databases else None
    asked = settings(RUNTIME_MONGO_HOST="mongo.test", **more)
    async with (
        listening(asked, twin_parts(engine, database=database)) as (_, url),
        aiohttp.ClientSession(url, headers={"X-Runtime-Token": TOKEN}) as session,
    ):
        yield Served(url, session, databases or TwinDatabases(), engine)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async for each in serving(TwinDatabases(), RUNTIME_MONGO_DROP_ON_DELETE="true"):
        yield each


@pytest.fixture
async def without() -> AsyncIterator[Served]:
    async for each in serving(None):
        yield each


async def test_documents_are_made_found_changed_and_removed(served: Served) -> None:
    about = {"userId": "7", "appId": "5", "dbName": "db_u7_a5"}
    for number in (1, 2, 3):
        body = {"collection": "things", "doc": f'{{"_id": "t{number}", "n": {number}}}'}
        status, answer = await served.ask("POST", "insert-one", body)
        assert (status, answer["code"], answer["message"]) == (200, 200, "success")
        assert answer["data"] == {**about, "collection": "things", "insertedId": f"t{number}"}
    find = {"collection": "things", "filter": '{"n": {"$gt": 1}}', "sort": '{"n": -1}', "limit": 9999, "skip": -1}
    _, answer = await served.ask("POST", "find", find)
    items = [{"_id": "t3", "n": 3}, {"_id": "t2", "n": 2}]
    found = {**about, "collection": "things", "limit": 200, "skip": 0, "returned": 2, "items": items}
    assert answer["data"] == {**found, "truncated": False}
    change = {"collection": "things", "id": "t2", "update": '{"$set": {"n": 20}}'}
    _, answer = await served.ask("POST", "update-by-id", change)
    counts = {"matchedCount": 1, "modifiedCount": 1, "upsertedId": None}
    assert answer["data"] == {**about, "collection": "things", **counts}
    _, answer = await served.ask("GET", "doc", query="&collection=things&id=t2")
    assert answer["data"] == {**about, "collection": "things", "id": "t2", "doc": {"_id": "t2", "n": 20}}
    _, answer = await served.ask("POST", "delete-by-id", {"collection": "things", "id": "t2"})
    assert answer["data"]["deletedCount"] == 1
    _, answer = await served.ask("GET", "doc", query="&collection=things&id=t2")
    assert answer["data"]["doc"] is None
    fields = [{"name": "name", "type": "string", "required": True}]
    _, answer = await served.ask(
        "POST", "create-collection", {"collection": "people", "strict": True, "fields": fields}
    )
    assert answer["data"] == {**about, "collection": "people", "created": True}
    _, answer = await served.ask("GET", "collections")
    assert answer["data"] == {**about, "collections": ["people", "things"]}
    status, answer = await served.ask("POST", "insert-one", {"collection": "people", "doc": '{"x": 1}'})
    assert (status, answer["reason"]) == (422, "invalid_request")


async def test_our_client_asks_as_the_agent_expects(served: Served) -> None:
    async with Transport(served.url, {"X-Runtime-Token": TOKEN}) as transport:
        client = ExplorerClient(transport, DatabaseRef(user_id="7", app_id="5"))
        new = await client.insert(InsertDocument(collection="things", doc='{"_id": "a", "n": 1}'))
        assert (new.db_name, new.inserted_id) == ("db_u7_a5", "a")
        change = UpdateDocument(collection="things", id="a", update='{"$set": {"n": 2}}')
        assert (await client.update(change)).modified_count == 1
        assert (await client.doc("things", "a")).doc == {"_id": "a", "n": 2}
        assert (await client.find(FindDocuments(collection="things"))).items == ({"_id": "a", "n": 2},)
        assert (await client.create(CreateCollection(collection="people"))).created is True
        assert (await client.collections()).collections == ("people", "things")
        assert (await client.delete(DeleteDocument(collection="things", id="a"))).deleted_count == 1
        with pytest.raises(Refused, match="filter: is not JSON"):
            await client.find(FindDocuments(collection="things", filter="{"))


async def test_nothing_is_shown_without_the_token(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as anyone:
        for method, call, body in CALLS:
            async with anyone.request(method, f"{PREFIX}/{asked(call, WHOSE)}", json=body) as response:
                assert (response.status, (await response.json())["reason"]) == (401, "unauthorized")
    assert served.databases.calls == []


@pytest.mark.parametrize(("call", "body", "status", "says"), HOSTILE)
async def test_what_may_not_be_asked_reaches_no_database(
    served: Served, call: str, body: object, status: int, says: str
) -> None:
    found, answer = await served.ask("POST", call, body)
    assert (found, says in answer["detail"]) == (status, True)
    assert served.databases.calls == []


@pytest.mark.parametrize("query", ["", "userId=7", "appId=5", "userId=7&appId=../5", "userId=x&appId=5"])
async def test_every_call_says_whose_database_it_means(served: Served, query: str) -> None:
    for method, call, body in CALLS:
        async with served.session.request(method, f"{PREFIX}/{asked(call, query)}", json=body) as response:
            assert response.status == 400
    assert served.databases.calls == []


async def test_a_server_that_is_away_is_said_to_be(served: Served) -> None:
    served.databases.away = True
    async with served.session.get(f"{PREFIX}/collections?{WHOSE}") as response:
        assert (response.status, (await response.json())["reason"]) == (503, "peer_failed")
        assert "Retry-After" in response.headers


async def test_an_app_gets_its_database_and_gives_it_back(served: Served) -> None:
    async with Transport(served.url, {"X-Runtime-Token": TOKEN}) as transport:
        client = AgentClient(transport)
        await client.deploy(DeployApp(user_id="7", app_id="5", image=IMAGE, fence=1))
        given = served.engine.containers["rt-u-7-5-r1"].spec.environment
        assert given["MONGODB_URI"].startswith("mongodb://db_u7_a5:")
        assert given["MONGODB_URI"] == given["MONGO_URL"]
        assert "@mongo.test:27017/db_u7_a5?authSource=funai_rt_node_01_" in given["MONGO_URL"]
        assert given["FUNAI_MONGO_DB_NAME"] == "db_u7_a5"
        deleted = await client.delete(AppRef(user_id="7", app_id="5"))
    assert (deleted.mongo.enabled, deleted.mongo.dropped, deleted.mongo.db_name) == (True, True, "db_u7_a5")
    assert served.databases.databases == {}


async def test_without_a_database_server_all_else_is_as_it_was(without: Served) -> None:
    async with Transport(without.url, {"X-Runtime-Token": TOKEN}) as transport:
        client = AgentClient(transport)
        await client.deploy(DeployApp(user_id="7", app_id="5", image=IMAGE, fence=1))
        assert without.engine.containers["rt-u-7-5-r1"].spec.environment == {}
        assert (await client.delete(AppRef(user_id="7", app_id="5"))).mongo.enabled is False
    status, answer = await without.ask("GET", "collections")
    assert (status, answer["reason"], "RUNTIME_MONGO_HOST" in answer["detail"]) == (503, "unavailable", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_MONGO_HOST", "a/b"),
        ("RUNTIME_MONGO_HOST", "user@host"),
        ("RUNTIME_MONGO_PORT", "0"),
        ("RUNTIME_MONGO_PASSWORD", "CHANGE_ME"),
        ("RUNTIME_MONGO_USERNAME", "admin"),
        ("RUNTIME_MONGO_DB_TEMPLATE", "db_{appId}"),
        ("RUNTIME_MONGO_DB_TEMPLATE", "db_{userId}{appId}"),
        ("RUNTIME_MONGO_AUTH_SOURCE", "a.b"),
    ],
)
def test_what_must_be_mended_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name) as refused:
        settings(**{name: value})
    assert value not in str(refused.value) or name == "RUNTIME_MONGO_USERNAME"


async def test_a_host_without_the_driver_stops_the_agent_at_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(Misconfigured, match=r"\.\[mongo\]"):
        await open_databases(settings(RUNTIME_MONGO_HOST="mongo.test"), tmp_path, AsyncExitStack())


def test_the_administrators_password_is_a_secret() -> None:
    found = settings(RUNTIME_MONGO_USERNAME="admin", RUNTIME_MONGO_PASSWORD="p@ss-of-admin")
    assert "p@ss-of-admin" in found.secret_values()
    assert "p@ss-of-admin" not in repr(found)


@pytest.mark.parametrize(
    ("apps", "warned"), [("", True), ("localhost", True), ("::1", True), ("10.0.0.5", False), ("mongo.test", False)]
)
async def test_an_address_at_which_apps_reach_themselves_is_warned_of(
    apps: str, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        given = settings(RUNTIME_MONGO_HOST="127.0.0.1", RUNTIME_MONGO_APP_HOST=apps)
        await open_databases(given, tmp_path, stack)
    assert ("RUNTIME_MONGO_APP_HOST" in caplog.text) is warned
