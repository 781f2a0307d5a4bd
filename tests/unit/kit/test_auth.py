"""Gates, the access table and the caller's address."""

import ipaddress

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from daemons.kit.auth import CALLER, SOURCE, Access, Forbidden, Gate, Unauthorized, client_address

TOKEN = "a-token-of-sixteen-or-more"
GATE = Gate("admin", "X-Admin-Token", (TOKEN, "the-next-token-of-admins"))
PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def request(peer: str | None = "192.0.2.1", **headers: str) -> web.Request:
    made = make_mocked_request("GET", "/", headers={key.replace("_", "-"): value for key, value in headers.items()})
    return made.clone(remote=peer or "")


@pytest.mark.parametrize(
    ("given_token", "proven"),
    [(TOKEN, True), ("the-next-token-of-admins", True), (f" {TOKEN} ", True), (TOKEN[:-1], False), ("", False)],
)
def test_either_live_token_proves(given_token: str, proven: bool) -> None:
    assert GATE.proves(request(X_Admin_Token=given_token)) is proven


def test_a_scheme_is_part_of_the_proof() -> None:
    gate = Gate("user", "Authorization", (TOKEN,), scheme="Bearer ")
    assert gate.proves(request(Authorization=f"Bearer {TOKEN}"))
    assert not gate.proves(request(Authorization=TOKEN))


def test_a_gate_without_tokens_opens_for_nobody() -> None:
    assert not Gate("admin", "X-Admin-Token", ()).proves(request(X_Admin_Token=""))


def test_a_gate_never_shows_its_tokens() -> None:
    assert TOKEN not in repr(GATE)


@given(st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60))
def test_no_text_but_a_token_proves_and_none_crashes(text: str) -> None:
    assert GATE.proves(request(X_Admin_Token=text)) is (text.strip() in GATE.tokens)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", "not an address", None),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("", None, None),
    ],
)
def test_the_address_of_a_caller(peer: str, forwarded: str | None, address: str | None) -> None:
    made = request(peer, **({"X_Forwarded_For": forwarded} if forwarded else {}))
    found = client_address(made, PROXIES)
    assert (str(found) if found else None) == address


def test_a_proxy_that_adds_a_header_of_its_own_is_believed_and_the_callers_header_is_not() -> None:
    lines = CIMultiDict([("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7, 10.0.0.2")])
    made = make_mocked_request("GET", "/", headers=lines).clone(remote="10.0.0.1")
    assert str(client_address(made, PROXIES)) == "198.51.100.7"


async def answer(_request: web.Request) -> web.Response:
    return web.Response()


def test_a_route_that_no_table_names_is_open_to_nobody() -> None:
    access = Access()
    with pytest.raises(Forbidden):
        access._admit(request(X_Admin_Token=TOKEN), "GET", "/forgotten")


def test_the_table_knows_its_routes_and_head_follows_get() -> None:
    access = Access()
    access.routes([web.get("/x", answer)], GATE)
    assert access.known("GET", "/x") and not access.known("POST", "/x")
    with pytest.raises(Unauthorized, match="X-Admin-Token"):
        access._admit(request(), "HEAD", "/x")
    access._admit(request(X_Admin_Token=TOKEN), "HEAD", "/x")


def test_any_of_several_gates_opens_and_one_that_is_switched_off_opens_for_all() -> None:
    access = Access()
    access.routes([web.get("/x", answer)], Gate("api", "X-DEPLOY-SECRET", ("another-token-of-the-api",)), GATE)
    access._admit(request(X_Admin_Token=TOKEN), "GET", "/x")
    access._admit(request(X_DEPLOY_SECRET="another-token-of-the-api"), "GET", "/x")
    access.routes([web.get("/y", answer)], Gate("api", "X-DEPLOY-SECRET", (), enabled=False))
    access._admit(request(), "GET", "/y")


def test_without_gates_nobody_is_proven_and_anyone_is_noted() -> None:
    access, asked = Access(), request(X_Admin_Token=TOKEN)
    with pytest.raises(Unauthorized):
        access.prove(asked, ())
    access.prove(asked, (GATE,))
    assert asked[CALLER] == GATE.name
    anyone = request()
    access.note(anyone)
    assert SOURCE in anyone and CALLER not in anyone
