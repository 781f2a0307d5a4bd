"""Every route against every kind of caller, from the table of rules itself: nobody, a stranger, the owner, an
operator, an admin, a node with a wrong token, and each of them with a forged address."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.rules import RULES, Named, Rule, row_of
from daemons.api.http.doors import check_routes
from daemons.kit.settings import Misconfigured
from protocol.accounts import Role
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN, WORKSPACE_GATEWAY_TOKEN, WORKSPACE_NODE_TOKEN
from tests.http.api.conftest import ADMIN, GATEWAY, NODE_TOKEN, OTHER, OWN_NODE_TOKEN, OWNER, Api, serving, with_account

API = "/api/fun-ai"
#: What is needed so that a call is about the owner's app, or about its job.
OF_APP = {
    f"{API}/app/info",
    f"{API}/deploy/app/list",
    f"{API}/deploy/app/stop",
    f"{API}/deploy/job/create",
    f"{API}/deploy/job/history",
    f"{API}/deploy/mongo/collections",
}
OF_JOB = {f"{API}/deploy/job/info", f"{API}/deploy/job/cancel"}
PEOPLE = (Rule.USER, Rule.SESSION)
OPERATORS = (Rule.OPERATOR, Rule.ADMIN)
#: Statuses of a caller who was let in, whatever the call then finds.
INSIDE = {200, 204, 302, 400, 404, 409, 426, 503}


@dataclass
class World:
    """A server with the owner's app and job, and everybody's headers."""

    api: Api
    job: str
    callers: dict[str, dict[str, str]]

    async def status(self, method: str, path: str, headers: dict[str, str], body: str = "") -> int:
        answer = await self.api.raw.request(method, path, content=body, headers=headers)
        return answer.status_code


async def world_of(api: Api) -> World:
    await api.owner.create_app()
    job = await api.owner.deploy("20001")
    people = {
        "owner": await with_account(api, "owner", Role.USER, 1),
        "stranger": await with_account(api, "stranger", Role.USER, 2),
        "operator": await with_account(api, "operator", Role.OPERATOR),
        "admin": await with_account(api, "admin", Role.ADMIN),
    }
    callers = {name: bearer(who.access_token) for name, who in people.items()}
    callers |= {
        "nobody": {},
        "admin token": {ADMIN_TOKEN: ADMIN},
        "wrong admin token": {ADMIN_TOKEN: ADMIN + "x"},
        "wrong node": {WORKSPACE_NODE_TOKEN: NODE_TOKEN[:-1]},
        "node": {WORKSPACE_NODE_TOKEN: NODE_TOKEN},
        "gateway": {WORKSPACE_GATEWAY_TOKEN: GATEWAY},
        "owner's old token": bearer(OWNER),
        "stranger's old token": bearer(OTHER),
    }
    return World(api, job.id, callers)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path, moving=True) as api:
        yield await world_of(api)


def request_of(route: tuple[str, str], job: str = "none") -> tuple[str, str]:
    method, path = route
    path = path.replace("{upload}", "0f0f")
    if path in OF_APP or path.startswith(f"{PREFIX}/files"):
        path += "?appId=20001"
    return method, path + (f"?jobId={job}" if path in OF_JOB else "")


def naming(path: str, user: int) -> str:
    return f"{path}{'&' if '?' in path else '?'}userId={user}"


def wanted(rule: Rule, caller: str) -> set[int]:
    """What a caller is answered who names nobody."""
    kind = caller.removesuffix("'s old token")
    match rule:
        case Rule.ANYONE:
            return INSIDE
        case Rule.SIGNED:
            return {401}
        case Rule.NODE | Rule.GATEWAY:
            return INSIDE if caller == rule.name.lower() else {401}
        case Rule.OPERATOR | Rule.ADMIN:
            if caller in ("admin", "admin token") or (caller == "operator" and rule is Rule.OPERATOR):
                return INSIDE
            return {403} if kind in ("owner", "stranger", "operator") else {401}
        case Rule.USER | Rule.SESSION:
            if kind not in ("owner", "stranger", "operator", "admin") or caller == "admin token":
                return {401}
            return {403} if rule is Rule.SESSION and kind != caller else INSIDE


async def test_every_route_has_a_rule_and_every_rule_a_route(world: World) -> None:
    routes = {(each.method, each.resource.canonical) for each in world.api.app.router.routes() if each.resource}
    assert {(method, path) for method, path in routes if method != "HEAD" or ("GET", path) not in routes} == set(RULES)
    assert all(row_of(*route) is not None for route in routes)


async def test_a_route_without_a_rule_does_not_start() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/internal/health", handler), web.post("/api/fun-ai/new", handler)])
    with pytest.raises(Misconfigured, match="POST /api/fun-ai/new; add it to"):
        check_routes(app.router)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
async def test_who_gets_in(world: World, rule: Rule) -> None:
    wrong, routes = {}, [route for route, row in RULES.items() if row.rule is rule]
    assert routes
    # A logout ends the session that all other calls need.
    for method, path in sorted(routes, key=lambda route: route[1].endswith("/logout")):
        for caller, headers in world.callers.items():
            status = await world.status(*request_of((method, path)), headers)
            if status not in wanted(rule, caller):
                wrong[method, path, caller] = status
    assert wrong == {}


@pytest.mark.parametrize("rule", PEOPLE, ids=lambda rule: rule.name)
async def test_the_token_says_whose_things_these_are(world: World, rule: Rule) -> None:
    wrong, callers = {}, ("stranger", "operator", "admin")
    for route in (each for each, row in RULES.items() if row.rule is rule and not each[1].endswith("/logout")):
        method, path = request_of(route, world.job)
        for caller in callers:
            for call, body in foreign(path, RULES[route].named):
                status = await world.status(method, call, world.callers[caller], body)
                if status != 403:
                    wrong[method, call, body, caller] = status
            status = await world.status(method, path, world.callers[caller])
            if status != 404 and ("appId" in path or "jobId" in path):
                wrong[method, path, "", caller] = status
        own = await world.status(method, naming(path, 1), world.callers["owner"])
        if own not in INSIDE - {403}:
            wrong[method, path, "", "owner"] = own
    assert wrong == {}


def foreign(path: str, named: Named) -> list[tuple[str, str]]:
    """Calls that name the owner, in every place and spelling that counts."""
    calls = [(naming(path, 1), "")]
    if named is Named.HERE:
        calls += [
            (naming(path, 1).replace("userId", "user_id"), ""),
            (naming(path, 1).replace("userId", "%75serId"), ""),
            (f"{naming(naming(path, 3), 1)}", ""),
            (path, '{"userId": 1}'),
            (path, '{"user_id": "1"}'),
            (path, '{"userId": "1", "user_id": 2}'),
            (naming(path, 1), '{"userId": 2}'),
        ]
    return calls


async def test_a_node_speaks_for_itself_alone(world: World) -> None:
    beat = '{"nodeName": "%s", "nginxBaseUrl": "http://127.0.0.1:9", "apiBaseUrl": "http://127.0.0.1:9"}'
    path, own = f"{API}/admin/workspace-nodes/heartbeat", {WORKSPACE_NODE_TOKEN: OWN_NODE_TOKEN}
    assert await world.status("POST", path, own, beat % "ws-own") == 200
    assert await world.status("POST", path, own, beat % "ws-other") == 403
    assert await world.status("POST", path, world.callers["node"], beat % "ws-own") == 403
    assert await world.status("POST", path, world.callers["wrong node"], beat % "ws-other") == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
async def test_a_forged_address_opens_nothing(tmp_path: Path, header: str) -> None:
    """Operators and nodes may call from one network, where this test is not, and says it is."""
    inside = "10.9.0.1"
    async with serving(tmp_path, moving=True) as api:
        callers = (await world_of(api)).callers
        forged = {name: {**headers, header: inside} for name, headers in callers.items()}
        open_to_all = World(api, "", callers)
        for (method, path), row in RULES.items():
            call = request_of((method, path))
            if row.rule is Rule.GATEWAY or path.endswith("/auth/logout"):
                continue
            for caller in ("nobody", "wrong node", "wrong admin token", "stranger"):
                assert await open_to_all.status(*call, forged[caller]) in wanted(row.rule, caller), (call, caller)


@pytest.mark.parametrize("header", [None, "X-Forwarded-For", "X-Real-IP", "Forwarded"])
async def test_an_allowlist_goes_by_the_true_address(tmp_path: Path, header: str | None) -> None:
    allowed = [ip_network("10.9.0.0/16")]
    said = {} if header is None else {header: "10.9.0.1"}
    async with serving(tmp_path, networks=allowed) as api:
        shown = {Rule.NODE: {WORKSPACE_NODE_TOKEN: NODE_TOKEN}}
        shown |= {rule: {ADMIN_TOKEN: ADMIN} for rule in OPERATORS}
        for route, row in RULES.items():
            if row.rule in shown and "workspace-backups" not in route[1]:
                answer = await api.raw.request(*request_of(route), headers={**shown[row.rule], **said})
                assert answer.status_code == 403, route


async def test_an_allowlist_believes_a_trusted_proxy(tmp_path: Path) -> None:
    allowed, here = [ip_network("10.9.0.0/16")], [ip_network("127.0.0.0/8")]
    async with serving(tmp_path, networks=allowed, proxies=here) as api:
        path = f"{API}/admin/workspace-nodes/list"
        for address, status in (("10.9.0.1", 200), ("10.8.0.1", 403), ("10.9.0.1, 10.8.0.1", 403)):
            answer = await api.raw.get(path, headers={ADMIN_TOKEN: ADMIN, "X-Forwarded-For": address})
            assert answer.status_code == status, address
        api.raw.headers["X-Forwarded-For"] = "10.9.0.1"
        mine = bearer((await with_account(api, "operator", Role.OPERATOR)).access_token)
        assert (await api.raw.get(path, headers=mine)).status_code == 200
        answer = await api.raw.get(path, headers={**mine, "X-Forwarded-For": "10.8.0.1"})
        assert answer.status_code == 403
