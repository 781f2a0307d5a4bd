"""Databases of apps that are worked on: names, what programs are told, and who may have which."""

from pathlib import Path

import pytest
from pymongo.uri_parser import parse_uri

from daemons.kit.clock import SystemClock
from daemons.kit.mongo.accounts import Phase, realm_of
from daemons.kit.settings import Misconfigured
from daemons.kit.tasks import running
from daemons.workspace.composition.databases import DatabaseParts, database_server, development
from daemons.workspace.ports.databases import DatabaseLeft
from daemons.workspace.services.databases import Development, NoDatabase
from tests.http.workspace.test_databases import ON
from tests.support.eventually import eventually
from tests.support.mongo_twin import TwinAccounts, TwinDatabases
from tests.support.workspace_calls import settings

REALM = realm_of("ws-node-01")


class Node:
    """What survives a node's process."""

    def __init__(self, root: Path) -> None:
        self.databases, self.accounts, self.root = TwinDatabases(), TwinAccounts(), root

    def process(self, **more: str) -> Development:
        """A new one."""
        parts = DatabaseParts(self.databases, self.databases, self.accounts)
        found = development(settings(self.root, **ON, **more), parts, SystemClock())
        assert found is not None
        return found


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_programs_are_told_an_account_of_the_apps_own(node: Node) -> None:
    told = await node.process().variables("7", "20001")
    assert {name: told[name] for name in ("MONGO_HOST", "MONGO_PORT", "MONGO_DB_PREFIX", "MONGO_DB_NAME")} == {
        "MONGO_HOST": "mongo.test",
        "MONGO_PORT": "27017",
        "MONGO_DB_PREFIX": "db_",
        "MONGO_DB_NAME": "db_20001",
    }
    uri = parse_uri(told["MONGODB_URI"])
    assert (uri["username"], uri["password"], uri["database"]) == ("ws_u7_a20001", told["MONGO_PASSWORD"], "db_20001")
    assert uri["options"]["authSource"] == told["MONGO_AUTH_SOURCE"] == REALM
    assert (told["MONGO_URL"], told["MONGO_USERNAME"]) == (told["MONGODB_URI"], "ws_u7_a20001")
    assert node.databases.users == {(REALM, "ws_u7_a20001"): (told["MONGO_PASSWORD"], "db_20001")}
    assert "admin of tests" not in str(told) and "p@ss of admin" not in str(told)


async def test_every_app_has_a_password_of_its_own_that_outlives_the_process(node: Node) -> None:
    first = await node.process().variables("7", "5")
    assert await node.process().variables("7", "5") == first
    other = await node.process().variables("7", "6")
    assert other["MONGO_PASSWORD"] != first["MONGO_PASSWORD"] and len(first["MONGO_PASSWORD"]) >= 32


async def test_an_account_that_the_server_lost_is_there_again_with_the_next_run(node: Node) -> None:
    told = await node.process().variables("7", "5")
    node.databases.users.clear()
    assert await node.process().variables("7", "5") == told
    assert node.databases.users[(REALM, "ws_u7_a5")][0] == told["MONGO_PASSWORD"]


async def test_a_server_that_is_away_keeps_no_run_waiting_and_is_made_up_for(node: Node) -> None:
    node.databases.away = True
    told = await node.process().variables("7", "5")
    assert told["MONGO_DB_NAME"] == "db_5" and node.databases.users == {}
    node.databases.away = False

    async def made() -> bool:
        return (REALM, "ws_u7_a5") in node.databases.users

    async with running(node.process().run):
        await eventually(made)


async def test_an_apps_database_is_its_owners_whoever_names_it(node: Node) -> None:
    process = node.process()
    told = await process.variables("7", "5")
    assert await process.variables("8", "5") == {}
    with pytest.raises(NoDatabase):
        async with process.calls("8", "5"):
            pass
    assert await process.take_away("8", "5") is False
    assert node.databases.users == {(REALM, "ws_u7_a5"): (told["MONGO_PASSWORD"], "db_5")}


