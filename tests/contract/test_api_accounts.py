"""Accounts, sessions and API keys over their twin in memory and every database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.api.adapters.sql.accounts import SqlAccounts, SqlApiKeys
from daemons.api.adapters.sql.login_failures import SqlLoginFailures
from daemons.api.adapters.sql.sessions import SqlSessions
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlUsers
from daemons.api.domain.accounts import Account, AccountExists, Lives, NotLoggedIn, Session, UnknownAccount
from daemons.api.domain.rates import Rate
from daemons.api.ports.accounts import AccountStore, ApiKeyLimit, ApiKeyStore, LoginFailures, SessionStore
from daemons.kit.sql import migrate, open_database
from protocol.accounts import Role
from tests.support.memory_accounts import Memory, MemoryAccounts, MemoryApiKeys, MemoryLoginFailures, MemorySessions

LIVES = Lives()
#: What is made now has ended by the next look.
OVER = Lives(access=0, idle=-1, session=-1)
TWIN = "twin"
#: Nothing is given back while a test runs.
RATE = Rate(5, 0.001)


@dataclass
class Stores:
    accounts: AccountStore
    sessions: SessionStore
    keys: ApiKeyStore
    failures: LoginFailures

    async def account(self, name: str = "alice", role: Role = Role.USER) -> Account:
        return await self.accounts.add(name, f"hash of {name}", role, None)

    async def begun(self, account: Account, name: str = "s1", lives: Lives = LIVES) -> Session:
        return await self.sessions.begin(account, f"hash of {account.name}", name, f"{name} first", lives)


@pytest.fixture(params=[TWIN, "memory", "file", pytest.param("mariadb", marks=pytest.mark.real)])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """User 1 is there, without an account."""
    if request.param == TWIN:
        memory = Memory(users={1})
        yield Stores(
            MemoryAccounts(memory), MemorySessions(memory), MemoryApiKeys(memory), MemoryLoginFailures(memory, RATE)
        )
        return
    urls = {"memory": "sqlite:///:memory:", "file": f"sqlite:///{tmp_path}/accounts.db"}
    url = urls.get(request.param) or request.getfixturevalue("mysql_url")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, QUERIES))
        await migrate(database, COMPONENT, MIGRATIONS)
        await SqlUsers(database).ensure(1, "demo")
        yield Stores(
            SqlAccounts(database), SqlSessions(database), SqlApiKeys(database), SqlLoginFailures(database, RATE)
        )


async def test_accounts_are_found_by_id_and_name(stores: Stores) -> None:
    alice, root = await stores.account(), await stores.account("root", Role.ADMIN)
    assert (alice.user_id, alice.role, alice.enabled, root.user_id) == (2, Role.USER, True, 3)
    assert await stores.accounts.account(2) == alice
    assert await stores.accounts.named("root") == (root, "hash of root")
    assert [await stores.accounts.named(name) for name in ("Root", "root ", "ä商", "\0", "")] == [None] * 5
    assert await stores.accounts.account(1) is None
    assert list(await stores.accounts.page(0, 10)) == [alice, root]
    assert list(await stores.accounts.page(1, 10)) == [root]


async def test_a_user_who_is_there_gets_one_account(stores: Stores) -> None:
    demo = await stores.accounts.add("demo", "h", Role.OPERATOR, 1)
    assert (demo.user_id, demo.role) == (1, Role.OPERATOR)
    with pytest.raises(AccountExists):
        await stores.accounts.add("other", "h", Role.USER, 1)
    with pytest.raises(AccountExists):
        await stores.accounts.add("demo", "h", Role.USER, None)
    with pytest.raises(UnknownAccount):
        await stores.accounts.add("nobody", "h", Role.USER, 99)
    assert (await stores.account()).user_id == 2, "who was refused used up no id"


async def test_many_accounts_at_once_get_ids_of_their_own(stores: Stores) -> None:
    made = await asyncio.gather(*(stores.account(f"user{number}") for number in range(8)))
    assert sorted(account.user_id for account in made) == list(range(2, 10))


async def test_of_one_name_there_is_one_account(stores: Stores) -> None:
    made = await asyncio.gather(*(stores.account() for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, Account) for each in made) == 1
    assert sum(isinstance(each, AccountExists) for each in made) == 5


async def test_what_changes_an_account_ends_its_sessions(stores: Stores) -> None:
    alice, bob = await stores.account(), await stores.account("bob")
    await stores.begun(bob, "of bob")

    async def ended(*names: str) -> bool:
        return all([await stores.sessions.session(name) is None for name in names])

    await stores.begun(alice, "one")
    assert not (await stores.accounts.enable(alice.user_id, enabled=False)).enabled
    assert await ended("one")
    assert await stores.sessions.rotate("one first", "x", LIVES) is None
    with pytest.raises(NotLoggedIn):
        await stores.begun(alice, "disabled")
    assert (await stores.accounts.enable(alice.user_id, enabled=True)).enabled
    assert await ended("one", "disabled")
    await stores.begun(alice, "two")
    assert (await stores.accounts.set_role(alice.user_id, Role.ADMIN)).role is Role.ADMIN
    assert await ended("two")
    await stores.begun(alice, "three")
    await stores.begun(alice, "four")
    await stores.accounts.set_password(alice.user_id, "new", was="hash of alice", keep="four")
    assert await ended("three") and not await ended("four")
    with pytest.raises(NotLoggedIn):
        await stores.begun(alice, "old hash")
    with pytest.raises(NotLoggedIn):
        await stores.accounts.set_password(alice.user_id, "newer", was="hash of alice", keep=None)
    await stores.sessions.end_all(alice.user_id)
    assert await ended("four") and not await ended("of bob")
    for change in (
        stores.accounts.enable(99, enabled=True),
        stores.accounts.set_role(99, Role.USER),
        stores.accounts.set_password(99, "h", was=None, keep=None),
    ):
        with pytest.raises(UnknownAccount):
            await change


async def test_a_rehash_ends_nothing_and_overwrites_no_other_password(stores: Stores) -> None:
    alice = (await stores.begun(await stores.account())).account
    await stores.accounts.rehash(alice.user_id, "stronger", "hash of alice")
    assert await stores.accounts.named("alice") == (alice, "stronger")
    await stores.accounts.rehash(alice.user_id, "late", "hash of alice")
    assert await stores.accounts.named("alice") == (alice, "stronger")
    assert await stores.sessions.session("s1") is not None


async def test_a_session_goes_on_by_its_newest_token_alone(stores: Stores) -> None:
    alice = await stores.account()
    begun = await stores.begun(alice)
    assert begun.refresh_ms == LIVES.idle * 1000
    assert await stores.sessions.session("s1") == replace(begun, refresh_ms=0)
    second = await stores.sessions.rotate("s1 first", "second", LIVES)
    assert second is not None and (second.id, second.account, second.expires_at) == (
        "s1",
        begun.account,
        begun.expires_at,
    )
    assert await stores.sessions.rotate("unknown", "x", LIVES) is None
    assert await stores.sessions.rotate("second", "third", LIVES) is not None
    await stores.begun(alice, "s2")
    assert await stores.sessions.rotate("s1 first", "x", LIVES) is None, "spent"
    assert await stores.sessions.session("s1") is None
    assert await stores.sessions.rotate("third", "x", LIVES) is None, "its family is gone"
    assert await stores.sessions.session("s2") is not None


async def test_of_two_uses_at_once_one_ends_the_session(stores: Stores) -> None:
    await stores.begun(await stores.account())
    found = await asyncio.gather(*(stores.sessions.rotate("s1 first", f"n{number}", LIVES) for number in range(6)))
    assert sum(session is not None for session in found) == 1
    assert await stores.sessions.session("s1") is None


async def test_what_has_ended_is_refused_and_forgotten(stores: Stores) -> None:
    alice = await stores.account()
    await stores.begun(alice, "over", OVER)
    await stores.begun(alice, "idle", replace(LIVES, idle=-1))
    await stores.begun(alice, "live")
    assert await stores.sessions.session("over") is None
    assert await stores.sessions.rotate("over first", "x", LIVES) is None
    assert await stores.sessions.session("idle") is not None
    assert await stores.sessions.rotate("idle first", "x", LIVES) is None
    assert (await stores.sessions.tidy(), await stores.sessions.tidy()) == (1, 0)
    await stores.sessions.end("live")
    await stores.sessions.end("live")
    assert await stores.sessions.rotate("live first", "x", LIVES) is None


async def test_api_keys_open_as_long_as_they_are_there(stores: Stores) -> None:
    alice, bob = await stores.account(), await stores.account("bob", Role.ADMIN)
    first = await stores.keys.add(alice.user_id, "Rechner 商", Role.USER, "digest 1", None, 2)
    second = await stores.keys.add(alice.user_id, "ci", Role.OPERATOR, "digest 2", 3, 2)
    over = await stores.keys.add(bob.user_id, "over", Role.ADMIN, "digest 3", -1, 2)
    with pytest.raises(ApiKeyLimit):
        await stores.keys.add(alice.user_id, "third", Role.USER, "digest 4", None, 2)
    assert list(await stores.keys.of_user(alice.user_id)) == [first, second]
    assert await stores.keys.holder("digest 2") == (alice, second)
    assert second.expires_at == second.created_at + 3 * 86_400_000
    assert await stores.keys.holder("digest 3") is None
    assert await stores.keys.holder("DIGEST 2") is None
    disabled = await stores.accounts.enable(alice.user_id, enabled=False)
    assert await stores.keys.holder("digest 1") == (disabled, first)
    assert not await stores.keys.remove(bob.user_id, first.id)
    assert await stores.keys.remove(alice.user_id, first.id)
    assert not await stores.keys.remove(alice.user_id, first.id)
    assert await stores.keys.holder("digest 1") is None
    assert list(await stores.keys.of_user(bob.user_id)) == [over]


async def test_as_many_keys_at_once_as_there_may_be(stores: Stores) -> None:
    alice = await stores.account()
    keys = (stores.keys.add(alice.user_id, "k", Role.USER, f"digest {n}", None, 3) for n in range(8))
    made = await asyncio.gather(*keys, return_exceptions=True)
    assert sum(isinstance(each, ApiKeyLimit) for each in made) == 5


async def test_the_last_login_is_known_when_its_session_is_forgotten(stores: Stores) -> None:
    alice = await stores.account()
    assert alice.logged_in_at is None
    session = await stores.begun(alice)
    await stores.sessions.end(session.id)
    (found,) = await stores.accounts.page(0, 10)
    assert found.logged_in_at is not None and found == session.account == await stores.accounts.account(found.user_id)


async def test_failures_are_counted_together_however_many_come_at_once(stores: Stores) -> None:
    one, other = "a" * 64, "b" * 64
    waits = await asyncio.gather(*(stores.failures.take(one) for _ in range(12)))
    assert sum(not wait for wait in waits) == 5
    assert all(wait > 1000 for wait in waits if wait)
    assert await stores.failures.take(other) == 0.0
    for _ in range(2):
        await stores.failures.give_back(one)
    assert [bool(await stores.failures.take(one)) for _ in range(3)] == [False, False, True]
    await stores.failures.give_back("c" * 64)
    assert await stores.failures.tidy() == 0
    await stores.failures.give_back(other)
    assert await stores.failures.take(one) > 0


async def test_failures_that_nothing_is_owed_for_are_forgotten(stores: Stores) -> None:
    name = "a" * 64
    await stores.failures.take(name)
    for _ in range(2):
        await stores.failures.give_back(name)
    assert (await stores.failures.tidy(), await stores.failures.tidy()) == (1, 0)
