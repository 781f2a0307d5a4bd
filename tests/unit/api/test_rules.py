"""The table of rules as a table: what must hold of every row, whoever adds one."""

import pytest

from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.rules import RULES, Named, Rule, expensive, row_of
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
    if row.expensive or row.named is Named.FORWARDED:
        assert row.rule in PEOPLE, "calls are counted for somebody, and only people name a user of theirs"


def test_only_calls_of_workspaces_are_read_elsewhere() -> None:
    assert [route for route, row in RULES.items() if row.named is Named.FORWARDED] == [("*", f"{PREFIX}/{{call}}")]


def test_no_token_of_machines_opens_what_goes_on_for_long() -> None:
    """Who is no person is not looked up again: what they open is over when it is answered. A stream does not belong
    here, nor a terminal."""
    machines = {Rule.NODE, Rule.GATEWAY, Rule.SIGNED}
    assert {path for (_, path), row in RULES.items() if row.rule in machines} == {
        "/api/fun-ai/admin/workspace-nodes/heartbeat",
        "/api/fun-ai/internal/gateway/domains",
        f"{PREFIX}/internal/gateway/node",
        PUSHES_PATH,
        RESULTS_PATH,
    }


def test_a_head_is_as_open_as_its_get() -> None:
    assert row_of("HEAD", "/metrics") is RULES["GET", "/metrics"]
    assert row_of("HEAD", "/api/fun-ai/auth/login") is None
    assert row_of("GET", "/api/fun-ai/new") is None


def test_what_keeps_a_node_busy_is_expensive_and_looking_is_not() -> None:
    calls, reads = RULES["*", f"{PREFIX}/{{call}}"], RULES["GET", "/api/fun-ai/app/list"]
    assert expensive(calls, f"{PREFIX}/run/build") and expensive(calls, f"{PREFIX}/container/ensure")
    assert not expensive(calls, f"{PREFIX}/files/tree") and not expensive(reads, f"{PREFIX}/run/build")
    assert expensive(RULES["POST", "/api/fun-ai/app/create"], "/api/fun-ai/app/create")
