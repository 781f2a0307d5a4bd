"""The database of a deployed app, from the API over the control plane and the agent to a MongoDB, as real processes."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemons.api.adapters.app_databases import HttpAppDatabases
from daemons.api.adapters.deploy_plane import HttpDeployPlane
from protocol.client.api import bearer
from protocol.client.deploy import JobsClient
from protocol.client.transport import Transport
from protocol.headers import DEPLOY_SECRET
from tests.support.git_host import GitHost, git_host
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_beside
from tests.support.runtime_node import TOKEN as AGENT_TOKEN
from tests.support.served_api import served_api
from tests.support.whole_path import REPOSITORY, SECRETS, WholePath, page, whole_path

pytestmark = [pytest.mark.real, pytest.mark.slow]
_NAME = f"bases-{secrets.token_hex(3)}"
OWNER, OTHER = "owner-token-0123456789", "other-token-0123456789"
BASE, WHOSE = "/api/fun-ai/deploy/mongo", "appId=20001"


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoServer]:
    with mongo_beside() as server:
        yield server


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as host:
        yield host


@pytest.fixture(scope="module")
def path(real_parts: Path, docker_url: str, git: GitHost, mongo: MongoServer) -> Iterator[WholePath]:
    """With app 20001 of user 7, which a runner has deployed."""
    agent = {
        "RUNTIME_MONGO_HOST": mongo.host,
        "RUNTIME_MONGO_PORT": str(mongo.port),
        "RUNTIME_MONGO_USERNAME": ADMIN,
        "RUNTIME_MONGO_PASSWORD": ADMIN_PASSWORD,
    }
    with whole_path(real_parts / "bases", docker_url, git, _NAME, agent=agent) as running:
        with running.running("runner-bases"):
            running.succeeded(running.publish("20001", page("v1")))
        yield running


@pytest.fixture
async def api(path: WholePath, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API before that control plane, for user 7, whose app it knows, and user 8."""
    secret = {DEPLOY_SECRET: SECRETS["DEPLOY_PROXY_AUTH_SHARED_SECRET"]}
    async with Transport(path.deploy_url, secret) as plane, Transport(path.deploy_url, secret) as questions:
        parts: dict[str, Any] = {
            "plane": HttpDeployPlane(JobsClient(plane)),
            "databases": HttpAppDatabases(questions),
        }
        async with (
            served_api(tmp_path, "secret-of-tests-0123456789", {7: OWNER, 8: OTHER}, **parts) as url,
            httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, verify=False) as client,
        ):
            made = await client.post("/api/fun-ai/app/create", headers=bearer(OWNER))
            assert made.json()["data"]["id"] == 20001
            yield client


async def ask(api: httpx.AsyncClient, call: str, body: object, token: str = OWNER) -> httpx.Response:
    return await api.post(f"{BASE}/{call}?{WHOSE}", json=body, headers=bearer(token))


async def test_an_owner_works_in_the_database_of_a_deployed_app(
    path: WholePath, mongo: MongoServer, api: httpx.AsyncClient
) -> None:
    secret = secrets.token_hex(8)
    new = {"collection": "things", "doc": f'{{"n": {{"$numberLong": "9007199254740993"}}, "text": "{secret}"}}'}
    made = await ask(api, "insert-one", new)
    assert (made.status_code, made.json()["message"]) == (200, "success"), made.text
    document = made.json()["data"]["insertedId"]["$oid"]
    assert [each["text"] for each in mongo.databases["db_u7_a20001"]["things"].documents] == [secret]
    change = {"collection": "things", "id": document, "update": '{"$set": {"state": "sold"}}'}
    assert (await ask(api, "update-by-id", change)).json()["data"]["modifiedCount"] == 1
    found = await ask(api, "find", {"collection": "things", "filter": '{"state": "sold"}'})
    assert [(each["n"], each["text"]) for each in found.json()["data"]["items"]] == [(9007199254740993, secret)]
    one = await api.get(f"{BASE}/doc?{WHOSE}&collection=things&id={document}", headers=bearer(OWNER))
    assert one.json()["data"]["doc"]["state"] == "sold"
    assert (await ask(api, "create-collection", {"collection": "people"})).json()["data"]["created"] is True
    listed = await api.get(f"{BASE}/collections?{WHOSE}&userId=7", headers=bearer(OWNER))
    assert listed.json()["data"]["collections"] == ["people", "things"]
    gone = await ask(api, "delete-by-id", {"collection": "things", "id": document})
    assert gone.json()["data"]["deletedCount"] == 1

    entries = path.call("GET", "/admin/audit?kind=database", secret="Admin-Token")["items"]
    told = [(each["change"], each["after"]["call"], each["after"]["documentId"]) for each in reversed(entries)]
    assert told[:4] == [
        ("asked", "insert-one", None),
        ("done", "insert-one", document),
        ("asked", "update-by-id", document),
        ("done", "update-by-id", document),
    ]
    assert {(each["actor"], each["after"]["userId"], each["subject"]) for each in entries} == {("api", "7", "20001")}
    said = "".join((path.folder / name).read_text() for name in ("deploy.log", "n/agent.log"))
    for hidden in (secret, AGENT_TOKEN, ADMIN_PASSWORD):
        assert hidden not in str(entries) + said


async def test_nobody_else_gets_in_and_nothing_runs_code(mongo: MongoServer, api: httpx.AsyncClient) -> None:
    before = len(mongo.asked)
    assert (await ask(api, "find", {"collection": "things"}, OTHER)).status_code == 404
    hostile = await ask(api, "find", {"collection": "things", "filter": '{"$where": "sleep(1000)"}'})
    assert (hostile.status_code, "$where runs code" in hostile.json()["message"]) == (400, True)
    assert not [each for each in mongo.asked[before:] if "find" in each]


async def test_a_node_that_is_away_is_said_to_be_and_is_asked_again_when_it_is_back(
    path: WholePath, api: httpx.AsyncClient
) -> None:
    path.node.kill_agent()
    try:
        away = await ask(api, "find", {"collection": "things"})
        assert (away.status_code, away.json()["reason"]) == (503, "peer_failed")
        assert f"node {_NAME} cannot be asked for the database of app 20001" in away.json()["message"]
        assert path.node.agent_url not in away.text
    finally:
        path.node.start_agent()
    assert (await ask(api, "find", {"collection": "things"})).status_code == 200