async def test_a_workspace_that_moves_finds_its_data_and_leaves_nothing_when_its_app_is_deleted(tmp_path: Path) -> None:
    here, there = Node(tmp_path), Node(tmp_path)
    there.databases = here.databases
    before = await here.process().variables("7", "5")
    elsewhere = there.process(FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_NAME="ws-node-02")
    after = await elsewhere.variables("7", "5")
    assert before["MONGO_DB_NAME"] == after["MONGO_DB_NAME"]
    assert before["MONGO_PASSWORD"] != after["MONGO_PASSWORD"] and len(here.databases.users) == 2
    here.databases.collection("db_5", "things")
    assert await elsewhere.take_away("7", "5") is True
    assert (here.databases.users, here.databases.databases) == ({}, {})


async def test_what_is_taken_away_is_gone_and_may_be_taken_away_again(node: Node) -> None:
    process = node.process()
    await process.variables("7", "5")
    await process.variables("7", "6")
    node.databases.collection("db_5", "things")
    node.databases.collection("db_6", "things")
    assert {app.name for app in (await process.made())["7"]} == {"5", "6"}
    assert [await process.take_away("7", "5") for _ in range(2)] == [True, False]
    assert set(node.databases.databases) == {"db_6"}
    assert set(node.databases.users) == {(REALM, "ws_u7_a6")}
    assert set(node.accounts.accounts) == {("7", "6")}


async def test_what_cannot_be_taken_away_is_told_and_owed(node: Node) -> None:
    process = node.process()
    told = await process.variables("7", "5")
    node.databases.collection("db_5", "things")
    node.databases.away = True
    for _ in range(2):
        with pytest.raises(DatabaseLeft, match="app 5 of user 7") as left:
            await process.take_away("7", "5")
        assert told["MONGO_PASSWORD"] not in str(left.value)
    with pytest.raises(NoDatabase):
        async with process.calls("7", "5"):
            pass
    assert node.accounts.accounts[("7", "5")].phase is Phase.GONE
    node.databases.away = False

    async def gone() -> bool:
        return not (node.databases.users or node.databases.databases or node.accounts.accounts)

    async with running(node.process().run):
        await eventually(gone)


def test_databases_are_off_unless_they_are_switched_on(tmp_path: Path) -> None:
    named = {name: value for name, value in ON.items() if name != "FUNAI_WORKSPACE_MONGO_ENABLED"}
    assert settings(tmp_path, **named).mongo_enabled is False


@pytest.mark.parametrize(
    "missing", ["FUNAI_WORKSPACE_MONGO_HOST", "FUNAI_WORKSPACE_MONGO_USERNAME", "FUNAI_WORKSPACE_MONGO_PASSWORD"]
)
def test_without_a_server_or_an_administrator_they_are_not_switched_on(tmp_path: Path, missing: str) -> None:
    with pytest.raises(Misconfigured, match=missing) as refused:
        settings(tmp_path, **{**ON, missing: ""})
    assert "p@ss of admin" not in str(refused.value)


def test_a_placeholder_is_no_password(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="FUNAI_WORKSPACE_MONGO_PASSWORD"):
        settings(tmp_path, **{**ON, "FUNAI_WORKSPACE_MONGO_PASSWORD": "CHANGE_ME"})


def test_the_administrators_password_is_a_secret(tmp_path: Path) -> None:
    found = settings(tmp_path, **ON)
    assert "p@ss of admin" in found.secret_values() and "p@ss of admin" not in repr(found)


def test_containers_may_reach_the_server_by_another_name(tmp_path: Path) -> None:
    found = settings(tmp_path, **ON, FUNAI_WORKSPACE_MONGO_CONTAINERHOST="10.0.0.5", FUNAI_WORKSPACE_MONGO_PORT="27018")
    server = database_server(found)
    assert (server.host, server.port) == ("10.0.0.5", 27018)


@pytest.mark.parametrize("app", ["a" * 40, "my-shop", "5"])
def test_names_are_those_that_mongodb_takes(tmp_path: Path, app: str) -> None:
    account = database_server(settings(tmp_path, **ON)).account("9" * 19, app, "p")
    for name in (account.database, account.user):
        assert len(name) <= 63 and name.replace("_", "").isalnum()
