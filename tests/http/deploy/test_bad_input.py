"""What is not well formed is refused with the name of the field, and nothing is stored."""

import pytest

from tests.http.deploy.plane import serving

GOOD = {"userId": 1, "appId": "20001"}
PAYLOADS: list[tuple[str, object]] = [
    ("userId", ""),
    ("userId", 0),
    ("userId", -1),
    ("userId", True),
    ("userId", 1.5),
    ("userId", "1e3"),
    ("userId", "01"),
    ("userId", None),
    ("appId", ""),
    ("appId", " 1"),
    ("appId", "../x"),
    ("appId", "a/../b"),
    ("appId", "a%2Fb"),
    ("appId", "-v"),
    ("appId", "a?force=1&x"),
    ("appId", "App"),
    ("appId", "１"),
    ("appId", "a\r\nX: y"),
    ("appId", "a\n"),
    ("appId", "a\u0000"),
    ("appId", "`id`"),
    ("appId", "x" * 41),
    ("appId", ["1"]),
    ("appId", {"a": 1}),
    ("gitRef", "-x"),
    ("gitRef", "--upload-pack=touch"),
    ("gitRef", "main;id"),
    ("gitRef", "$(id)"),
    ("gitRef", "a..b"),
    ("gitRef", "@{-1}"),
    ("gitRef", ""),
    ("gitRef", 7),
    ("image", "-v"),
    ("image", "../containers/victim"),
    ("image", "Alpine"),
    ("image", "a?x=1"),
    ("image", "alpine:../../y"),
    ("image", "alpine@sha256:short"),
    ("image", "user:pass@registry/x"),
    ("image", "x" * 300),
    ("basePath", "/runtime/`"),
    ("basePath", "/runtime/20001`) || PathPrefix(`/"),
    ("basePath", "/runtime/20001\r\nX: y"),
    ("basePath", "/runtime/../20001"),
    ("basePath", "/runtime/2"),
    ("basePath", "/"),
    ("basePath", "runtime/20001"),
    ("containerPort", 0),
    ("containerPort", 65536),
    ("containerPort", "3000"),
    ("containerPort", 3000.5),
    ("healthCheckPath", "http://evil/"),
    ("healthCheckPath", "/a b"),
    ("imageTag", "-x"),
    ("imageTag", "a/b"),
    ("repoSshUrl", "ext::sh -c id"),
    ("repoSshUrl", "file:///etc"),
    ("repoSshUrl", "ssh://-oProxyCommand=id/x"),
    ("repoSshUrl", "ssh://git@host/../x.git"),
    ("acrRegistry", "http://registry"),
    ("acrNamespace", "Upper"),
]


async def test_a_bad_payload_is_400_that_names_its_field() -> None:
    async with serving() as plane:
        for field, value in PAYLOADS:
            body = {"type": "BUILD_AND_DEPLOY", "payload": GOOD | {field: value}}
            answer = await plane.call("POST", "/deploy/jobs", role="api", json=body)
            assert answer.status_code == answer.json()["code"] == 400, (field, value)
            assert answer.json()["reason"] == "invalid_request"
            assert answer.json()["data"]["fields"][0].startswith(f"payload.{field}"), (field, value)
        assert await plane.api.newest() == ()


BODIES = [
    b"",
    b"[]",
    b"null",
    b'"x"',
    b"1",
    b"{",
    b'{"type":"BUILD_AND_DEPLOY","payload":{"userId":1,"appId":"1"}} x',
    "{}".encode("utf-16"),
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"type":"BUILD_AND_DEPLOY","payload":{"userId":' + b"9" * 5000 + b',"appId":"1"}}',
    b'{"type":"BUILD_AND_DEPLOY","payload":{"userId":NaN,"appId":"1"}}',
    b'{"type":"BUILD_AND_DEPLOY","payload":{"userId":1e999,"appId":"1"}}',
    b'{"type":"BUILD_AND_DEPLOY","payload":{"userId":1,"appId":"\\ud800"}}',
    b'{"type":"ROCKET","payload":{"userId":1,"appId":"1"}}',
    b'{"type":null,"payload":{"userId":1,"appId":"1"}}',
    b'{"type":"BUILD_AND_DEPLOY"}',
    b'{"type":"BUILD_AND_DEPLOY","payload":[]}',
    b'{"type":"BUILD_AND_DEPLOY","payload":{}}',
]


