"""Names, connection strings and accounts of apps' databases; what happens while the server is away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.uri_parser import parse_uri

from daemons.agent.services.rollout import DeployFailed
from daemons.kit.mongo.account_files import JsonAccounts
from daemons.kit.mongo.accounts import (
    Account,
    DatabaseServer,
    Phase,
    connection_string,
    database_name,
    environment,
    gone,
    ready,
    realm_of,
    wanted,
)
from daemons.kit.mongo.keeping import AppDatabases, Habits
from daemons.kit.mongo.ports import AccountError
from daemons.kit.tasks import running
from tests.support.agent_twins import Behaviour
from tests.support.agent_world import V1, V2, World, order
from tests.support.eventually import eventually
from tests.support.mongo_twin import TwinAccounts, TwinDatabases

TEMPLATE = "db_u{userId}_a{appId}"
SERVER = DatabaseServer("mongo.test", 27017, realm_of("n1"))
USERS = st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True)
APPS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)


@dataclass
class Node:
    """What survives an agent."""

    databases: TwinDatabases = field(default_factory=TwinDatabases)
    accounts: TwinAccounts = field(default_factory=TwinAccounts)
    made: int = 0

    def password(self) -> str:
        self.made += 1
        return f"password-{self.made}"

    def agent(self, *, drop: bool = False, name: str = "n1") -> AppDatabases:
        server = replace(SERVER, realm=realm_of(name))
        return AppDatabases(self.databases, self.accounts, server, Habits(drop, retry_seconds=0.01), self.password)


async def told_of(agent: AppDatabases, user_id: str, app_id: str) -> Mapping[str, str]:
    """The variables that the app's container gets."""
    return (await agent.given(user_id, app_id)).variables


def test_names_are_those_that_existing_data_has() -> None:
    assert database_name(TEMPLATE, "7", "20001") == "db_u7_a20001"
    assert database_name(TEMPLATE, "7", "my-shop") == "db_u7_amy_shop"


@given(USERS, APPS, USERS, APPS)
def test_no_two_apps_share_a_name_and_each_is_one_that_mongodb_takes(u1: str, a1: str, u2: str, a2: str) -> None:
    one, other = database_name(TEMPLATE, u1, a1), database_name(TEMPLATE, u2, a2)
    assert (one == other) == ((u1, a1) == (u2, a2))
    assert len(one) <= 63
    assert one.replace("_", "").isalnum()


def test_names_that_would_be_cut_to_the_same_stay_apart() -> None:
    user, app = "9" * 19, "a" * 38
    names = {database_name(TEMPLATE, user, app + end) for end in ("bc", "bd", "-e")}
    assert len(names) == 3
    assert all(len(name) == 63 for name in names)


@given(st.text(min_size=1, max_size=40, alphabet=st.characters(codec="utf-8")))
def test_any_password_reaches_the_driver_as_it_is(password: str) -> None:
    account = SERVER.account("7", "5", password)
    found = parse_uri(connection_string(SERVER, account))
    assert (found["username"], found["password"], found["database"]) == ("db_u7_a5", password, "db_u7_a5")
    assert found["nodelist"] == [("mongo.test", 27017)]
    assert found["options"]["authSource"] == account.realm


def test_options_and_addresses_of_six_bytes() -> None:
    text = connection_string(replace(SERVER, host="fd00::1", tls=True), SERVER.account("7", "5", "p w+"))
    assert text == f"mongodb://db_u7_a5:p%20w%2B@[fd00::1]:27017/db_u7_a5?authSource={realm_of('n1')}&tls=true"
    assert parse_qs(urlsplit(text).query)["tls"] == ["true"]


def test_the_variables_are_those_that_apps_read() -> None:
    account = SERVER.account("7", "5", "secret-of-5")
    told = environment(SERVER, account)
    assert told["MONGODB_URI"] == told["MONGO_URL"]
    assert told["FUNAI_MONGO_DB_NAME"] == "db_u7_a5"
    assert "secret-of-5" not in repr(account)


