"""Operators' calls about runtime nodes: what the control plane says comes back in its words, and their token stays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from daemons.api.adapters.deploy_operations import HttpDeployOperations
from protocol.client.api import bearer
from protocol.client.transport import Transport
from protocol.drains import DrainState
from protocol.headers import ADMIN_TOKEN, DEPLOY_SECRET, EXPECTED_VERSION, IDEMPOTENCY_KEY
from protocol.jobs import JobStatus
from tests.http.deploy.plane import TOKENS
from tests.support.admin_site import PASSWORD, Site, admin_site
from tests.support.served_api import ADMIN, served_api

NODES = "/deploy-nodes"
ROOMY = {"diskFreePct": 60.0, "diskFreeBytes": 300, "diskTotalBytes": 500, "containerCount": 2}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with admin_site(tmp_path) as site:
        site.beating = {"n1": ROOMY, "n2": {**ROOMY, "diskFreePct": 40.0}}
        await site.plane.beat("n1", **ROOMY)
        yield site


async def data(site: Site, method: str, path: str, **more: Any) -> Any:
    answer = await site.ask(method, NODES + path, **more)
    assert answer.status_code == answer.json()["code"] == 200, answer.text
    return answer.json()["data"]


async def refused(site: Site, method: str, path: str, **more: Any) -> tuple[int, str, str]:
    answer = await site.ask(method, NODES + path, **more)
    body = answer.json()
    assert body["code"] == answer.status_code
    return answer.status_code, body["reason"], body["message"]


async def nodes(site: Site) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in await data(site, "GET", "/list")}


async def test_the_documented_fields(site: Site) -> None:
    await site.deployed("11")
    await site.beat()
    known = await nodes(site)
    assert known["n1"].items() >= {
        "agentBaseUrl": "http://n1:7005", "gatewayBaseUrl": "http://n1:8088", "enabled": True, "weight": 100,
        "health": "HEALTHY", "diskFreePct": 60.0, "diskFreeBytes": 300, "containerCount": 2, "placements": 1,
    }.items()  # fmt: skip
    assert known["n1"]["lastHeartbeatAt"].endswith("Z")
    first, second = known["n1"]["nodeId"], known["n2"]["nodeId"]

    page = await data(site, "GET", "/placements", params={"nodeId": first})
    assert (page["nodeId"], page["total"], page["items"][0]["appId"], page["items"][0]["nodeId"]) == (
        *(first, 1, "11", first),
    )
    assert isinstance(page["items"][0]["lastActiveAt"], int)
    health = await data(site, "GET", "/health")
    assert (health["service"], health["proxyBaseUrl"]) == ("fun-ai-studio-deploy", site.plane.url)
    assert health["timestamp"]
    (runner,) = await data(site, "GET", "/runners/list")
    assert (runner["runnerId"], runner["health"]) == ("r1", "HEALTHY") and runner["lastSeenAtMs"] > 0

    assert await data(site, "POST", "/set-enabled", params={"name": "n2", "enabled": "0"}) == "disabled"
    assert (await nodes(site))["n2"]["enabled"] is False
    assert await data(site, "POST", "/set-enabled", params={"name": "n2", "enabled": 1}) == "enabled"
    assert await data(site, "POST", "/reassign", json={"appId": 11, "targetNodeId": second}) == "ok"
    moved = {"sourceNodeId": second, "targetNodeId": first}
    assert await data(site, "POST", "/drain", json={**moved, "limit": 5}) == {"moved": 1, **moved}
    made = {"name": "n3", "agentBaseUrl": "http://n3:7005", "gatewayBaseUrl": "http://n3:8088", "weight": 7}
    assert (await data(site, "POST", "/upsert", json=made)).items() >= made.items()
    assert {"n1", "n2", "n3"} <= {node.name for node in await site.plane.admin.nodes()}


async def test_jobs_runners_and_drains(site: Site) -> None:
    await site.deployed("11")
    await site.beat()
    await site.plane.create("12")
    (waiting,) = (await data(site, "GET", "/jobs/list", params={"status": "PENDING"}))["items"]
    assert (await data(site, "POST", "/jobs/cancel", params={"jobId": waiting["id"]}))["status"] == "CANCELLED"
    assert (await site.plane.admin.get(waiting["id"])).status is JobStatus.CANCELLED
    once = {IDEMPOTENCY_KEY: "k1"}
    orders = [await ask_with(site, once, f"/jobs/retry?jobId={waiting['id']}") for _ in range(2)]
    again = {order.json()["data"]["id"] for order in orders}
    assert len(again) == 1 and again != {waiting["id"]}
    await data(site, "POST", "/jobs/cancel", params={"jobId": again.pop()})

    assert (await data(site, "POST", "/runners/set-drained", params={"runnerId": "r1", "drained": "true"}))["drainedAt"]
    await data(site, "POST", "/runners/set-drained", params={"runnerId": "r1", "drained": "false"})

    plan = await data(site, "POST", "/drains/preview", json={"node": "n1"})
    assert plan["fits"] and {move["target"] for move in plan["moves"]} == {"n2"}
    begun = await data(site, "POST", "/drains/start", json={"node": "n1", "maxParallel": 1})
    number = {"drainId": begun["id"]}
    assert (await data(site, "POST", "/drains/pause", params=number))["state"] == "PAUSED"
    assert (await data(site, "GET", "/drains/list"))["items"][0]["state"] == "PAUSED"
    assert (await data(site, "POST", "/drains/resume", params=number))["state"] == "RUNNING"
    assert [move["appId"] for move in (await data(site, "GET", "/drains/show", params=number))["moves"]] == ["11"]
    assert (await site.plane.admin.drain_plan(begun["id"])).state is DrainState.RUNNING
    await data(site, "POST", "/drains/cancel", params=number)
    assert (await data(site, "POST", "/drains/undo", params=number))["id"] == begun["id"]


async def ask_with(site: Site, headers: dict[str, str], path: str, body: str = "") -> httpx.Response:
    where = f"/api/fun-ai/admin{NODES}{path}"
    return await site.api.post(where, content=body, headers={ADMIN_TOKEN: ADMIN, **headers})


async def test_what_the_control_plane_refuses_is_refused_with_its_status_and_words(site: Site) -> None:
    await site.deployed("11")
    status, reason, words = await refused(site, "POST", "/drains/start", json={"node": "n1"})
    assert (status, reason) == (409, "drain_does_not_fit") and "1 of 1" in words
    nowhere = await refused(site, "POST", "/drains/preview", json={"node": "n9"})
    assert nowhere == (404, "not_found", "there is no runtime node n9")
    target = {"appId": "11", "targetNodeId": 99}
    assert (await refused(site, "POST", "/reassign", json=target))[:2] == (404, "not_found")
    await site.beat()
    await site.plane.admin.set_enabled("n2", enabled=False)
    second = (await nodes(site))["n2"]["nodeId"]
    disabled = await refused(site, "POST", "/reassign", json={"appId": "11", "targetNodeId": second})
    assert disabled[:2] == (409, "node_disabled")
    (ended,) = (await data(site, "GET", "/jobs/list"))["items"]
    late = await refused(site, "POST", "/jobs/cancel", params={"jobId": ended["id"]})
    assert late[:2] == (409, "illegal_transition")
    seen = await ask_with(site, {EXPECTED_VERSION: f"{second}.enabled.100"}, "/set-enabled?name=n2&enabled=1")
    assert (seen.status_code, seen.json()["reason"]) == (409, "changed")
    assert not (await nodes(site))["n2"]["enabled"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/upsert", '{"name": "n1"}', "agentBaseUrl"),
        ("POST", "/upsert", '{"name": "<b>", "agentBaseUrl": "http://a", "gatewayBaseUrl": "http://a"}', "name"),
        ("POST", "/set-enabled?name=n1&enabled=perhaps", "", "enabled"),
        ("GET", "/placements?nodeId=n1", "", "nodeId"),
        ("GET", "/jobs/list?status=DONE", "", "status"),
        ("GET", "/jobs/list?cursor=%0d%0aX-Admin-Token:1", "", "cursor"),
        ("POST", "/jobs/cancel?jobId=../../admin/runtime-nodes/n1", "", "jobId"),
        ("POST", "/drains/undo?drainId=1/../../runtime-nodes", "", "drainId"),
        ("POST", "/drains/start", '{"node": "n1", "maxParallel": 0}', "maxParallel"),
    ],
)
async def test_what_is_not_well_formed_does_not_get_there(
    site: Site, method: str, path: str, body: str, field: str
) -> None:
    where = f"/api/fun-ai/admin{NODES}{path}"
    answer = await site.api.request(method, where, content=body, headers={ADMIN_TOKEN: ADMIN})
    assert answer.status_code == 400 and answer.json()["data"]["fields"][0] == field
    bad = await ask_with(site, {EXPECTED_VERSION: "no version"}, "/set-enabled?name=n1&enabled=0")
    assert (bad.status_code, bad.json()["data"]["fields"]) == (400, [EXPECTED_VERSION])


async def test_operators_order_and_admins_alone_say_where_nodes_are(site: Site) -> None:
    async def status(name: str, method: str, path: str, body: str = "") -> int:
        login = {"userName": name, "password": PASSWORD}
        proof = (await site.api.post("/api/fun-ai/auth/login", json=login)).json()["data"]["accessToken"]
        where = f"/api/fun-ai/admin{NODES}{path}"
        return (await site.api.request(method, where, content=body, headers=bearer(proof))).status_code

    node = '{"name": "n1", "agentBaseUrl": "http://10.0.0.9:7005", "gatewayBaseUrl": "http://n1:8088"}'
    assert [await status(who, "GET", "/list") for who in ("user", "operator", "admin")] == [403, 200, 200]
    switch = "/set-enabled?name=n1&enabled=1"
    assert [await status(who, "POST", switch) for who in ("user", "operator", "admin")] == [403, 200, 200]
    assert [await status(who, "POST", "/upsert", node) for who in ("user", "operator", "admin")] == [403, 403, 200]


async def test_what_did_not_change_is_not_sent_again(site: Site) -> None:
    for path in (f"{NODES}/jobs/list", "/workspace-nodes/list", "/workspace-moves/list"):
        first = await site.ask("GET", path)
        assert first.headers["Cache-Control"] == "no-store"
        proof = {ADMIN_TOKEN: ADMIN, "If-None-Match": first.headers["ETag"]}
        same = await site.api.get(f"/api/fun-ai/admin{path}", headers=proof)
        assert (same.status_code, same.content) == (304, b"")
        proof["If-None-Match"] = '"another"'
        assert (await site.api.get(f"/api/fun-ai/admin{path}", headers=proof)).status_code == 200
    assert "ETag" not in (await site.ask("GET", f"{NODES}/placements", params={"nodeId": 99})).headers


async def test_without_the_control_plane_it_is_said_what_to_do(site: Site) -> None:
    await site.plane.runner.cleanup()
    status, reason, words = await refused(site, "POST", "/set-enabled", params={"name": "n1", "enabled": "0"})
    assert (status, reason) == (503, "unavailable")
    assert "DEPLOY_PROXY_BASE_URL" in words and site.plane.url not in words
    assert (await refused(site, "GET", "/health"))[0] == 503


async def test_an_api_that_the_control_plane_does_not_admit_says_so(site: Site, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with (
        Transport(site.plane.url, {DEPLOY_SECRET: TOKENS["api"], ADMIN_TOKEN: "wrong-token-0123456789"}) as transport,
        served_api(tmp_path / "other", "", {}, operations=HttpDeployOperations(transport)) as url,
        httpx.AsyncClient(base_url=f"{url}/api/fun-ai/admin", trust_env=False, verify=False) as client,
    ):
        answer = await client.get(f"{NODES}/list", headers={ADMIN_TOKEN: ADMIN})
        assert answer.status_code == 503 and "API_DEPLOY_ADMIN_TOKEN" in answer.json()["message"]
        assert "wrong-token" not in answer.text


@pytest.mark.parametrize("said", ["<html>a proxy</html>", '{"status": "ok"}', '{"code": "200"}', "[]"])
async def test_the_callers_token_goes_no_further_and_no_stranger_is_believed(tmp_path: Path, said: str) -> None:
    asked: list[dict[str, str]] = []

    async def anything(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        return web.Response(text=said)

    stranger = web.Application()
    stranger.router.add_route("*", "/{path:.*}", anything)
    runner = web.AppRunner(stranger)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with (
            Transport(f"http://127.0.0.1:{runner.addresses[0][1]}", {ADMIN_TOKEN: TOKENS["admin"]}) as transport,
            served_api(tmp_path, "", {}, operations=HttpDeployOperations(transport)) as url,
            httpx.AsyncClient(base_url=f"{url}/api/fun-ai/admin", trust_env=False, verify=False) as client,
        ):
            sent = {ADMIN_TOKEN: ADMIN, "Cookie": f"seen={ADMIN}", "X-Other": ADMIN}
            answer = await client.post(f"{NODES}/drains/preview", json={"node": "n1"}, headers=sent)
            assert answer.status_code == 503 and "no deploy control plane" in answer.json()["message"]
    finally:
        await runner.cleanup()
    (headers,) = asked
    assert headers[ADMIN_TOKEN] == TOKENS["admin"] and ADMIN not in str(headers)


async def test_two_who_look_at_once_are_both_answered(site: Site) -> None:
    answers = await asyncio.gather(*(site.ask("GET", f"{NODES}/list") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