async def test_a_bad_body_is_400_and_names_what_is_wrong() -> None:
    async with serving() as plane:
        for body in BODIES:
            kind = {"Content-Type": "application/json"}
            answer = await plane.call("POST", "/deploy/jobs", role="api", content=body, headers=kind)
            assert answer.status_code == answer.json()["code"] == 400, body[:80]
            assert answer.json()["data"]["fields"] and len(answer.content) < 4096
        assert await plane.api.newest() == ()


@pytest.mark.parametrize("path", ["/deploy/jobs", "/deploy/jobs/claim", "/internal/runtime-nodes/heartbeat"])
async def test_ten_megabytes_are_413(path: str) -> None:
    role = {"/deploy/jobs": "api", "/deploy/jobs/claim": "runner"}.get(path, "node")
    async with serving() as plane:
        body = b'{"type":"' + b"x" * 10_000_000 + b'"}'
        answer = await plane.call("POST", path, role=role, content=body)
        assert answer.status_code == answer.json()["code"] == 413
        assert answer.json()["message"].startswith("body: ") and answer.json()["reason"] == "payload_too_large"
        assert await plane.api.newest() == ()


async def test_an_unknown_field_is_ignored() -> None:
    async with serving() as plane:
        body = {"type": "BUILD_AND_DEPLOY", "payload": GOOD | {"__proto__": {}, "dockerfilePath": "x"}, "later": 1}
        assert (await plane.call("POST", "/deploy/jobs", role="api", json=body)).status_code == 200


RUNNER_BODIES: list[tuple[str, str, dict[str, object]]] = [
    ("claim", "runnerId", {}),
    ("claim", "runnerId", {"runnerId": ""}),
    ("claim", "runnerId", {"runnerId": "r/1"}),
    ("claim", "runnerId", {"runnerId": 1}),
    ("claim", "leaseSeconds", {"runnerId": "r1", "leaseSeconds": 0}),
    ("claim", "leaseSeconds", {"runnerId": "r1", "leaseSeconds": 10**9}),
    ("claim", "leaseSeconds", {"runnerId": "r1", "leaseSeconds": "30"}),
    ("claim", "waitSeconds", {"runnerId": "r1", "waitSeconds": 26}),
    ("claim", "waitSeconds", {"runnerId": "r1", "waitSeconds": -1}),
    ("heartbeat", "extendSeconds", {"runnerId": "r1", "extendSeconds": 0}),
    ("heartbeat", "phase", {"runnerId": "r1", "phase": "x" * 300}),
    ("return", "runnerId", {"leaseToken": "t"}),
    ("return", "instanceId", {"runnerId": "r1", "instanceId": "a b"}),
    ("return", "logLength", {"runnerId": "r1", "logLength": -1}),
    ("report", "status", {"runnerId": "r1"}),
    ("report", "status", {"runnerId": "r1", "status": "DONE"}),
    ("report", "imageDigest", {"runnerId": "r1", "status": "SUCCEEDED", "imageDigest": "sha256:x"}),
    ("report", "reason", {"runnerId": "r1", "status": "FAILED", "reason": "bad luck"}),
]


async def test_a_bad_runner_request_names_its_field() -> None:
    async with serving() as plane:
        job = await plane.create()
        for verb, field, body in RUNNER_BODIES:
            path = "/deploy/jobs/claim" if verb == "claim" else f"/deploy/jobs/{job.id}/{verb}"
            answer = await plane.call("POST", path, role="runner", json=body)
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field]), (verb, body)