def test_realms_are_names_that_mongodb_takes_and_differ_by_node() -> None:
    realms = {realm_of(name) for name in ("rt-node-01", "rt.node.01", "rt_node_01", "x" * 128)}
    assert len(realms) == 4
    assert all(len(realm) <= 63 and realm.replace("_", "").isalnum() for realm in realms)


def test_a_deployment_takes_a_removal_back() -> None:
    account = SERVER.account("7", "5", "p")
    leaving = gone(ready(account), drop=True)
    assert (leaving.phase, leaving.drop) == (Phase.GONE, True)
    assert ready(leaving) == leaving
    assert gone(leaving, drop=False).drop is True
    assert wanted(leaving) == account
    assert wanted(ready(account)) == ready(account)


async def test_an_account_keeps_its_password_over_deployments_and_restarts() -> None:
    node = Node()
    first = await told_of(node.agent(), "7", "5")
    assert node.databases.users == {(realm_of("n1"), "db_u7_a5"): ("password-1", "db_u7_a5")}
    assert "__funai_meta__" in node.databases.databases["db_u7_a5"]
    assert await told_of(node.agent(), "7", "5") == first
    assert node.accounts.accounts[("7", "5")].phase is Phase.READY


async def test_a_second_node_leaves_the_first_ones_account_alone() -> None:
    first, second = Node(), Node(made=100)
    second.databases = first.databases
    await told_of(first.agent(), "7", "5")
    await told_of(second.agent(name="n2"), "7", "5")
    assert {user[0] for user in first.databases.users.values()} == {"password-1", "password-101"}
    await second.agent(name="n2").leave("7", "5")
    assert first.databases.users == {}


async def test_a_server_that_is_away_delays_nothing_and_is_made_up_for() -> None:
    node = Node()
    node.databases.away = True
    agent = node.agent()
    told = await told_of(agent, "7", "5")
    assert "password-1" in told["MONGODB_URI"]
    await told_of(agent, "7", "6")
    assert node.databases.calls == ["ensure"], "a server that just failed is not asked again for every app"
    node.databases.away = False
    again = node.agent()
    async with running(again.run):
        await eventually(lambda: _all_ready(node))
    assert {user[0] for user in node.databases.users.values()} == {"password-1", "password-2"}
    assert await told_of(node.agent(), "7", "5") == told


async def _all_ready(node: Node) -> bool:
    return all(account.phase is Phase.READY for account in node.accounts.accounts.values())


class Mute(TwinDatabases):
    """Takes calls and never answers."""

    async def ensure(self, account: Account) -> None:
        await asyncio.Event().wait()


async def test_a_server_that_does_not_answer_keeps_nobody_waiting() -> None:
    node = Node(databases=Mute())
    agent = AppDatabases(node.databases, node.accounts, SERVER, Habits(seconds=0.05), node.password)
    assert "password-1" in (await told_of(agent, "7", "5"))["MONGODB_URI"]


async def test_without_a_durable_password_there_is_no_account() -> None:
    node = Node()
    node.accounts.full = True
    with pytest.raises(AccountError, match="no space"):
        await told_of(node.agent(), "7", "5")
    assert node.databases.users == {}


@pytest.mark.parametrize("drop", [False, True])
async def test_a_deleted_app_loses_its_account_and_its_data_only_where_that_is_wanted(drop: bool) -> None:
    node = Node()
    agent = node.agent(drop=drop)
    await told_of(agent, "7", "5")
    await node.databases.insert("db_u7_a5", "things", {"n": 1})
    farewell = await agent.leave("7", "5")
    assert (farewell.enabled, farewell.dropped, farewell.database) == (True, drop, "db_u7_a5")
    assert (farewell.reason is None, farewell.error) == (drop, None)
    assert ("db_u7_a5" in node.databases.databases) is not drop
    assert (node.databases.users, node.accounts.accounts) == ({}, {})


async def test_a_delete_while_the_server_is_away_is_made_up_for() -> None:
    node = Node()
    agent = node.agent(drop=True)
    await told_of(agent, "7", "5")
    node.databases.away = True
    farewell = await agent.leave("7", "5")
    assert farewell.dropped is False
    assert "goes on trying" in (farewell.error or "")
    node.databases.away = False
    async with running(node.agent(drop=True).run):
        await eventually(lambda: _nothing_left(node))
    assert node.databases.databases == {}


