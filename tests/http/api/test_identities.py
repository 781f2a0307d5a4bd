"""Logins by another provider, against one that signs real tokens: the way there and back, and whoever tries another."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import orjson
import pytest

from daemons.api.domain.identities import Provider
from protocol.accounts import LoggedIn, Role
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN
from tests.http.api.conftest import ACCOUNTS, ADMIN, Api, serving, with_account
from tests.support.login_provider import CLIENT, SECRET, Claims, Key, LoginProvider, login_provider

AUTH = "/api/fun-ai/auth/oidc"
BACK = "https://studio.example.com/api/fun-ai/auth/oidc/callback"
COOKIE = "__Secure-funai-login"


class Stand:
    """An API that believes a provider."""

    def __init__(self, api: Api, provider: LoginProvider) -> None:
        self.api = api
        self.provider = provider

    async def begun(self) -> tuple[str, str]:
        """Where the browser is sent, and what it keeps."""
        answer = await self.api.raw.get(f"{AUTH}/login")
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"], answer.headers["Set-Cookie"].split(";")[0].removeprefix(f"{COOKIE}=")

    async def back(self, answer: str, browser: str | None) -> httpx.Response:
        headers = {b"Cookie": f"{COOKIE}={browser}".encode()} if browser is not None else dict[bytes, bytes]()
        return await self.api.raw.get(f"{AUTH}/callback?{answer}", headers=headers)

    async def login(self, subject: str = "alice") -> httpx.Response:
        """The whole way."""
        place, browser = await self.begun()
        return await self.back(self.provider.agree(place, subject), browser)

    async def logged_in(self, subject: str = "alice") -> LoggedIn:
        answer = await self.login(subject)
        assert answer.status_code == 200, answer.text
        return LoggedIn.model_validate_json(orjson.dumps(answer.json()["data"]))


def rules(provider: LoginProvider, **more: Any) -> Provider:
    return replace(Provider(provider.url, CLIENT, BACK, creates=True), **more)


@pytest.fixture
async def provider() -> AsyncIterator[LoginProvider]:
    async with login_provider(BACK) as provider:
        yield provider


async def standing(folder: Path, provider: LoginProvider, secret: str = SECRET, **more: Any) -> AsyncIterator[Stand]:
    believed = replace(ACCOUNTS, provider=rules(provider, **more), provider_secret=secret, provider_keys_seconds=0.0)
    async with serving(folder, accounts=believed) as api:
        yield Stand(api, provider)


@pytest.fixture
async def stand(tmp_path: Path, provider: LoginProvider) -> AsyncIterator[Stand]:
    async for each in standing(tmp_path, provider):
        yield each


async def test_who_is_new_gets_an_account_and_is_the_same_the_next_time(stand: Stand) -> None:
    first = await stand.logged_in()
    assert first.role is Role.USER
    me = (await stand.api.raw.get("/api/fun-ai/user/me", headers=bearer(first.access_token))).json()["data"]
    assert me["userId"] == first.user_id
    refreshed = await stand.api.raw.post("/api/fun-ai/auth/refresh", json={"refreshToken": first.refresh_token})
    assert refreshed.status_code == 200
    again, other = await stand.logged_in(), await stand.logged_in("bob")
    assert (again.user_id, again.user_name) == (first.user_id, first.user_name)
    assert other.user_id != first.user_id
    capital = await stand.logged_in("ALICE")
    assert capital.user_id not in (first.user_id, other.user_id), "subjects are compared to the letter"


async def test_the_browser_goes_to_the_provider_and_nowhere_else(stand: Stand) -> None:
    for more in ("", "?returnTo=https://evil.example", "?redirect_uri=//evil.example", "?next=/x"):
        answer = await stand.api.raw.get(f"{AUTH}/login{more}", headers={"Host": "evil.example"})
        place = answer.headers["Location"]
        assert place.startswith(f"{stand.provider.url}/authorize?") and "evil" not in place
        kept = answer.headers["Set-Cookie"]
        for word in ("HttpOnly", "Secure", "SameSite=Lax", f"Path={AUTH}", "Max-Age=600"):
            assert word in kept
        assert answer.headers["Cache-Control"] == "no-store"
        assert kept.split("=", 1)[1].split(";")[0] not in place, "what the browser keeps is not in the address"
    finished = await stand.login()
    assert "Location" not in finished.headers and finished.headers["Cache-Control"] == "no-store"
    assert "Max-Age=0" in finished.headers["Set-Cookie"]


async def test_two_first_logins_at_once_make_one_account(stand: Stand) -> None:
    made = await asyncio.gather(*(stand.logged_in() for _ in range(5)))
    assert len({each.user_id for each in made}) == 1


async def test_an_answer_is_taken_once_and_from_the_browser_that_asked(stand: Stand) -> None:
    place, browser = await stand.begun()
    _, other = await stand.begun()
    answer = stand.provider.agree(place, "alice")
    for wrong in (None, "", other, browser + "x", "\u00e4"):
        assert (await stand.back(answer, wrong)).status_code == 401
    assert (await stand.back(answer.replace("state=", "state=x"), browser)).status_code == 401
    assert (await stand.back(answer, browser)).status_code == 200
    assert (await stand.back(answer, browser)).status_code == 401, "a state is used up"
    used = answer.split("&")[1]
    place, browser = await stand.begun()
    fresh = stand.provider.agree(place, "alice").split("&")[0]
    assert (await stand.back(f"{fresh}&{used}", browser)).status_code == 401, "a code is used up"
    assert (await stand.back("code=x", browser)).status_code == 400


async def test_a_code_of_somebody_else_s_login_does_not_fit(stand: Stand) -> None:
    """The provider holds it against the challenge of the login that it was made for."""
    place, browser = await stand.begun()
    stolen = stand.provider.agree((await stand.begun())[0], "victim").split("&")[1]
    mine = stand.provider.agree(place, "attacker").split("&")[0]
    assert (await stand.back(f"{mine}&{stolen}", browser)).status_code == 401


async def test_what_the_provider_refuses_is_said_without_its_words(stand: Stand) -> None:
    place, browser = await stand.begun()
    state = stand.provider.agree(place, "alice").split("&")[0]
    answer = await stand.back(f"{state}&error=access_denied&error_description=%3Cscript%3E", browser)
    assert (answer.status_code, "script" in answer.text) == (401, False)
    assert (await stand.back(f"{state}&code=x", browser)).status_code == 401


STRANGER = Key("one")
HOSTILE: dict[str, Callable[[Claims], Claims]] = {
    "another nonce": lambda claims: {**claims, "nonce": "n"},
    "a nonce that is no text": lambda claims: {**claims, "nonce": 7},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "for somebody else": lambda claims: {**claims, "aud": "another-client"},
    "for several, made for another": lambda claims: {**claims, "aud": [CLIENT, "b"], "azp": "b"},
    "for several, made for nobody": lambda claims: {**claims, "aud": [CLIENT, "b"]},
    "expired": lambda claims: {**claims, "exp": claims["iat"] - 3600, "iat": claims["iat"] - 7200},
    "from tomorrow": lambda claims: {**claims, "iat": claims["iat"] + 86_400, "exp": claims["iat"] + 90_000},
    "never ending": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "the issuer with a slash": lambda claims: {**claims, "iss": claims["iss"] + "/"},
    "about nobody": lambda claims: {**claims, "sub": ""},
    "about a number": lambda claims: {**claims, "sub": 7},
    "about a line": lambda claims: {**claims, "sub": "alice\n"},
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_token_that_says_something_else_logs_nobody_in(stand: Stand, what: str) -> None:
    stand.provider.tell = HOSTILE[what]
    assert (await stand.login()).status_code == 401
    stand.provider.tell = lambda claims: claims
    assert (await stand.login()).status_code == 200


FORGED: dict[str, Callable[[LoginProvider, Claims], str]] = {
    "no signature": lambda _, claims: jwt.encode(claims, "", algorithm="none", headers={"kid": "one"}),
    "the public key as a secret": lambda provider, claims: _hs256(claims, provider.key.pem()),
    "an empty secret": lambda _, claims: _hs256(claims, b""),
    "another's key of that name": lambda _, claims: STRANGER.sign(claims),
    "a key that it brings along": lambda _, claims: STRANGER.sign(claims, jwk=STRANGER.public()),
    "a key that nobody knows": lambda _, claims: STRANGER.sign(claims, kid="two"),
    "a key elsewhere": lambda provider, claims: STRANGER.sign(claims, jku=f"{provider.url}/elsewhere", kid="two"),
    "another algorithm": lambda provider, claims: jwt.encode(
        claims, provider.key.private, algorithm="RS512", headers={"kid": "one"}
    ),
    "torn": lambda provider, claims: provider.key.sign(claims)[:-20],
    "nothing": lambda _provider, _claims: "",
    "no token": lambda _provider, _claims: "a.b.c",
}


def _hs256(claims: Claims, secret: bytes) -> str:
    """PyJWT does not sign with a public key: whoever attacks does it by hand."""

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=")

    text = part({"alg": "HS256", "typ": "JWT", "kid": "one"}) + b"." + part(claims)
    mark = base64.urlsafe_b64encode(hmac.new(secret, text, hashlib.sha256).digest()).rstrip(b"=")
    return (text + b"." + mark).decode()


@pytest.mark.parametrize("what", FORGED)
async def test_a_token_that_another_signed_logs_nobody_in(stand: Stand, what: str) -> None:
    stand.provider.sign = lambda claims: FORGED[what](stand.provider, claims)
    assert (await stand.login()).status_code == 401
    stand.provider.sign = None
    assert (await stand.login()).status_code == 200


async def test_keys_change_and_the_old_ones_are_not_asked_for_again_and_again(stand: Stand) -> None:
    await stand.logged_in()
    await stand.logged_in()
    assert stand.provider.looks == 1
    stand.provider.key = Key("two", "ES256")
    assert (await stand.logged_in()).user_id == (await stand.logged_in()).user_id
    assert stand.provider.looks == 2


async def test_unknown_keys_do_not_make_us_ask_all_the_time(tmp_path: Path, provider: LoginProvider) -> None:
    believed = replace(ACCOUNTS, provider=rules(provider), provider_secret=SECRET, provider_keys_seconds=3600.0)
    async with serving(tmp_path, accounts=believed) as api:
        stand = Stand(api, provider)
        await stand.logged_in()
        provider.sign = lambda claims: STRANGER.sign(claims, kid="nonsense")
        for _ in range(3):
            assert (await stand.login()).status_code == 401
        assert provider.looks == 1


async def test_an_account_is_never_found_by_a_name_or_an_address(stand: Stand) -> None:
    local = await with_account(stand.api, "alice", Role.ADMIN)
    stand.provider.more = {"email": "alice", "email_verified": True, "preferred_username": "alice", "name": "alice"}
    found = await stand.logged_in()
    assert (found.role, found.user_id != local.user_id) == (Role.USER, True)
    wrong = {"userName": found.user_name, "password": ""}
    assert (await stand.api.raw.post("/api/fun-ai/auth/login", json=wrong)).status_code in (400, 401)


async def test_only_the_invited_come_in_where_none_is_made_an_account(tmp_path: Path, provider: LoginProvider) -> None:
    async for stand in standing(tmp_path, provider, creates=False):
        answer = await stand.login()
        assert (answer.status_code, "no account here" in answer.json()["message"]) == (403, True)
        alice = await with_account(stand.api, "alice", Role.OPERATOR)
        order, path = {"userId": str(alice.user_id), "subject": "alice"}, "/api/fun-ai/admin/users/link"
        for _ in range(2):
            linked = await stand.api.raw.post(path, json=order, headers={ADMIN_TOKEN: ADMIN})
            assert linked.json()["data"]["userName"] == "alice", linked.text
        found = await stand.logged_in()
        assert (found.user_id, found.role) == (alice.user_id, Role.OPERATOR), "roles are given here"
        bob = await with_account(stand.api, "bob", Role.USER)
        taken = {**order, "userId": str(bob.user_id)}
        assert (await stand.api.raw.post(path, json=taken, headers={ADMIN_TOKEN: ADMIN})).status_code == 409
        absent = {**order, "userId": "999"}
        assert (await stand.api.raw.post(path, json=absent, headers={ADMIN_TOKEN: ADMIN})).status_code == 404


async def test_a_disabled_account_stays_out(stand: Stand) -> None:
    found = await stand.logged_in()
    order = {"userId": str(found.user_id), "enabled": False}
    path = "/api/fun-ai/admin/users/set-enabled"
    assert (await stand.api.raw.post(path, json=order, headers={ADMIN_TOKEN: ADMIN})).is_success
    assert (await stand.login()).status_code == 401


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"groups": ["staff", "studio-ops"]}, Role.OPERATOR),
        ({"groups": "studio-admins"}, Role.ADMIN),
        ({"groups": ["studio-ops", "studio-admins"]}, Role.ADMIN),
        ({"groups": ["STUDIO-ADMINS", "admin"]}, Role.USER),
        ({"groups": {"studio-admins": True}}, Role.USER),
        ({"groups": 7}, Role.USER),
        ({"role": "admin", "roles": ["studio-admins"]}, Role.USER),
        ({}, Role.USER),
    ],
)
async def test_only_named_values_of_the_named_claim_give_a_role(
    tmp_path: Path, provider: LoginProvider, said: Claims, role: Role
) -> None:
    operators, admins = frozenset({"studio-ops"}), frozenset({"studio-admins"})
    async for stand in standing(tmp_path, provider, role_claim="groups", operators=operators, admins=admins):
        provider.more = said
        first = await stand.logged_in()
        assert first.role is role
        provider.more = {}
        second = await stand.logged_in()
        assert second.role is Role.USER, "what the provider takes away is gone with the next login"
        old = await stand.api.raw.get("/api/fun-ai/user/me", headers=bearer(first.access_token))
        assert old.status_code == (200 if role is Role.USER else 401)


async def test_without_a_claim_nobody_gets_a_role_from_outside(stand: Stand) -> None:
    stand.provider.more = {"groups": ["admin"], "role": "admin", "roles": ["admin"]}
    assert (await stand.logged_in()).role is Role.USER


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "ftp://evil.example"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_provider_that_is_not_as_it_should_be_logs_nobody_in(stand: Stand, discovery: Claims) -> None:
    stand.provider.discovery = discovery
    answer = await stand.api.raw.get(f"{AUTH}/login")
    assert (answer.status_code, answer.json()["reason"], "Set-Cookie" in answer.headers) == (502, "peer_failed", False)
    stand.provider.discovery = {}
    assert (await stand.login()).status_code == 200


async def test_a_provider_that_is_away_is_said_and_asked_again(stand: Stand) -> None:
    stand.provider.away = True
    assert (await stand.api.raw.get(f"{AUTH}/login")).status_code == 502
    stand.provider.away = False
    assert (await stand.login()).status_code == 200


async def test_a_wrong_secret_is_the_operators_to_mend_and_no_code_is_said(
    tmp_path: Path, provider: LoginProvider
) -> None:
    async for stand in standing(tmp_path, provider, secret="another-secret-0123456789"):
        place, browser = await stand.begun()
        answer = provider.agree(place, "alice")
        refused = await stand.back(answer, browser)
        assert (refused.status_code, "API_OIDC_CLIENT_SECRET" in refused.text) == (502, True)
        assert answer.rpartition("=")[2] not in refused.text


async def test_nothing_secret_is_logged(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    place, browser = await stand.begun()
    answer = stand.provider.agree(place, "alice")
    done = await stand.back(answer, browser)
    secrets = {browser, answer.rpartition("=")[2], urlsplit(place).query, SECRET, done.json()["data"]["accessToken"]}
    logged = [f"{record.__dict__}" for record in caplog.records if record.name.startswith("daemons")]
    assert not [secret for secret in secrets if any(secret in line for line in logged)]
