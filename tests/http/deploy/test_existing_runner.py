"""A runner that speaks exactly the existing contract, no more: no runner token, no lease token, no wait, no log."""

from typing import Any

import httpx

from tests.http.deploy.plane import Plane, serving


class ExistingRunner:
    """Calls with plain JSON and looks at `code`, as existing runners do."""

    def __init__(self, plane: Plane) -> None:
        self._http: httpx.AsyncClient = plane.http

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = (await self._http.post(path, json=body)).json()
        assert {"code", "message", "data"} <= set(answer)
        assert answer["code"] == 200, answer["message"]
        return answer["data"]


async def existing_deployment(plane: Plane, **payload: object) -> dict[str, Any]:
    await plane.call(
        "POST",
        "/internal/runtime-nodes/heartbeat",
        role="node",
        json={
            "nodeName": "rt-node-01",
            "agentBaseUrl": "http://n:7005",
            "gatewayBaseUrl": "http://g/",
            "diskFreePct": 61.5,
        },
    )
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": 20001, "appName": "demo", **payload}}
    created: dict[str, Any] = (await plane.call("POST", "/deploy/jobs", role="api", json=body)).json()["data"]
    return created


async def test_it_completes_a_job() -> None:
    async with serving(DEPLOY_RUNNER_AUTH_ENABLED=False, DEPLOY_RUNNER_TOKEN="") as plane:
        runner = ExistingRunner(plane)
        assert await runner.post("/deploy/jobs/claim", {"runnerId": "runner-01", "leaseSeconds": 30}) is None
        created = await existing_deployment(plane, gitRef="main", containerPort=3000)
        job = await runner.post("/deploy/jobs/claim", {"runnerId": "runner-01", "leaseSeconds": 30})
        assert job["id"] == created["id"] and job["status"] == "RUNNING"
        payload = job["payload"]
        assert payload["appId"] == "20001" and payload.get("basePath", "/default") == "/default"
        assert payload.get("imageTag", "latest") == "latest" and payload["containerPort"] == 3000
        assert job["runtimeNode"]["agentBaseUrl"] == "http://n:7005" and job["runtimeNode"]["id"] == {"value": 1}
        path = f"/deploy/jobs/{job['id']}"
        for phase in ("CLONE", "BUILD", "PUSH", "DEPLOY"):
            body = {"runnerId": "runner-01", "extendSeconds": 30, "phase": phase, "phaseMessage": f"now {phase}"}
            beat = await runner.post(f"{path}/heartbeat", body)
            assert beat["status"] == "RUNNING" and beat["payload"]["phase"] == phase
        ended = await runner.post(f"{path}/report", {"runnerId": "runner-01", "status": "SUCCEEDED"})
        assert ended["status"] == "SUCCEEDED" and ended["deployUrl"] == "http://g/runtime/20001/"


async def test_the_whole_output_of_a_failed_command_is_taken() -> None:
    async with serving(DEPLOY_RUNNER_AUTH_ENABLED=False, DEPLOY_RUNNER_TOKEN="") as plane:
        runner = ExistingRunner(plane)
        await existing_deployment(plane)
        job = await runner.post("/deploy/jobs/claim", {"runnerId": "runner-01", "leaseSeconds": 30})
        body = {"runnerId": "runner-01", "status": "FAILED", "errorMessage": "command failed: " + "line\n" * 150_000}
        ended = await runner.post(f"/deploy/jobs/{job['id']}/report", body)
        assert ended["status"] == "FAILED" and ended["errorMessage"].startswith("command failed")


async def test_another_runner_is_told_that_the_job_is_not_its_own() -> None:
    async with serving(DEPLOY_RUNNER_AUTH_ENABLED=False, DEPLOY_RUNNER_TOKEN="") as plane:
        runner = ExistingRunner(plane)
        await existing_deployment(plane)
        job = await runner.post("/deploy/jobs/claim", {"runnerId": "runner-01", "leaseSeconds": 30})
        for verb in ("heartbeat", "report"):
            body = {"runnerId": "runner-02", "status": "SUCCEEDED"}
            answer = await plane.call("POST", f"/deploy/jobs/{job['id']}/{verb}", json=body)
            assert answer.status_code == answer.json()["code"] == 409


async def test_a_cancel_reaches_it_with_its_next_heartbeat() -> None:
    async with serving(DEPLOY_RUNNER_AUTH_ENABLED=False, DEPLOY_RUNNER_TOKEN="") as plane:
        runner = ExistingRunner(plane)
        await existing_deployment(plane)
        job = await runner.post("/deploy/jobs/claim", {"runnerId": "runner-01", "leaseSeconds": 30})
        await plane.api.cancel(job["id"])
        body = {"runnerId": "runner-01", "extendSeconds": 30}
        assert (await runner.post(f"/deploy/jobs/{job['id']}/heartbeat", body))["status"] == "CANCELLED"