async def _nothing_left(node: Node) -> bool:
    return not node.accounts.accounts and not node.databases.users


async def test_an_app_that_comes_back_before_its_removal_keeps_its_data() -> None:
    node = Node()
    agent = node.agent(drop=True)
    told = await told_of(agent, "7", "5")
    node.databases.away = True
    await agent.leave("7", "5")
    assert await told_of(node.agent(drop=True), "7", "5") == told
    node.databases.away = False
    async with running(node.agent(drop=True).run):
        await eventually(lambda: _all_ready(node))
    assert "drop" not in node.databases.calls


@pytest.fixture
async def world() -> AsyncIterator[World]:
    yield World()


async def test_an_app_is_told_of_its_database_and_its_owners_word_wins(world: World) -> None:
    node = Node()
    world.databases = partial(node.agent, drop=True)
    wishes = order(V1, 1).wishes
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1, wishes=replace(wishes, environment={"LANG": "C"})))
        given_first = dict(world.engine.containers["rt-u-7-5-r1"].spec.environment)
        own = {"MONGODB_URI": "mongodb://elsewhere"}
        await agent.rollout.deploy(order(V2, 2, wishes=replace(wishes, environment=own)))
        given_second = dict(world.engine.containers["rt-u-7-5-r2"].spec.environment)
        removal = await agent.apps.delete("7", "5", 3)
    assert given_first == {**environment(SERVER, SERVER.account("7", "5", "password-1")), "LANG": "C"}
    assert given_second["MONGODB_URI"] == "mongodb://elsewhere"
    assert given_second["MONGO_URL"] == given_first["MONGO_URL"]
    assert removal.database.dropped is True
    assert node.databases.databases == {}


async def test_a_stale_attempt_gets_no_account(world: World) -> None:
    node = Node()
    world.databases = node.agent
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 5))
        calls = len(node.databases.calls)
        with pytest.raises(Exception, match="stale"):
            await agent.rollout.deploy(order(V2, 4))
    assert len(node.databases.calls) == calls


async def test_an_app_runs_while_the_database_is_away(world: World) -> None:
    node = Node()
    node.databases.away = True
    world.databases = node.agent
    async with world.alive() as agent:
        await agent.rollout.deploy(order(V1, 1))
        assert world.serving() == "sha256:1"


async def test_a_password_that_an_app_prints_when_it_fails_is_in_no_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node()
    world.databases = node.agent
    uri = environment(SERVER, SERVER.account("7", "5", "password-1"))["MONGODB_URI"]
    world.engine.behaviours["sha256:1"] = Behaviour(exit_code=1, output=f"{uri} refuses password-1 with hunter-22\n")
    wishes = replace(order(V1, 1).wishes, environment={"KEY": "hunter-22"}, secrets=("KEY",))
    async with world.alive() as agent:
        with pytest.raises(DeployFailed, match="exited with code 1") as failed:
            await agent.rollout.deploy(order(V1, 1, wishes=wishes))
    assert "[secret] refuses [secret] with [secret]" in str(failed.value)
    assert "hunter-22" not in str(failed.value) + repr(wishes) + caplog.text
    assert "password-1" not in str(failed.value) + caplog.text


async def test_accounts_survive_on_disk_for_the_agents_eyes_only(tmp_path: Path) -> None:
    files = JsonAccounts(tmp_path)
    assert await files.load() == []
    account = ready(SERVER.account("7", "my-shop", "p@ss"))
    await files.save(account)
    path = tmp_path / "databases" / "u7_amy-shop.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert await files.load() == [account]
    (tmp_path / "databases" / "u7_a6.json").write_text('{"user_id": "7"')
    assert await files.load() == [account]
    await files.remove(account)
    await files.remove(account)
    assert await files.load() == []


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "databases").write_text("a file where the folder should be")
    for call in (JsonAccounts(tmp_path).load(), JsonAccounts(tmp_path).save(SERVER.account("7", "5", "p-of-5"))):
        with pytest.raises(AccountError, match="accounts of databases") as failed:
            await call
        assert "p-of-5" not in str(failed.value)
