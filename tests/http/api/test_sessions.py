"""Login, tokens and their ends, API keys and accounts, over HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from daemons.api.composition.accounts import AccountParts
from daemons.api.domain.rates import LoginRates, Rate
from protocol.accounts import LoggedIn, Role
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN
from tests.http.api.conftest import ACCOUNTS, ADMIN, OWNER, PASSWORD, Api, logged_in, serving, with_account

AUTH, KEYS, USERS = "/api/fun-ai/auth", "/api/fun-ai/user/api-keys", "/api/fun-ai/admin/users"
ME, NEW = "/api/fun-ai/user/me", "another long enough phrase"


async def post(api: Api, path: str, body: dict[str, Any], token: str | None = None) -> httpx.Response:
    return await api.raw.post(path, json=body, headers={} if token is None else bearer(token))


async def ordered(api: Api, order: str, body: dict[str, Any]) -> None:
    answer = await api.raw.post(f"{USERS}/{order}", json=body, headers={ADMIN_TOKEN: ADMIN})
    assert answer.status_code == 200, answer.text


async def me(api: Api, token: str) -> int:
    return (await api.raw.get(ME, headers=bearer(token))).status_code


async def refreshed(api: Api, token: str) -> httpx.Response:
    return await post(api, f"{AUTH}/refresh", {"refreshToken": token})


@pytest.fixture
async def alice(api: Api) -> LoggedIn:
    return await with_account(api, "alice", Role.USER)


async def test_who_logs_in_is_somebody(api: Api) -> None:
    alice = await with_account(api, "Alice", Role.OPERATOR)
    assert (alice.user_id, alice.user_name, alice.role, alice.expires_in) == (3, "alice", Role.OPERATOR, 900)
    told = (await api.raw.get(ME, headers=bearer(alice.access_token))).json()["data"]
    assert told == {"userId": 3, "userName": "alice", "userType": 2}
    again = await post(api, f"{AUTH}/login", {"userName": "ALICE", "password": PASSWORD})
    assert again.status_code == 200 and again.headers["Cache-Control"] == "no-store"


async def test_wrong_credentials_are_all_answered_alike(api: Api, alice: LoggedIn) -> None:
    await with_account(api, "bob", Role.USER)
    await ordered(api, "set-enabled", {"userId": 4, "enabled": False})
    told = set()
    for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("", ""), ("a b", "\0")):
        answer = await post(api, f"{AUTH}/login", {"userName": name or "-", "password": password or "-"})
        told.add((answer.status_code, answer.text))
    assert len(told) == 1
    assert next(iter(told))[0] == 401


async def test_a_refresh_token_is_good_for_one_use_and_its_reuse_ends_the_session(api: Api, alice: LoggedIn) -> None:
    other = await logged_in(api, "alice")
    first = await refreshed(api, alice.refresh_token)
    second = first.json()["data"]["refreshToken"]
    assert first.status_code == 200 and second != alice.refresh_token
    assert await me(api, first.json()["data"]["accessToken"]) == 200
    assert (await refreshed(api, alice.refresh_token)).status_code == 401
    assert (await refreshed(api, second)).status_code == 401, "its family is revoked"
    assert await me(api, alice.access_token) == await me(api, first.json()["data"]["accessToken"]) == 401
    assert await me(api, other.access_token) == 200, "another device's session goes on"


async def test_of_many_uses_at_once_none_keeps_the_session(api: Api, alice: LoggedIn) -> None:
    answers = await asyncio.gather(*(refreshed(api, alice.refresh_token) for _ in range(8)))
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert await me(api, alice.access_token) == 401


@pytest.mark.parametrize("token", ["", "fur_", "fur_" + "x" * 43, "ü", "x" * 10_000])
async def test_what_is_no_refresh_token_is_refused(api: Api, token: str) -> None:
    assert (await refreshed(api, token)).status_code in (400, 401)


async def test_a_logout_ends_this_session_or_all(api: Api, alice: LoggedIn) -> None:
    second, third = await logged_in(api, "alice"), await logged_in(api, "alice")
    assert (await post(api, f"{AUTH}/logout", {}, alice.access_token)).status_code == 200
    assert await me(api, alice.access_token) == 401
    assert (await refreshed(api, alice.refresh_token)).status_code == 401
    assert await me(api, second.access_token) == 200
    assert (await post(api, f"{AUTH}/logout", {"everywhere": True}, second.access_token)).status_code == 200
    assert await me(api, second.access_token) == await me(api, third.access_token) == 401


async def test_a_password_is_changed_by_who_knows_it_and_ends_other_sessions(api: Api, alice: LoggedIn) -> None:
    other = await logged_in(api, "alice")

    async def change(current: str, new: str) -> int:
        order = {"currentPassword": current, "newPassword": new}
        return (await post(api, f"{AUTH}/password", order, alice.access_token)).status_code

    assert await change("wrong", NEW) == 401
    assert (
        await change(PASSWORD, "short")
        == await change(PASSWORD, "alice" * 2)
        == await change(PASSWORD, "a" * 40)
        == 400
    )
    assert await change(PASSWORD, NEW) == 200
    assert await me(api, alice.access_token) == 200
    assert await me(api, other.access_token) == 401
    assert (await refreshed(api, other.refresh_token)).status_code == 401
    assert (await refreshed(api, alice.refresh_token)).status_code == 200
    assert (await post(api, f"{AUTH}/login", {"userName": "alice", "password": PASSWORD})).status_code == 401
    assert (await logged_in(api, "alice", NEW)).user_id == alice.user_id


async def test_who_is_disabled_is_out_at_once_with_every_credential(api: Api) -> None:
    alice = await with_account(api, "alice", Role.USER, 1)
    key = (await post(api, KEYS, {"title": "ci"}, alice.access_token)).json()["data"]["key"]
    assert await me(api, key) == await me(api, OWNER) == 200
    await ordered(api, "set-enabled", {"userId": 1, "enabled": False})
    assert [await me(api, token) for token in (alice.access_token, key, OWNER)] == [401, 401, 401]
    assert (await refreshed(api, alice.refresh_token)).status_code == 401
    await ordered(api, "set-enabled", {"userId": 1, "enabled": True})
    assert await me(api, OWNER) == await me(api, key) == 200
    assert await me(api, alice.access_token) == 401, "sessions do not come back"


async def test_a_new_role_or_password_from_an_admin_ends_sessions(api: Api) -> None:
    alice = await with_account(api, "alice", Role.ADMIN)
    await ordered(api, "set-role", {"userId": alice.user_id, "role": "user"})
    assert await me(api, alice.access_token) == 401
    lesser = await logged_in(api, "alice")
    assert lesser.role is Role.USER
    assert (await api.raw.get(f"{USERS}/list", headers=bearer(lesser.access_token))).status_code == 403
    await ordered(api, "set-password", {"userId": alice.user_id, "password": NEW})
    assert await me(api, lesser.access_token) == 401
    assert (await logged_in(api, "alice", NEW)).role is Role.USER


async def test_api_keys_are_shown_once_and_never_more_than_their_holder(api: Api) -> None:
    alice = await with_account(api, "alice", Role.OPERATOR)
    made = await post(api, KEYS, {"title": "ci", "role": "operator", "days": 3}, alice.access_token)
    key, told = made.json()["data"].pop("key"), made.json()["data"]
    listed = (await api.raw.get(KEYS, headers=bearer(alice.access_token))).json()["data"]
    assert [row["id"] for row in listed] == [told["id"]] and "key" not in listed[0] and key not in str(listed)
    assert made.headers["Cache-Control"] == "no-store" and told["expireTime"] > told["createTime"]
    nodes = "/api/fun-ai/admin/workspace-nodes/list"
    assert (await api.raw.get(nodes, headers=bearer(key))).status_code == 200
    assert (await post(api, KEYS, {"title": "x", "role": "admin"}, alice.access_token)).status_code == 403
    assert (await post(api, KEYS, {"title": "x"}, key)).status_code == 403, "a key makes no keys"
    await ordered(api, "set-role", {"userId": alice.user_id, "role": "user"})
    assert (await api.raw.get(nodes, headers=bearer(key))).status_code == 403
    assert await me(api, key) == 200
    alice = await logged_in(api, "alice")
    stranger = await with_account(api, "bob", Role.ADMIN)
    gone = f"{KEYS}?keyId={told['id']}"
    assert (await api.raw.delete(gone, headers=bearer(stranger.access_token))).status_code == 404
    assert (await api.raw.delete(gone, headers=bearer(alice.access_token))).status_code == 200
    assert await me(api, key) == 401


async def test_accounts_are_made_once_for_users_who_are_there(api: Api, alice: LoggedIn) -> None:
    async def create(**more: object) -> int:
        order = {"userName": "carol", "password": PASSWORD, **more}
        return (await api.raw.post(f"{USERS}/create", json=order, headers={ADMIN_TOKEN: ADMIN})).status_code

    assert await create(userName="ALICE") == 409
    assert await create(userId=99) == 404
    assert await create(userName="c d") == await create(password="short") == await create(role="root") == 400
    assert await create(userId=2) == 200
    assert await create(userId=2, userName="dave") == 409
    listed = (await api.raw.get(f"{USERS}/list", headers={ADMIN_TOKEN: ADMIN})).json()["data"]
    assert [(row["userId"], row["userName"], row["role"]) for row in listed] == [
        (2, "carol", "user"),
        (3, "alice", "user"),
    ]


async def test_who_ordered_something_is_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    root = await with_account(api, "root", Role.ADMIN)
    order = {"userName": "carol", "password": PASSWORD}
    made = await post(api, f"{USERS}/create", order, root.access_token)
    assert made.status_code == 200
    told = [vars(record) for record in caplog.records if record.message == "an operator orders something"]
    assert [(each["caller"], each["path"]) for each in told] == [
        ("admin", f"{USERS}/create"),
        (f"user:{root.user_id}", f"{USERS}/create"),
    ]
    assert {each["source_address"] for each in told} == {"127.0.0.1"}
    assert not [record for record in caplog.records if PASSWORD in str(vars(record))]


def claims(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return read


async def test_no_token_says_more_than_the_account(api: Api, alice: LoggedIn) -> None:
    """Even one that is signed by the right secret: the session decides whose it is, the account what it may."""
    secret, said = ACCOUNTS.jwt_secrets[0], claims(alice.access_token)
    head = jwt.get_unverified_header(alice.access_token)
    assert (head["alg"], head["typ"], set(said)) == (
        "HS256",
        "at+jwt",
        {"iss", "aud", "sub", "iat", "nbf", "exp", "sid", "role"},
    )

    def forged(**changed: object) -> str:
        return jwt.encode({**said, **changed}, secret, algorithm="HS256", headers={"kid": head["kid"], "typ": "at+jwt"})

    assert await me(api, forged()) == 200
    assert (
        await me(api, forged(role="admin")) == await me(api, forged(sub="1")) == await me(api, forged(sid="x")) == 401
    )


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Api]:
    """Few attempts, and one proxy that is believed."""
    rates = LoginRates(Rate(3, 0.001), Rate(6, 0.001))
    accounts = replace(ACCOUNTS, logins=rates, dear=Rate(2, 0.001))
    async with serving(tmp_path, accounts=accounts, proxies=[ip_network("127.0.0.1")]) as api:
        yield api


async def attempt(api: Api, name: str, password: str, source: str = "192.0.2.1") -> httpx.Response:
    body, said = {"userName": name, "password": password}, {"X-Forwarded-For": source}
    return await api.raw.post(f"{AUTH}/login", json=body, headers=said)


async def test_wrong_passwords_are_counted_for_each_account_from_wherever(strict: Api) -> None:
    await with_account(strict, "alice", Role.USER)
    for number in range(3):
        assert (await attempt(strict, "alice", "wrong", f"192.0.2.{number}")).status_code == 401
    refused = await attempt(strict, "ALICE", PASSWORD, "192.0.2.9")
    assert refused.status_code == 429
    body = refused.json()
    assert (body["code"], body["reason"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) == body["data"]["retryAfterSeconds"] > 0
    assert (await attempt(strict, "bob", "wrong", "192.0.2.9")).status_code == 401, "others may go on"


async def test_wrong_passwords_are_counted_by_all_processes_together(tmp_path: Path) -> None:
    accounts = replace(ACCOUNTS, logins=LoginRates(Rate(4, 0.001), Rate(60, 20)))
    url = f"sqlite:///{tmp_path}/api.db"
    async with (
        serving(tmp_path, accounts=accounts, database_url=url) as here,
        serving(tmp_path, accounts=accounts, database_url=url) as there,
    ):
        await with_account(here, "alice", Role.USER)
        for name in ("alice", "nobody"):
            tries = [attempt(api, name, f"wrong {number}") for number in range(5) for api in (here, there)]
            statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
            assert sorted(statuses) == [401] * 4 + [429] * 6, name
        assert [(await attempt(api, "alice", PASSWORD)).status_code for api in (here, there)] == [429, 429]


async def test_right_passwords_do_not_use_up_an_account(strict: Api) -> None:
    await with_account(strict, "alice", Role.USER)
    for number in range(6):
        assert (await attempt(strict, "alice", PASSWORD, f"192.0.2.{number}")).status_code == 200


async def test_attempts_are_counted_for_each_address(strict: Api) -> None:
    for number in range(6):
        assert (await attempt(strict, f"u{number}", "wrong", f"2001:db8::{number}")).status_code == 401
    assert (await attempt(strict, "u9", "wrong", "2001:db8::9")).status_code == 429, "one home is one address"
    assert (await attempt(strict, "u9", "wrong", "2001:db8:0:1::9")).status_code == 401
    assert (await attempt(strict, "u8", "wrong", "2001:db8::9, 192.0.2.1")).status_code == 401, "the last hop counts"


async def test_a_forged_address_does_not_help_where_no_proxy_is_trusted(tmp_path: Path) -> None:
    accounts = replace(ACCOUNTS, logins=LoginRates(Rate(3, 0.001), Rate(6, 0.001)))
    async with serving(tmp_path, accounts=accounts) as api:
        statuses = [(await attempt(api, f"u{number}", "x", f"192.0.2.{number}")).status_code for number in range(7)]
        assert statuses == [401] * 6 + [429]


async def test_expensive_calls_are_counted_for_each_caller(strict: Api) -> None:
    for _ in range(2):
        await strict.owner.create_app()
    refused = await strict.raw.post("/api/fun-ai/app/create", headers=bearer(OWNER))
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    ensured = await strict.raw.post("/api/fun-ai/workspace/run/build?appId=20001", headers=bearer(OWNER))
    assert ensured.status_code == 429
    await strict.other.create_app()
    assert len(await strict.owner.apps()) == 2, "looking costs nothing"


async def test_without_a_secret_nobody_logs_in_and_older_credentials_work(tmp_path: Path) -> None:
    async with serving(tmp_path, accounts=AccountParts()) as api:
        answer = await attempt(api, "alice", PASSWORD)
        assert answer.status_code == 503 and "API_JWT_SECRET" in answer.json()["message"]
        assert await me(api, OWNER) == 200
        assert await me(api, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.") == 401


PAGE = "https://console.example.org"


async def test_pages_of_listed_origins_alone_may_read(tmp_path: Path) -> None:
    async with serving(tmp_path, accounts=replace(ACCOUNTS, origins=(PAGE,))) as api:
        for origin in (
            "https://evil.example.org",
            "null",
            PAGE + ".evil.org",
            "http://console.example.org",
            PAGE + ":444",
        ):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            refused = await api.raw.options(f"{AUTH}/login", headers=asked)
            plain = await api.raw.get(ME, headers={**bearer(OWNER), "Origin": origin})
            assert (refused.status_code, plain.status_code) == (403, 200)
            assert not [name for each in (refused, plain) for name in each.headers if name.startswith("access-control")]
            assert plain.headers["Vary"] == "Origin"
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        allowed = await api.raw.options(f"{AUTH}/login", headers=asked)
        assert allowed.status_code == 204 and "Authorization" in allowed.headers["Access-Control-Allow-Headers"]
        for headers, path, status in ((bearer(OWNER), ME, 200), ({}, ME, 401), ({}, "/nowhere", 404)):
            answer = await api.raw.get(path, headers={**headers, "Origin": PAGE})
            told = answer.headers
            assert (answer.status_code, told["Access-Control-Allow-Origin"]) == (status, PAGE)
            assert (told["Access-Control-Allow-Credentials"], told["Vary"]) == ("true", "Origin")
        assert "Access-Control-Allow-Origin" not in (await api.raw.get(ME)).headers


async def test_a_call_of_options_that_is_no_preflight_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, accounts=replace(ACCOUNTS, origins=(PAGE,))) as api:
        answer = await api.raw.options("/api/fun-ai/workspace/files/uploads", headers={"Origin": PAGE})
        assert answer.status_code == 401
