"""Identities and logins that were begun, over every database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.api.adapters.sql.accounts import SqlAccounts
from daemons.api.adapters.sql.identities import SqlIdentities
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.domain.accounts import AccountExists, UnknownAccount
from daemons.api.domain.identities import Attempt, Identity
from daemons.kit.sql import Database, migrate, open_database
from protocol.accounts import Role

ATTEMPT = Attempt("state", "browser", "n" * 43, "v" * 43)
ALICE = Identity("https://id.example.com", "alice")


@pytest.fixture(params=["memory", "file", pytest.param("mariadb", marks=pytest.mark.real)])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    urls = {"memory": "sqlite:///:memory:", "file": f"sqlite:///{tmp_path}/identities.db"}
    async with open_database(urls.get(request.param) or request.getfixturevalue("mysql_url"), QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        yield database


async def test_a_login_that_was_begun_is_taken_once_by_its_browser(database: Database) -> None:
    store = SqlIdentities(database)
    await store.note(ATTEMPT, 600)
    for state, browser in (("state", "another"), ("another", "browser"), ("State", "browser"), ("\udcff", "")):
        assert await store.take(state, browser) is None
    taken = await asyncio.gather(*(store.take("state", "browser") for _ in range(6)))
    assert [each for each in taken if each is not None] == [ATTEMPT]


async def test_a_login_that_took_too_long_is_over_and_forgotten(database: Database) -> None:
    store = SqlIdentities(database)
    await store.note(ATTEMPT, -1)
    assert await store.take("state", "browser") is None
    await store.note(ATTEMPT, -1)
    await store.note(Attempt("other", "browser", "n", "v"), 600)
    assert (await store.tidy(), await store.tidy()) == (1, 0)


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        ("https://id.example.com", "Alice"),
        ("https://id.example.com", "alice "),
        ("https://id.example.com", "\u00e1lice"),
        ("https://id.example.com/", "alice"),
        ("https://id.example.com\nalice", ""),
    ],
)
async def test_nobody_else_is_who_almost_has_the_name(database: Database, issuer: str, subject: str) -> None:
    store = SqlIdentities(database)
    alice, password_hash = await store.create(ALICE, "hash")
    assert (await store.account(ALICE), password_hash) == ((alice, "hash"), "hash")
    assert await store.account(Identity(issuer, subject)) is None
    other, _ = await store.create(Identity(issuer, subject), "hash of another")
    assert other.user_id != alice.user_id


async def test_who_comes_several_times_at_once_gets_one_account(database: Database) -> None:
    store = SqlIdentities(database)
    made = await asyncio.gather(*(store.create(ALICE, f"hash {number}") for number in range(6)))
    assert len({account.user_id for account, _ in made}) == 1
    assert len(await SqlAccounts(database).page(0, 10)) == 1
    found = await store.account(ALICE)
    assert found is not None
    assert {password_hash for _, password_hash in made} == {found[1]}


async def test_an_identity_has_one_account_and_an_account_may_have_several(database: Database) -> None:
    store, accounts = SqlIdentities(database), SqlAccounts(database)
    one, other = [await accounts.add(name, "hash", Role.USER, None) for name in ("one", "other")]
    assert (await store.link(ALICE, one.user_id), await store.link(ALICE, one.user_id)) == (one, one)
    with pytest.raises(AccountExists):
        await store.link(ALICE, other.user_id)
    with pytest.raises(UnknownAccount):
        await store.link(Identity("i", "nobody"), 99)
    await store.link(Identity("https://id.example.com", "alice2"), one.user_id)
    found = await store.account(ALICE)
    assert found is not None
    assert found[0] == one
