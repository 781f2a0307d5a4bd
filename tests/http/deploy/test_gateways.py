"""Which node's gateway has an app, as a gateway before several nodes asks for it."""

import httpx
import pytest

from protocol.jobs import JobStatus, ReportJob
from tests.http.deploy.plane import Plane, serving


async def asked(plane: Plane, query: str) -> httpx.Response:
    return await plane.call("GET", f"/internal/gateway/runtime?{query}", role="gateway")


async def upstream(plane: Plane, app_id: str = "20001") -> tuple[str, str]:
    answer = await asked(plane, f"appId={app_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    return answer.headers["x-runtime-upstream"], answer.headers["x-runtime-node"]


async def comes_up(plane: Plane) -> None:
    await plane.create()
    job = await plane.claim()
    assert job is not None
    done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
    await plane.runners.report(job.id, done)


async def test_an_app_is_where_it_came_up_until_it_comes_up_elsewhere() -> None:
    async with serving() as plane:
        await plane.beat()
        assert (await asked(plane, "appId=20001")).status_code == 404
        await comes_up(plane)
        assert await upstream(plane) == ("n1:8088", "n1")
        other = await plane.beat("n2", gatewayBaseUrl="http://10.0.0.2")
        body = {"appId": "20001", "targetNodeId": other.id.value}
        moved = await plane.call("POST", "/admin/runtime-nodes/reassign", role="admin", json=body)
        assert moved.status_code == 200
        # The row was moved and nothing else: its visitors stay where it serves.
        assert await upstream(plane) == ("n1:8088", "n1")
        await comes_up(plane)
        assert await upstream(plane) == ("10.0.0.2:80", "n2")


async def test_a_visit_places_nothing_and_an_app_that_is_on_its_way_is_where_it_will_be() -> None:
    async with serving() as plane:
        await plane.beat()
        await asked(plane, "appId=20001")
        assert (await plane.admin.snapshot()).placements == ()
        await plane.claimed()
        assert await upstream(plane) == ("n1:8088", "n1")


async def test_a_deleted_app_is_nowhere() -> None:
    async with serving() as plane:
        await plane.beat()
        await comes_up(plane)
        await plane.call("POST", "/deploy/apps/purge", role="api", json={"userId": "1", "appId": "20001"})
        assert (await asked(plane, "appId=20001")).status_code == 404


@pytest.mark.parametrize("query", ["", "appId=", "appId=../x", "appId=A", "appId=1&appId=2", "userId=1"])
async def test_what_is_no_app_is_refused(query: str) -> None:
    async with serving() as plane:
        assert (await asked(plane, query)).status_code == 400


async def test_a_gateway_that_speaks_only_tls_is_no_upstream() -> None:
    async with serving() as plane:
        await plane.beat(gatewayBaseUrl="https://runtime.example.com")
        await comes_up(plane)
        answer = await asked(plane, "appId=20001")
        assert answer.status_code == 502
        assert "DEPLOY_RUNTIME_GATEWAY_PORT" in answer.json()["message"]
        assert "x-runtime-upstream" not in answer.headers


async def test_gateways_may_be_on_the_hosts_of_the_agents_when_their_own_address_is_for_visitors() -> None:
    async with serving(DEPLOY_RUNTIME_GATEWAY_PORT=80) as plane:
        await plane.beat(agentBaseUrl="http://[fd00::5]:7005", gatewayBaseUrl="https://runtime.example.com")
        await comes_up(plane)
        assert await upstream(plane) == ("[fd00::5]:80", "n1")


async def test_without_a_token_nobody_may_ask() -> None:
    async with serving(DEPLOY_GATEWAY_TOKEN="") as plane:
        assert (await plane.call("GET", "/internal/gateway/runtime?appId=1")).status_code == 401
        forged = {"X-WS-Token": ""}
        assert (await plane.call("GET", "/internal/gateway/runtime?appId=1", headers=forged)).status_code == 401


async def test_an_allowlist_holds_beside_the_token() -> None:
    async with serving(DEPLOY_GATEWAY_ALLOWED_IPS="10.0.0.1") as plane:
        assert (await asked(plane, "appId=1")).status_code == 403
