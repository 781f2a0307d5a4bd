"""Every route against every kind of caller: nobody, the owner, another user, an operator."""

import pytest

from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.rules import forwarded
from protocol.client.api import bearer
from protocol.git_loans import LEND_PATH, RETURN_ALL_PATH, RETURN_PATH
from protocol.headers import ADMIN_TOKEN
from protocol.pushes import PUSHES_PATH
from protocol.webhooks import RESULTS_PATH
from tests.http.api.conftest import ADMIN, OTHER, OWNER, Api

MOVES = "/api/fun-ai/admin/workspace-moves"
NODES, LOOKUP = "/api/fun-ai/admin/workspace-nodes", "/internal/gateway/node"
WORKSPACES, MOVES = "/api/fun-ai/admin/workspaces", "/api/fun-ai/admin/workspace-moves"
RUNTIME = "/api/fun-ai/admin/deploy-nodes"
MONGO = "/api/fun-ai/deploy/mongo"
UPDATE = '{"collection": "things", "id": "a", "update": "{\\"$set\\": {\\"n\\": 2}}"}'
KEY = '{"title": "laptop", "publicKey": "%s"}'
#: Method, path, body; then the status for the owner of app 20001 and its job, another user, and an operator.
ROUTES = [
    ("GET", "/api/fun-ai/user/me", "", 200, 200, 401),
    ("POST", "/api/fun-ai/app/create", "", 200, 200, 401),
    ("GET", "/api/fun-ai/app/create", "", 200, 200, 401),
    ("GET", "/api/fun-ai/app/list", "", 200, 200, 401),
    ("GET", "/api/fun-ai/app/list?userId=1", "", 200, 403, 401),
    ("GET", "/api/fun-ai/app/info?appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/app/info?userId=1&appId=20001", "", 200, 403, 401),
    ("GET", "/api/fun-ai/app/info?userId=2&appId=20001", "", 403, 404, 401),
    ("GET", "/api/fun-ai/app/info?appId=99999", "", 404, 404, 401),
    ("GET", "/api/fun-ai/app/info?appId=not-a-number", "", 404, 404, 401),
    ("POST", "/api/fun-ai/app/create?userId=1", "", 200, 403, 401),
    ("POST", "/api/fun-ai/app/update-basic", '{"appId": "20001", "appName": "store"}', 409, 404, 401),
    ("POST", "/api/fun-ai/app/update-basic", '{"userId": "1", "appId": "20001", "appName": "store"}', 409, 403, 401),
    ("GET", "/api/fun-ai/app/domains?appId=20001", "", 200, 404, 401),
    ("POST", "/api/fun-ai/app/domains", '{"appId": "20001", "host": "a.example"}', 200, 404, 401),
    ("POST", "/api/fun-ai/app/domains", '{"userId": "1", "appId": "20001", "host": "a.example"}', 200, 403, 401),
    ("POST", "/api/fun-ai/app/domains/verify", '{"appId": "20001", "host": "a.example"}', 404, 404, 401),
    ("DELETE", "/api/fun-ai/app/domains?appId=20001&host=a.example", "", 404, 404, 401),
    ("GET", "/api/fun-ai/internal/gateway/domains", "", 401, 401, 401),
    ("POST", "/api/fun-ai/app/open-editor?appId=20001", "", 503, 404, 401),
    ("POST", "/api/fun-ai/app/open-editor?userId=1&appId=20001", "", 503, 403, 401),
    ("GET", "/api/fun-ai/app/push-to-deploy?appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/app/push-to-deploy?userId=1&appId=20001", "", 200, 403, 401),
    ("POST", "/api/fun-ai/app/push-to-deploy", '{"appId": "20001", "enabled": true}', 200, 404, 401),
    ("POST", "/api/fun-ai/app/push-to-deploy", '{"userId": "1", "appId": "20001", "enabled": true}', 200, 403, 401),
    ("GET", "/api/fun-ai/app/slug/check?appSlug=my-shop", "", 200, 200, 401),
    ("GET", "/api/fun-ai/app/slug/check?appSlug=my-shop&appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/app/slug/check?userId=1&appSlug=my-shop", "", 200, 403, 401),
    ("GET", "/api/fun-ai/app/delete?appId=20001", "", 200, 404, 401),
    ("POST", "/api/fun-ai/app/delete?appId=20001", "", 200, 404, 401),
    ("POST", "/api/fun-ai/app/delete?userId=1&appId=20001", "", 200, 403, 401),
    ("GET", "/api/fun-ai/deploy/app/list", "", 200, 200, 401),
    ("GET", "/api/fun-ai/deploy/app/list?userId=1&appId=20001", "", 200, 403, 401),
    ("GET", "/api/fun-ai/deploy/app/list?appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/deploy/job/info?jobId={job}", "", 200, 404, 401),
    ("GET", "/api/fun-ai/deploy/job/info?jobId=unknown", "", 404, 404, 401),
    ("GET", "/api/fun-ai/deploy/job/list", "", 200, 200, 401),
    ("GET", "/api/fun-ai/deploy/job/history?appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/deploy/job/history?userId=1&appId=20001", "", 200, 403, 401),
    ("POST", "/api/fun-ai/deploy/job/create?appId=20001", "", 409, 404, 401),
    ("POST", "/api/fun-ai/deploy/job/create?userId=1&appId=20001", "", 409, 403, 401),
    ("POST", "/api/fun-ai/deploy/job/cancel?jobId={job}", "", 200, 404, 401),
    ("POST", "/api/fun-ai/deploy/job/retry?jobId={job}", "", 409, 404, 401),
    ("GET", "/api/fun-ai/deploy/job/log?jobId={job}", "", 200, 404, 401),
    ("GET", "/api/fun-ai/deploy/app/logs?appId=20001", "", 404, 404, 401),
    ("GET", "/api/fun-ai/deploy/app/logs?userId=1&appId=20001", "", 404, 403, 401),
    ("GET", "/api/fun-ai/deploy/app/releases?appId=20001", "", 200, 404, 401),
    ("GET", "/api/fun-ai/deploy/app/releases?userId=1&appId=20001", "", 200, 403, 401),
    ("POST", "/api/fun-ai/deploy/app/rollback?appId=20001", "", 404, 404, 401),
    ("POST", "/api/fun-ai/deploy/app/rollback?userId=1&appId=20001", "", 404, 403, 401),
    ("POST", "/api/fun-ai/deploy/app/stop?appId=20001", "", 200, 404, 401),
    ("POST", "/api/fun-ai/deploy/app/stop?userId=1&appId=20001", "", 200, 403, 401),
    ("GET", f"{MONGO}/collections?appId=20001", "", 200, 404, 401),
    ("GET", f"{MONGO}/collections?userId=1&appId=20001", "", 200, 403, 401),
    ("GET", f"{MONGO}/collections?appId=99999", "", 404, 404, 401),
    ("GET", f"{MONGO}/doc?appId=20001&collection=things&id=a", "", 200, 404, 401),
    ("POST", f"{MONGO}/find?appId=20001", '{"collection": "things"}', 200, 404, 401),
    ("POST", f"{MONGO}/find?appId=20001", '{"collection": "things", "userId": 1}', 200, 403, 401),
    ("POST", f"{MONGO}/insert-one?appId=20001", '{"collection": "things", "doc": "{\\"a\\": 1}"}', 200, 404, 401),
    ("POST", f"{MONGO}/insert-one?userId=1&appId=20001", '{"collection": "things", "doc": "{}"}', 400, 403, 401),
    ("POST", f"{MONGO}/update-by-id?appId=20001", UPDATE, 200, 404, 401),
    ("POST", f"{MONGO}/delete-by-id?appId=20001", '{"collection": "things", "id": "a"}', 200, 404, 401),
    ("POST", f"{MONGO}/create-collection?appId=20001", '{"collection": "people"}', 200, 404, 401),
    ("GET", "/api/fun-ai/git/keys", "", 200, 200, 401),
    ("POST", "/api/fun-ai/git/keys", '{"title": "a", "publicKey": "ssh-ed25519 x"}', 400, 400, 401),
    ("DELETE", "/api/fun-ai/git/keys?keyId=1", "", 404, 404, 401),
    ("GET", "/api/fun-ai/admin/apps", "", 403, 403, 200),
    ("POST", "/api/fun-ai/admin/apps/deploy?appId=20001", "", 403, 403, 409),
    ("POST", "/api/fun-ai/admin/apps/deploy?appId=20001&userId=2", "", 403, 403, 404),
    ("POST", "/api/fun-ai/admin/apps/rollback?appId=20001", "", 403, 403, 404),
    ("POST", "/api/fun-ai/admin/apps/stop?appId=20001", "", 403, 403, 200),
    ("POST", "/api/fun-ai/admin/apps/delete?appId=20001", "", 403, 403, 200),
    ("POST", "/api/fun-ai/admin/apps/delete?appId=20001&userId=2", "", 403, 403, 404),
    ("GET", "/api/fun-ai/admin/apps/show?appId=20001", "", 403, 403, 200),
    ("GET", "/api/fun-ai/admin/apps/show?appId=20001&userId=2", "", 403, 403, 404),
    ("GET", "/api/fun-ai/admin/app-deletions", "", 403, 403, 200),
    ("GET", "/api/fun-ai/internal/apps/ids", "", 403, 403, 200),
    ("POST", RESULTS_PATH, "{}", 401, 401, 401),
    ("POST", PUSHES_PATH, "{}", 401, 401, 401),
    ("POST", f"{NODES}/heartbeat", "{}", 401, 401, 401),
    *(("POST", path, "{}", 401, 401, 401) for path in (LEND_PATH, RETURN_PATH, RETURN_ALL_PATH)),
    ("GET", f"{NODES}/list", "", 403, 403, 200),
    ("POST", f"{NODES}/upsert", "{}", 403, 403, 400),
    ("POST", f"{NODES}/set-enabled?nodeId=1&enabled=1", "", 403, 403, 404),
    ("GET", f"{NODES}/placements?nodeId=1", "", 403, 403, 404),
    ("POST", f"{NODES}/reassign", '{"userId": 1, "targetNodeId": 1}', 403, 403, 404),
    ("POST", f"{NODES}/drain", '{"sourceNodeId": 1, "targetNodeId": 2}', 403, 403, 404),
    ("POST", f"{NODES}/cordon", '{"nodeId": 1, "cordoned": true}', 403, 403, 404),
    ("POST", f"{MOVES}/start", '{"userId": 1}', 403, 403, 404),
    ("GET", f"{MOVES}/list", "", 403, 403, 200),
    ("GET", f"{MOVES}/show?moveId=1", "", 403, 403, 404),
    ("POST", f"{MOVES}/cancel?moveId=1", "", 403, 403, 404),
    ("POST", f"{MOVES}/drain", '{"nodeId": 1}', 403, 403, 404),
    ("GET", f"{WORKSPACES}/list?nodeId=1", "", 403, 403, 404),
    ("GET", f"{WORKSPACES}/show?userId=1", "", 403, 403, 404),
    ("POST", f"{WORKSPACES}/start?userId=1", "", 403, 403, 404),
    ("POST", f"{WORKSPACES}/stop?userId=1", "", 403, 403, 404),
    ("GET", f"{WORKSPACES}/run?userId=1", "", 403, 403, 404),
    ("GET", f"{WORKSPACES}/log?userId=1&appId=20001", "", 403, 403, 404),
    ("GET", f"{WORKSPACES}/log/events?userId=1&appId=20001", "", 403, 403, 404),
    ("GET", f"{WORKSPACES}/exec?userId=1", "", 403, 403, 404),
    ("GET", f"{PREFIX}/internal/gateway/node?appId=20001", "", 401, 401, 401),
    ("GET", f"{PREFIX}/files/tree?appId=20001", "", 404, 404, 401),
    ("GET", f"{PREFIX}/files/tree?userId=1&appId=20001", "", 404, 403, 401),
    ("POST", f"{PREFIX}/container/ensure?userId=1", "", 503, 403, 401),
    ("GET", f"{PREFIX}/container/status", "", 200, 200, 401),
    ("GET", f"{PREFIX}/run/status", "", 200, 200, 401),
]
ROUTES += [
    ("POST", "/api/fun-ai/auth/login", "{}", 400, 400, 400),
    ("POST", "/api/fun-ai/auth/refresh", "{}", 400, 400, 400),
    ("GET", "/api/fun-ai/auth/oidc/login", "", 503, 503, 503),
    ("GET", "/api/fun-ai/auth/oidc/callback?state=x&code=y", "", 503, 503, 503),
    ("POST", "/api/fun-ai/auth/logout", "", 403, 403, 401),
    ("POST", "/api/fun-ai/auth/password", "{}", 403, 403, 401),
    ("GET", "/api/fun-ai/user/api-keys", "", 403, 403, 401),
    ("POST", "/api/fun-ai/user/api-keys", "{}", 403, 403, 401),
    ("DELETE", "/api/fun-ai/user/api-keys?keyId=1", "", 403, 403, 401),
    ("GET", "/api/fun-ai/admin/users/list", "", 403, 403, 200),
    ("POST", "/api/fun-ai/admin/users/create", "{}", 403, 403, 400),
    ("POST", "/api/fun-ai/admin/users/link", "{}", 403, 403, 400),
    ("POST", "/api/fun-ai/admin/users/set-enabled", '{"userId": 1, "enabled": false}', 403, 403, 404),
    ("POST", "/api/fun-ai/admin/users/set-role", '{"userId": 1, "role": "admin"}', 403, 403, 404),
    ("POST", "/api/fun-ai/admin/users/set-password", '{"userId": 1, "password": "x"}', 403, 403, 404),
]
#: Without leave to operate the control plane (503) what is asked is checked all the same (400).
ROUTES += [
    ("GET", f"{RUNTIME}/list", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/placements?nodeId=1", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/health", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/runners/list", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/jobs/list?status=PENDING", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/drains/list", "", 403, 403, 503),
    ("GET", f"{RUNTIME}/drains/show?drainId=1", "", 403, 403, 503),
    ("POST", f"{RUNTIME}/upsert", "{}", 403, 403, 400),
    ("POST", f"{RUNTIME}/set-enabled?name=n1&enabled=1", "", 403, 403, 503),
    ("POST", f"{RUNTIME}/reassign", '{"appId": 20001, "targetNodeId": 1}', 403, 403, 503),
    ("POST", f"{RUNTIME}/drain", '{"sourceNodeId": 1, "targetNodeId": 2}', 403, 403, 503),
    ("POST", f"{RUNTIME}/runners/set-drained?runnerId=r1&drained=true", "", 403, 403, 503),
    ("POST", f"{RUNTIME}/jobs/cancel?jobId=no-job", "", 403, 403, 400),
    ("POST", f"{RUNTIME}/jobs/retry?jobId={{job}}", "", 403, 403, 503),
    ("POST", f"{RUNTIME}/drains/preview", '{"node": "n1"}', 403, 403, 503),
    ("POST", f"{RUNTIME}/drains/start", '{"node": "../n1"}', 403, 403, 400),
    *(("POST", f"{RUNTIME}/drains/{turn}?drainId=1", "", 403, 403, 503) for turn in ("pause", "resume", "undo")),
    ("POST", f"{RUNTIME}/drains/cancel?drainId=no-number", "", 403, 403, 400),
]
#: Anybody gets as far as the check of what is sent.
FOR_ANYBODY = ("/api/fun-ai/auth/login", "/api/fun-ai/auth/refresh", "/api/fun-ai/auth/oidc/")
OPEN = [
    "/internal/health",
    "/internal/ready",
    "/metrics",
    "/{slug}",
    "/openapi.json",
    "/admin/nodes.html",
    "/admin/nodes-admin.html",
]
#: Tried in test_pages.py.
PAGES = {
    "/admin/nodes-assets/{name}",
    "/nodes.html",
    "/nodes-admin.html",
    "/workspace-nodes{rest}.html",
    "/deploy-nodes.html",
}


@pytest.mark.parametrize(("method", "path", "body", "owner", "other", "admin"), ROUTES)
async def test_only_the_owner_gets_through(
    api: Api, method: str, path: str, body: str, owner: int, other: int, admin: int
) -> None:
    await api.owner.create_app()
    api.databases.deployed[20001] = 1
    job = await api.owner.deploy("20001")
    path = path.format(job=job.id)

    async def status(headers: dict[str, str]) -> int:
        answer = await api.raw.request(method, path, content=body, headers=headers)
        if answer.status_code != 200 or "json" in answer.headers["content-type"]:
            assert answer.json()["code"] == answer.status_code
        return answer.status_code

    nobody = admin if path.startswith(FOR_ANYBODY) else 401
    assert await status({}) == nobody
    assert await status(bearer("a-token-that-nobody-has")) == nobody
    assert await status({"Authorization": OWNER}) == nobody
    assert await status({ADMIN_TOKEN: ADMIN}) == admin
    assert await status(bearer(OTHER)) == other
    assert await status(bearer(OWNER)) == owner


async def test_no_route_is_left_out(api: Api) -> None:
    tested = {(method, path.partition("?")[0]) for method, path, *_ in ROUTES} | {
        ("GET", path) for path in {*OPEN, *PAGES}
    }
    # What is passed on to a node is tried for every caller in test_access_matrix.py.
    tested |= set(forwarded())
    routes = {(route.method, route.resource.canonical) for route in api.app.router.routes() if route.resource}
    assert {(method, path) for method, path in routes if method != "HEAD" or ("GET", path) not in routes} == tested


@pytest.mark.parametrize("path", OPEN)
async def test_health_figures_and_slugs_are_open(api: Api, path: str) -> None:
    assert (await api.raw.get(path)).status_code == (404 if path == "/{slug}" else 200)


async def test_lists_hold_only_ones_own(api: Api) -> None:
    own, foreign = await api.owner.create_app(), await api.other.create_app()
    job = await api.owner.deploy(str(own.id))
    await api.other.deploy(str(foreign.id))
    assert [app.id for app in await api.owner.apps()] == [own.id]
    assert [app.id for app in await api.owner.deployed_apps()] == [own.id]
    assert [found.id for found in await api.owner.jobs()] == [job.id]
    assert [app.id for app in await api.admin.apps()] == [own.id, foreign.id]
    assert (await api.admin.app_ids()).app_ids == (own.id, foreign.id)


async def test_a_foreign_thing_is_answered_like_one_that_does_not_exist(api: Api) -> None:
    await api.owner.create_app()
    foreign = (await api.raw.get("/api/fun-ai/app/info?appId=20001", headers=bearer(OTHER))).json()
    absent = (await api.raw.get("/api/fun-ai/app/info?appId=20002", headers=bearer(OTHER))).json()
    assert foreign["message"].replace("20001", "N") == absent["message"].replace("20002", "N")
    assert foreign["reason"] == absent["reason"]
