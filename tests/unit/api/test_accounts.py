"""What a password must be, how it is hashed, what a token must say, and who is who for how long."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from argon2 import Type, extract_parameters

from daemons.api.adapters.access_tokens import JwtTokens
from daemons.api.adapters.passwords import Argon2Passwords, Hardness
from daemons.api.domain.accounts import (
    Account,
    Lives,
    NotLoggedIn,
    Session,
    WeakPassword,
    check_password,
    role_of,
    type_of,
)
from daemons.api.domain.rates import Rate
from daemons.api.ports.accounts import Claims, LoginOff, Match, TooManyLogins
from daemons.api.services.accounts import Accounts
from daemons.api.services.sessions import Sessions
from daemons.kit.clock import SystemClock
from protocol.accounts import Role, user_name
from tests.support.memory_accounts import Memory, MemoryAccounts, MemoryLoginFailures, MemorySessions

PASSWORD = "correct horse battery staple"
OLD, NEW = "jwt-secret-of-last-year-0123456789", "jwt-secret-of-this-year-" + "0123456789" * 5
SESSION = Session("s1", Account(7, "alice", Role.OPERATOR, enabled=True, created_at=0), 0)
CLAIMS = Claims(7, "s1", Role.OPERATOR)


class FixedClock:
    """A time that a test says."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def tokens(*secrets: str, issuer: str = "fun-ai-studio", shift: int = 0) -> JwtTokens:
    clock = FixedClock(SystemClock().now() + timedelta(seconds=shift)) if shift else SystemClock()
    return JwtTokens(secrets, issuer, clock)


def failures(memory: Memory) -> MemoryLoginFailures:
    return MemoryLoginFailures(memory, Rate(10, 1))


@pytest.mark.parametrize("role", Role)
def test_roles_are_kept_as_numbers_that_mean_what_they_did(role: Role) -> None:
    assert role_of(type_of(role)) is role
    assert (type_of(Role.USER), type_of(Role.ADMIN)) == (0, 1)


def test_an_unknown_number_gives_no_rights_over_others() -> None:
    assert role_of(99) is Role.USER
    assert [Role.ADMIN.covers(role) for role in Role] == [True, True, True]
    assert [Role.OPERATOR.covers(role) for role in Role] == [True, True, False]
    assert [Role.USER.covers(role) for role in Role] == [True, False, False]


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a" * 65, "a/b", "a\n"])
def test_names_are_short_and_plain(name: str) -> None:
    with pytest.raises(ValueError, match="must be 1 to 64"):
        user_name(name)
    assert user_name("Alice@Example.org") == "alice@example.org"


@pytest.mark.parametrize(
    "weak", ["", "short", "a" * 11, "x" * 257, "aaaaaaaaaaaaaaaa", "abababababababab", "alice-alice1"]
)
def test_weak_passwords_are_refused_without_being_told(weak: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        check_password(weak, "alice-alice")
    assert not weak or weak not in str(refused.value)


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert check_password("pa\u0308ssword-lang", "alice") == check_password("p\u00e4ssword-lang", "alice")


def test_a_refresh_token_lives_no_longer_than_its_session() -> None:
    lives = Lives(900, 100, 1000)
    assert (lives.refresh_until(0, 1_000_000), lives.refresh_until(950_000, 1_000_000)) == (100_000, 1_000_000)


async def test_hashes_are_argon2id_of_owasps_least_and_never_alike() -> None:
    passwords = Argon2Passwords()
    first, second = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)
    made = extract_parameters(first)
    assert first != second and PASSWORD not in first
    assert (made.type, made.memory_cost, made.time_cost, made.parallelism) == (Type.ID, 19_456, 2, 1)
    assert await passwords.check(first, PASSWORD) is Match.YES
    assert await passwords.check(first, PASSWORD + "x") is Match.NO
    assert await passwords.check("no hash", PASSWORD) is Match.NO
    await passwords.close()


