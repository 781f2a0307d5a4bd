"""Who may call what: every route against every role, header tricks, allowlists."""

import pytest
from aiohttp import web

from daemons.kit.auth import ACCESS
from tests.http.deploy.plane import HEADERS, TOKENS, Plane, serving

ID = "00000000-0000-0000-0000-000000000000"
OPEN_TO = {
    "POST /deploy/jobs": {"api", "admin"},
    "GET /deploy/jobs": {"api", "admin"},
    "GET /deploy/jobs/by-app": {"api", "admin"},
    "GET /deploy/jobs/{job_id}": {"api", "admin"},
    "POST /deploy/jobs/{job_id}/transition": {"api", "admin"},
    "POST /deploy/jobs/{job_id}/cancel": {"api", "admin"},
    "POST /deploy/jobs/{job_id}/retry": {"api", "admin"},
    "GET /deploy/jobs/{job_id}/log": {"api", "admin"},
    "PUT /deploy/jobs/{job_id}/log": {"runner"},
    "GET /deploy/apps/{app_id}/log": {"api", "admin"},
    "GET /deploy/apps/{app_id}/mongo/collections": {"api", "admin"},
    "POST /deploy/apps/{app_id}/mongo/find": {"api", "admin"},
    "GET /deploy/apps/{app_id}/mongo/doc": {"api", "admin"},
    "POST /deploy/apps/{app_id}/mongo/insert-one": {"api", "admin"},
    "POST /deploy/apps/{app_id}/mongo/update-by-id": {"api", "admin"},
    "POST /deploy/apps/{app_id}/mongo/delete-by-id": {"api", "admin"},
    "POST /deploy/apps/{app_id}/mongo/create-collection": {"api", "admin"},
    "POST /deploy/jobs/claim": {"runner"},
    "POST /deploy/jobs/{job_id}/heartbeat": {"runner"},
    "POST /deploy/jobs/{job_id}/report": {"runner"},
    "POST /deploy/jobs/{job_id}/return": {"runner"},
    "POST /deploy/runners/heartbeat": {"runner"},
    "POST /deploy/apps/inventory": {"api", "admin"},
    "GET /deploy/apps": {"api", "admin"},
    "GET /deploy/apps/{app_id}": {"api", "admin"},
    "GET /deploy/operations": {"api", "admin"},
    "GET /deploy/operations/{number}": {"api", "admin"},
    "POST /admin/operations/{number}/retry": {"admin"},
    "POST /admin/operations/{number}/abandon": {"admin"},
    "GET /admin/webhooks": {"admin"},
    "POST /admin/webhooks/{number}/retry": {"admin"},
    "POST /deploy/apps/stop": {"api", "admin"},
    "POST /deploy/apps/purge": {"api", "admin"},
    "POST /deploy/apps/cleanup": {"api", "admin"},
    "GET /deploy/apps/{app_id}/releases": {"api", "admin"},
    "POST /deploy/apps/{app_id}/rollback": {"api", "admin"},
    "POST /deploy/apps/{app_id}/releases/{number}/pin": {"api", "admin"},
    "POST /deploy/apps/{app_id}/releases/{number}/unpin": {"api", "admin"},
    "POST /internal/runtime-nodes/heartbeat": {"node"},
    "POST /internal/runtime-nodes/images": {"node"},
    "POST /internal/fences/confirm": {"node"},
    "GET /internal/gateway/runtime": {"gateway"},
    "GET /admin/snapshot": {"admin"},
    "GET /admin/events": {"admin"},
    "GET /admin/apps/{app_id}/log": {"admin"},
    "GET /admin/apps/{app_id}/stats": {"admin"},
    "GET /admin/apps/{app_id}/shell": {"admin"},
    "GET /admin/runtime-nodes/{name}/stats": {"admin"},
    "GET /admin/audit": {"admin"},
    "GET /admin/runtime-nodes/list": {"admin"},
    "POST /admin/runtime-nodes/upsert": {"admin"},
    "POST /admin/runtime-nodes/set-enabled": {"admin"},
    "GET /admin/runtime-nodes/placements": {"admin"},
    "POST /admin/runtime-nodes/reassign": {"admin"},
    "POST /admin/runtime-nodes/drain": {"admin"},
    "DELETE /admin/runtime-nodes/{name}": {"admin"},
    "GET /admin/runners/list": {"admin"},
    "GET /admin/singletons": {"admin"},
    "GET /admin/strays": {"admin"},
    "POST /admin/runners/set-drained": {"admin"},
    "POST /admin/runtime-nodes/collect": {"admin"},
    "POST /admin/drains/preview": {"admin"},
    "POST /admin/drains": {"admin"},
    "GET /admin/drains": {"admin"},
    "GET /admin/drains/{drain_id}": {"admin"},
    "POST /admin/drains/{drain_id}/pause": {"admin"},
    "POST /admin/drains/{drain_id}/resume": {"admin"},
    "POST /admin/drains/{drain_id}/undo": {"admin"},
    "POST /admin/drains/{drain_id}/cancel": {"admin"},
    "GET /internal/health": {"anyone"},
    "GET /internal/ready": {"anyone"},
    "GET /metrics": {"anyone"},
    "GET /openapi.json": {"anyone"},
}


def routes(app: web.Application) -> set[str]:
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD":
            found.add(f"{route.method} {route.resource.canonical}")
    return found