NODE_BODIES: list[tuple[str, dict[str, object]]] = [
    ("nodeName", {"nodeName": "a/b"}),
    ("nodeName", {"nodeName": ""}),
    ("agentBaseUrl", {"agentBaseUrl": "file:///etc"}),
    ("agentBaseUrl", {"agentBaseUrl": "http://user:pass@host"}),
    ("gatewayBaseUrl", {"gatewayBaseUrl": ""}),
    ("diskFreePct", {"diskFreePct": -1}),
    ("diskFreePct", {"diskFreePct": 101}),
    ("diskFreePct", {"diskFreePct": "60"}),
    ("diskFreeBytes", {"diskFreeBytes": -1}),
    ("diskFreeBytes", {"diskFreeBytes": 2**63}),
    ("containerCount", {"containerCount": -1}),
    ("inodesFreePct", {"inodesFreePct": 200}),
    ("intervalSeconds", {"intervalSeconds": 0}),
    ("containerCount", {"containerCount": 2**31}),
    ("inodesTotal", {"inodesTotal": -1}),
    ("inodesFree", {"inodesFree": 2**63}),
    ("labels", {"labels": [f"l{number}" for number in range(17)]}),
    ("labels.0", {"labels": ["a,b"]}),
]


async def test_a_bad_heartbeat_names_its_field_and_registers_nothing() -> None:
    async with serving() as plane:
        for field, change in NODE_BODIES:
            body = {"nodeName": "n1", "agentBaseUrl": "http://n1", "gatewayBaseUrl": "http://n1", **change}
            answer = await plane.call("POST", "/internal/runtime-nodes/heartbeat", role="node", json=body)
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field]), change
        assert await plane.admin.nodes() == ()


async def test_a_node_id_that_no_reader_could_repeat_is_refused() -> None:
    """Above 2^53 - 1 JavaScript rounds; the database's own limit is 2^63 - 1."""
    async with serving() as plane:
        await plane.beat()
        for number in (0, -1, 2**53, 2**63, 10**30):
            for path, body, field in (
                ("reassign", {"appId": "a1", "targetNodeId": number}, "targetNodeId"),
                ("drain", {"sourceNodeId": number, "targetNodeId": 1}, "sourceNodeId"),
                ("drain", {"sourceNodeId": 1, "targetNodeId": number}, "targetNodeId"),
            ):
                answer = await plane.call("POST", f"/admin/runtime-nodes/{path}", role="admin", json=body)
                assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field]), (path, number)
            for path in ("/admin/runtime-nodes/placements", "/deploy/apps", "/deploy/operations"):
                answer = await plane.call("GET", f"{path}?nodeId={number}", role="admin")
                assert (answer.status_code, answer.json()["data"]["fields"]) == (400, ["nodeId"]), (path, number)
        unknown = {"appId": "a1", "targetNodeId": 2**53 - 1}
        answer = await plane.call("POST", "/admin/runtime-nodes/reassign", role="admin", json=unknown)
        assert answer.status_code == 404


async def test_a_bad_query_names_its_parameter() -> None:
    queries = [
        ("/deploy/jobs?limit=x", "limit"),
        ("/deploy/jobs?limit=1.5", "limit"),
        ("/deploy/jobs?limit=%EF%BC%91", "limit"),
        ("/deploy/jobs/by-app", "appId"),
        ("/admin/runtime-nodes/placements", "nodeId"),
        ("/admin/runtime-nodes/placements?nodeId=n1", "nodeId"),
        ("/admin/events?after=-1", "after"),
        ("/admin/events?after=1e9", "after"),
        ("/admin/events?after=99999999999999999999", "after"),
    ]
    async with serving() as plane:
        for path, field in queries:
            answer = await plane.call("GET", path, role="admin")
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field]), path


async def test_a_limit_out_of_range_is_clamped() -> None:
    async with serving() as plane:
        await plane.create()
        for limit in ("-5", "0", "1000000", ""):
            answer = await plane.call("GET", f"/deploy/jobs?limit={limit}", role="api")
            assert answer.status_code == 200 and len(answer.json()["data"]) == 1


async def test_no_such_route() -> None:
    requests = [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/deploy/jobs", 405, "method_not_allowed"),
        ("POST", "/internal/health", 405, "method_not_allowed"),
    ]
    async with serving() as plane:
        for method, path, code, reason in requests:
            answer = await plane.call(method, path)
            assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (code, code, reason)
