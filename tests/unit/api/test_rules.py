"""The table of rules as a table: what must hold of every row, whoever adds one."""

import pytest

from daemons.api.domain.access import Subject
from daemons.api.domain.forwarding import PREFIX, call_of
from daemons.api.domain.rules import RULES, Named, Rule, forwarded, row_of
from protocol.git_loans import LEND_PATH, RETURN_ALL_PATH, RETURN_PATH
from protocol.pushes import PUSHES_PATH
from protocol.webhooks import RESULTS_PATH

PEOPLE = {Rule.USER, Rule.SESSION}
AUTH = "/api/fun-ai/auth"
PROVIDER = {f"{AUTH}/oidc/login", f"{AUTH}/oidc/callback"}
#: The only ones that anybody may call.
OPEN = {
    "/internal/health",
    "/internal/ready",
    "/metrics",
    f"{AUTH}/login",
    f"{AUTH}/refresh",
    "/{slug}",
    "/openapi.json",
    *PROVIDER,
}
OPEN |= PROVIDER
#: Files that are the same for everybody.
OPEN |= {"/admin/nodes.html", "/admin/nodes-admin.html", "/admin/nodes-assets/{name}"}
OPEN |= {"/nodes.html", "/nodes-admin.html", "/workspace-nodes{rest}.html", "/deploy-nodes.html"}


@pytest.mark.parametrize("route", RULES, ids=" ".join)
def test_a_row_fits_its_path(route: tuple[str, str]) -> None:
    path, row = route[1], RULES[route]
    assert (row.rule is Rule.ANYONE) == (path in OPEN)
    if path.startswith("/api/fun-ai/admin/"):
        assert row.rule in {Rule.OPERATOR, Rule.ADMIN, Rule.NODE}
    if "/internal/" in path:
        assert row.rule not in PEOPLE
    if path.startswith("/api/fun-ai/admin/users/"):
        assert row.rule is Rule.ADMIN
    assert (row.named is Named.FORWARDED) == (path.startswith(f"{PREFIX}/") and "/internal/" not in path)
    if row.expensive or row.named is Named.FORWARDED:
        assert row.rule in PEOPLE, "calls are counted for somebody, and only people name a user of theirs"


@pytest.mark.parametrize("route", forwarded(), ids=" ".join)
def test_what_has_a_rule_is_passed_on(route: tuple[str, str]) -> None:
    method, path = route[0], route[1].replace("{upload}", "0f0f")
    assert call_of(method, path, Subject(1)).path == path.removeprefix(PREFIX)


def test_no_token_of_machines_opens_what_goes_on_for_long() -> None:
    """Who is no person is not looked up again: what they open is over when it is answered. A stream does not belong
    here, nor a terminal."""
    machines = {Rule.NODE, Rule.GATEWAY, Rule.SIGNED}
    assert {path for (_, path), row in RULES.items() if row.rule in machines} == {
        "/api/fun-ai/admin/workspace-nodes/heartbeat",
        "/api/fun-ai/internal/gateway/domains",
        LEND_PATH,
        RETURN_ALL_PATH,
        RETURN_PATH,
        f"{PREFIX}/internal/gateway/node",
        PUSHES_PATH,
        RESULTS_PATH,
    }


def test_a_head_is_as_open_as_its_get() -> None:
    assert row_of("HEAD", "/metrics") is RULES["GET", "/metrics"]
    assert row_of("HEAD", "/api/fun-ai/auth/login") is None
    assert row_of("GET", "/api/fun-ai/new") is None


def test_what_keeps_a_node_busy_is_expensive_and_looking_is_not() -> None:
    dear = {path.removeprefix(PREFIX) for method, path in forwarded() if RULES[method, path].expensive}
    assert {"/run/build", "/container/ensure", "/test/api"} <= dear
    assert not {"/files/tree", "/run/status", "/terminal"} & dear
    assert RULES["POST", "/api/fun-ai/app/create"].expensive and not RULES["GET", "/api/fun-ai/app/list"].expensive