async def status(plane: Plane, route: str, proof: dict[str, str]) -> int:
    """The status of a request whose body and path are wrong, so that an admitted one changes nothing."""
    method, path = route.split(" ")
    query = "?after=x" if path == "/admin/events" else ""
    filled = (
        path.replace("{job_id}", ID)
        .replace("{app_id}", "NO-APP")
        .replace("{number}", "none")
        .replace("{drain_id}", "none")
        .replace("{name}", "NONE")
    )
    answer = await plane.call(method, filled + query, headers=proof)
    return answer.status_code


async def test_every_route_is_in_the_table_of_access_and_in_this_one() -> None:
    async with serving() as plane:
        assert routes(plane.app) == set(OPEN_TO)
        for route in plane.app.router.routes():
            assert route.resource is not None
            method = "GET" if route.method == "HEAD" else route.method
            assert plane.app[ACCESS].known(method, route.resource.canonical)


async def test_every_role_against_every_route() -> None:
    async with serving() as plane:
        for route, roles in OPEN_TO.items():
            for role, header in HEADERS.items():
                code = await status(plane, route, {header: TOKENS[role]})
                admitted = role in roles or "anyone" in roles
                assert (code != 401) is admitted, f"{route} as {role}: {code}"
            code = await status(plane, route, {})
            assert (code != 401) is ("anyone" in roles), f"{route} without a token: {code}"


async def test_a_token_in_another_roles_header_opens_nothing() -> None:
    async with serving() as plane:
        for role, token in TOKENS.items():
            for other, header in HEADERS.items():
                if role != other:
                    assert await status(plane, "GET /admin/runners/list", {header: token}) == 401


async def test_a_wrong_token_is_401_and_the_answer_does_not_tell_how_wrong() -> None:
    tokens = [
        "",
        TOKENS["admin"][:-1],
        TOKENS["admin"] + "x",
        f"Bearer {TOKENS['admin']}",
        TOKENS["admin"].upper(),
        "x" * 8000,
        "t\u00f6ken",
        TOKENS["api"],
    ]
    async with serving() as plane:
        missing = await plane.http.get("/admin/runners/list")
        for token in tokens:
            wrong = await plane.http.get("/admin/runners/list", headers=[(b"X-Admin-Token", token.encode())])
            assert wrong.status_code == 401 and wrong.json() == missing.json()


async def test_a_header_that_is_given_twice_proves_nothing() -> None:
    async with serving() as plane:
        pair = [("X-Admin-Token", TOKENS["admin"]), ("X-Admin-Token", TOKENS["admin"])]
        assert (await plane.http.get("/admin/runners/list", headers=pair)).status_code == 401


async def test_two_tokens_of_a_role_are_live_while_one_replaces_the_other() -> None:
    async with serving(DEPLOY_ADMIN_TOKEN="first-token-of-admin,second-token-of-admin") as plane:
        for token in ("first-token-of-admin", "second-token-of-admin"):
            assert await status(plane, "GET /admin/runners/list", {"X-Admin-Token": token}) == 200


async def test_no_path_trick_reaches_a_guarded_route() -> None:
    async with serving() as plane:
        for path in (
            "/admin/../admin/snapshot",
            "/admin//snapshot",
            "/admin/snapshot/",
            "/ADMIN/snapshot",
            "/%61dmin/",
        ):
            answer = await plane.call("GET", path)
            assert answer.status_code in (401, 404) and answer.json()["data"] is None


@pytest.mark.parametrize(
    ("allowed", "proxies", "forwarded", "code"),
    [
        ("10.0.0.1", "", None, 403),
        ("127.0.0.1", "", None, 200),
        ("127.0.0.0/8", "", "10.0.0.1", 200),
        ("10.0.0.1", "", "10.0.0.1", 403),
        ("10.0.0.1", "127.0.0.1", "10.0.0.1", 200),
        ("10.0.0.1", "127.0.0.1", "10.0.0.1, 10.0.0.2", 403),
        ("10.0.0.1", "127.0.0.1", "spoofed, 10.0.0.1", 200),
    ],
)
async def test_the_allowlist_judges_the_peer_and_believes_only_listed_proxies(
    allowed: str, proxies: str, forwarded: str | None, code: int
) -> None:
    async with serving(DEPLOY_ADMIN_ALLOWED_IPS=allowed, DEPLOY_TRUSTED_PROXIES=proxies) as plane:
        proof = {"X-Admin-Token": TOKENS["admin"], "X-Real-IP": "10.0.0.1"}
        if forwarded is not None:
            proof["X-Forwarded-For"] = forwarded
        assert await status(plane, "GET /admin/runners/list", proof) == code


async def test_an_address_on_the_list_needs_a_token_all_the_same() -> None:
    async with serving(DEPLOY_ADMIN_ALLOWED_IPS="127.0.0.1") as plane:
        assert await status(plane, "GET /admin/runners/list", {}) == 401


async def test_runner_routes_are_open_when_runner_auth_is_off_and_nothing_else_is() -> None:
    async with serving(DEPLOY_RUNNER_AUTH_ENABLED=False, DEPLOY_RUNNER_TOKEN="") as plane:
        for route, roles in OPEN_TO.items():
            opened = await status(plane, route, {}) != 401
            assert opened is bool(roles & {"runner", "anyone"}), route
