"""The registry of workspace nodes over HTTP: heartbeats, what operators see and order, and the gateways' question."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemons.api.domain.forwarding import PREFIX
from protocol.headers import ADMIN_TOKEN, WORKSPACE_GATEWAY_TOKEN, WORKSPACE_NODE_TOKEN
from tests.http.api.conftest import ADMIN, GATEWAY, NODE_TOKEN, OWN_NODE_TOKEN, Api
from tests.support import served_api as served
from tests.support.served_api import served_api
from tests.support.workspace_calls import SECRET

NODES = "/api/fun-ai/admin/workspace-nodes"
LOOKUP = f"{PREFIX}/internal/gateway/node"
OPERATOR = {ADMIN_TOKEN: ADMIN}
FULL: dict[str, Any] = {
    "containersRunning": 3,
    "containersFrozen": 1,
    "diskFreeBytes": 50,
    "diskTotalBytes": 100,
    "quota": "image",
}


def beat(name: str = "ws-1", url: str = "http://127.0.0.1:9", **more: object) -> dict[str, object]:
    return {"nodeName": name, "nginxBaseUrl": f"{url}/gate", "apiBaseUrl": url, **more}


async def hear(api: Api, token: str = NODE_TOKEN, **body: Any) -> httpx.Response:
    return await api.raw.post(f"{NODES}/heartbeat", json=beat(**body), headers={WORKSPACE_NODE_TOKEN: token})


async def order(api: Api, path: str, body: dict[str, object] | None = None) -> httpx.Response:
    return await api.raw.post(f"{NODES}/{path}", json=body or {}, headers=OPERATOR)


async def listed(api: Api) -> dict[str, Any]:
    data: dict[str, Any] = (await api.raw.get(f"{NODES}/list", headers=OPERATOR)).json()["data"]
    return data


async def test_a_documented_heartbeat_registers_a_node(api: Api) -> None:
    row = (await hear(api)).json()["data"]
    assert (row["id"], row["name"], row["enabled"], row["weight"]) == (1, "ws-1", True, 100)
    assert row["lastHeartbeatAt"].endswith("Z")
    (node,) = (await listed(api))["nodes"]
    assert (node["health"], node["assignedUsers"], node["containersRunning"], node["reason"]) == (
        "HEALTHY",
        0,
        None,
        None,
    )


async def test_a_heartbeat_tells_of_load_and_disk(api: Api) -> None:
    await hear(api, **FULL, version="1.2", intervalSeconds=10)
    (node,) = (await listed(api))["nodes"]
    assert {key: node[key] for key in FULL} == FULL
    await hear(api, diskFreeBytes=1, diskTotalBytes=100)
    assert "1 % of its disk is free" in (await listed(api))["nodes"][0]["reason"]


@pytest.mark.parametrize("token", ["", "wrong-token-0123456789", ADMIN])
async def test_a_heartbeat_needs_the_token_of_nodes(api: Api, token: str) -> None:
    assert (await hear(api, token)).status_code == 401
    assert (await listed(api))["nodes"] == []


async def test_a_node_with_a_token_of_its_own_is_nobody_elses(api: Api) -> None:
    assert (await hear(api, OWN_NODE_TOKEN, name="ws-own", url="http://10.0.0.1")).status_code == 200
    assert (await hear(api)).status_code == 200
    assert (await hear(api, OWN_NODE_TOKEN, name="ws-1", url="http://evil")).status_code == 403
    assert (await hear(api, NODE_TOKEN, name="ws-own", url="http://evil")).status_code == 403
    assert [node["apiBaseUrl"] for node in (await listed(api))["nodes"]] == ["http://10.0.0.1", "http://127.0.0.1:9"]


@pytest.mark.parametrize("body", [{"nodeName": "a b"}, {"apiBaseUrl": "ftp://x"}, {"nginxBaseUrl": "http://u:p@h"}])
async def test_a_heartbeat_that_is_not_well_formed_changes_nothing(api: Api, body: dict[str, str]) -> None:
    sent = beat() | body
    answer = await api.raw.post(f"{NODES}/heartbeat", json=sent, headers={WORKSPACE_NODE_TOKEN: NODE_TOKEN})
    assert answer.status_code == 400
    assert answer.json()["data"]["fields"] == list(body)
    assert (await listed(api))["nodes"] == []


async def test_operators_add_change_and_switch_nodes(api: Api) -> None:
    urls: dict[str, object] = {"nginxBaseUrl": "http://a", "apiBaseUrl": "http://b"}
    made = (await order(api, "upsert", {"name": "ws-9", **urls})).json()["data"]
    assert (made["enabled"], made["weight"], made["lastHeartbeatAt"]) == (False, 100, None)
    changed = (await order(api, "upsert", {"id": made["id"], "name": "ws-9", **urls, "enabled": 1, "weight": 5})).json()
    assert (changed["data"]["enabled"], changed["data"]["weight"]) == (True, 5)
    assert (await order(api, f"set-enabled?nodeId={made['id']}&enabled=0")).json()["data"]["enabled"] is False
    other = (await order(api, "upsert", {"name": "ws-8", **urls})).json()["data"]
    assert (await order(api, "upsert", {"id": other["id"], "name": "ws-9", **urls})).status_code == 409
    assert (await order(api, "upsert", {"id": 77, "name": "ws-7", **urls})).status_code == 404


async def test_users_without_a_workspace_are_placed_by_operators(api: Api) -> None:
    await hear(api)
    placed = (await order(api, "reassign", {"userId": 2, "targetNodeId": 1})).json()["data"]
    assert (placed["userId"], placed["nodeId"], placed["epoch"]) == ("2", 1, 1)
    page = (await api.raw.get(f"{NODES}/placements?nodeId=1&limit=1", headers=OPERATOR)).json()["data"]
    assert (page["total"], page["items"][0]["userId"]) == (1, "2")
    assert (await listed(api))["totalPlacements"] == 1
    assert (await order(api, "reassign", {"userId": 999, "targetNodeId": 1})).status_code == 404
    assert (await order(api, "reassign", {"userId": "9" * 19, "targetNodeId": 1})).status_code == 404
    assert (await order(api, "reassign", {"userId": "²", "targetNodeId": 1})).status_code == 400


async def test_nobody_is_moved_to_a_node_that_takes_no_users(api: Api) -> None:
    await hear(api)
    await order(api, "set-enabled?nodeId=1&enabled=0")
    refused = await order(api, "reassign", {"userId": 2, "targetNodeId": 1})
    assert (refused.status_code, "it is disabled" in refused.json()["message"]) == (409, True)


async def test_nobody_is_moved_from_a_node_that_cannot_be_asked(api: Api) -> None:
    await hear(api)
    await hear(api, name="ws-2", url="http://127.0.0.1:8")
    await order(api, "reassign", {"userId": 2, "targetNodeId": 1})
    refused = await order(api, "reassign", {"userId": 2, "targetNodeId": 2})
    assert (refused.status_code, refused.json()["reason"]) == (409, "node_in_use")
    drained = await order(api, "drain", {"sourceNodeId": 1, "targetNodeId": 2})
    assert drained.status_code == 409
    assert drained.json()["data"]["moved"] == 0 and list(drained.json()["data"]["refused"]) == ["2"]
    found = (await api.raw.get(f"{NODES}/placements?nodeId=1", headers=OPERATOR)).json()["data"]
    assert [item["epoch"] for item in found["items"]] == [1]


async def test_gateways_are_told_the_node_and_place_nobody(api: Api) -> None:
    await hear(api)
    app = await api.owner.create_app()
    gate = {WORKSPACE_GATEWAY_TOKEN: GATEWAY}
    assert (await api.raw.get(f"{LOOKUP}?appId={app.id}", headers=gate)).status_code == 404
    assert (await listed(api))["totalPlacements"] == 0
    await order(api, "reassign", {"userId": 1, "targetNodeId": 1})
    for query in (f"appId={app.id}", "userId=1"):
        answer = await api.raw.get(f"{LOOKUP}?{query}", headers=gate)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (answer.headers["X-WS-Node"], answer.headers["X-WS-NodeId"]) == ("http://127.0.0.1:9/gate", "1")
    wanted = {"": 400, "appId=99999": 404, "userId=2": 404, "appId=20001&appId=20002": 400, "userId=%2e": 400}
    for query, status in wanted.items():
        assert (await api.raw.get(f"{LOOKUP}?{query}", headers=gate)).status_code == status


@pytest.mark.parametrize("forged", [{}, {"X-Forwarded-For": "127.0.0.1"}, {WORKSPACE_GATEWAY_TOKEN: "x" * 20}])
async def test_strangers_are_told_no_nodes(api: Api, forged: dict[str, str]) -> None:
    assert (await api.raw.get(f"{LOOKUP}?userId=1", headers=forged)).status_code == 401


async def test_a_token_from_elsewhere_opens_nothing_whatever_it_says_of_itself(tmp_path: Path) -> None:
    forged = {"X-Forwarded-For": "10.0.0.7", "X-Real-IP": "10.0.0.7"}
    async with (
        served_api(tmp_path, SECRET, {1: "token-of-user-1-0123"}, networks=[ip_network("10.0.0.0/8")]) as url,
        httpx.AsyncClient(base_url=url, headers=forged, trust_env=False, verify=False) as client,
    ):
        told = await client.post(f"{NODES}/heartbeat", json=beat(), headers={WORKSPACE_NODE_TOKEN: served.NODE_TOKEN})
        listed = await client.get(f"{NODES}/list", headers={ADMIN_TOKEN: served.ADMIN})
        asked = await client.get(f"{LOOKUP}?userId=1")
    assert [answer.status_code for answer in (told, listed, asked)] == [403, 403, 401]


async def test_without_a_token_gateways_of_this_machine_may_ask(tmp_path: Path) -> None:
    async with (
        served_api(tmp_path, SECRET, {1: "token-of-user-1-0123"}) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
    ):
        assert (await client.get(f"{LOOKUP}?userId=1")).status_code == 404
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            assert (await client.get(f"{LOOKUP}?userId=1", headers={name: "127.0.0.1"})).status_code == 401