async def test_a_user_who_does_not_exist_costs_a_hash_of_the_same_hardness(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Argon2Passwords(Hardness(memory_kib=20_000, passes=3))
    tried: list[tuple[int, int]] = []
    real = passwords._match

    def match(password_hash: str, password: str) -> Match:
        made = extract_parameters(password_hash)
        tried.append((made.memory_cost, made.time_cost))
        return real(password_hash, password)

    monkeypatch.setattr(passwords, "_match", match)
    assert await passwords.check(None, PASSWORD) is Match.NO
    assert await passwords.check(await passwords.hash(PASSWORD), "wrong") is Match.NO
    assert tried == [(20_000, 3)] * 2
    await passwords.close()


async def test_as_many_passwords_wait_as_may() -> None:
    passwords = Argon2Passwords(Hardness(at_once=1))
    kept = await passwords.hash(PASSWORD)
    found = await asyncio.gather(*(passwords.check(kept, PASSWORD) for _ in range(70)), return_exceptions=True)
    assert found.count(Match.YES) == 65
    assert sum(isinstance(each, TooManyLogins) for each in found) == 5
    assert await passwords.check(kept, PASSWORD) is Match.YES
    await passwords.close()


def test_any_live_secret_reads_and_the_first_one_signs() -> None:
    before, between, after = tokens(OLD), tokens(NEW, OLD), tokens(NEW)
    assert between.read(before.issue(SESSION, 60)) == CLAIMS
    assert after.read(between.issue(SESSION, 60)) == CLAIMS
    for reader, token in ((after, before.issue(SESSION, 60)), (before, between.issue(SESSION, 60))):
        with pytest.raises(NotLoggedIn):
            reader.read(token)


def test_without_a_secret_nothing_is_issued_or_read() -> None:
    with pytest.raises(LoginOff, match="API_JWT_SECRET"):
        tokens().issue(SESSION, 60)
    with pytest.raises(NotLoggedIn):
        tokens().read(tokens(NEW).issue(SESSION, 60))


def test_a_token_lives_from_its_beginning_to_its_end() -> None:
    with pytest.raises(NotLoggedIn, match="expired"):
        tokens(NEW).read(tokens(NEW, shift=-1000).issue(SESSION, 900))
    with pytest.raises(NotLoggedIn, match="not valid"):
        tokens(NEW).read(tokens(NEW, shift=1000).issue(SESSION, 900))
    assert tokens(NEW).read(tokens(NEW, shift=-600).issue(SESSION, 900)) == CLAIMS


def changed(token: str, *, without: str = "", head: dict[str, Any] | None = None, **claims: Any) -> str:
    said = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    said.pop(without, None)
    heads = {**jwt.get_unverified_header(token), **(head or {})}
    algorithm = heads.pop("alg")
    key = "" if algorithm == "none" else NEW
    kept = {name: value for name, value in heads.items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm, headers=kept)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "nbf", "exp", "sid", "role"])
def test_every_claim_must_be_there(claim: str) -> None:
    token = tokens(NEW).issue(SESSION, 60)
    assert tokens(NEW).read(changed(token)) == CLAIMS
    with pytest.raises(NotLoggedIn):
        tokens(NEW).read(changed(token, without=claim))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"sub": "alice"},
        {"sub": 7},
        {"role": "root"},
        {"exp": "soon"},
        {"exp": 1},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
        {"head": {"alg": "HS512"}},
        {"head": {"alg": "none"}},
        {"head": {"kid": None}},
        {"head": {"kid": "00000000"}},
        {"head": {"typ": "JWT"}},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotLoggedIn):
        tokens(NEW).read(changed(tokens(NEW).issue(SESSION, 60), **wrong))


def test_what_is_no_token_is_refused() -> None:
    good = tokens(NEW).issue(SESSION, 60)
    head, body, signature = good.split(".")
    deep = base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=")
    torn = f"{head}.{body}.", f"{head}.{body}", good + "x"
    for text in ("", "..", "a.b.c", "ä.b.c", *torn, f"{deep}.{body}.x", "x" * 9000):
        with pytest.raises(NotLoggedIn):
            tokens(NEW).read(text)
    with pytest.raises(NotLoggedIn):
        tokens(NEW, issuer="another").read(good)
    assert tokens(NEW).read(f"{head}.{body}.{signature}") == CLAIMS


async def test_a_login_hashes_anew_what_was_hashed_more_weakly() -> None:
    memory = Memory()
    weak, strong = Argon2Passwords(), Argon2Passwords(Hardness(memory_kib=20_000))
    store, live = MemoryAccounts(memory), MemorySessions(memory)
    await Accounts(store, weak).create("alice", PASSWORD, Role.USER, None)
    sessions = Sessions(store, live, failures(memory), strong, tokens(NEW), Lives(), Rate(60, 20))
    with pytest.raises(NotLoggedIn):
        await sessions.login("alice", "wrong", "192.0.2.1")
    assert extract_parameters(memory.hashes[1]).memory_cost == 19_456
    granted = await sessions.login("Alice", PASSWORD, "192.0.2.1")
    assert extract_parameters(memory.hashes[1]).memory_cost == 20_000
    assert (await sessions.of_token(granted.access)).account.name == "alice"
    assert (await sessions.login("alice", PASSWORD, "192.0.2.1")).session.id != granted.session.id
    await asyncio.gather(weak.close(), strong.close())


async def test_a_session_ends_with_its_time_however_often_it_is_refreshed() -> None:
    memory, passwords = Memory(), Argon2Passwords()
    store, live, lives = MemoryAccounts(memory), MemorySessions(memory), Lives(60, 600, 1000)
    await Accounts(store, passwords).create("alice", PASSWORD, Role.USER, None)
    sessions = Sessions(store, live, failures(memory), passwords, tokens(NEW), lives, Rate(60, 20))
    granted = await sessions.login("alice", PASSWORD, "")
    assert (granted.access_seconds, granted.refresh_seconds) == (60, 600)
    memory.now += 599_000
    granted = await sessions.refresh(granted.refresh)
    assert granted.refresh_seconds == 401
    memory.now += 401_000
    with pytest.raises(NotLoggedIn):
        await sessions.refresh(granted.refresh)
    with pytest.raises(NotLoggedIn):
        await sessions.of_token(granted.access)
    memory.now += 1
    await sessions.tidy()
    assert (memory.sessions, memory.tokens) == ({}, {})
    await passwords.close()
