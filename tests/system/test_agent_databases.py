"""An agent process with a database server: what reaches the container of an app, and what reaches nobody."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from tests.support import real, runtime_node
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_beside
from tests.support.runtime_node import TOKEN, RuntimeNode, Workshop, docker

pytestmark = pytest.mark.real
_NAME = f"agent-mongo-{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoServer]:
    with mongo_beside() as server:
        yield server


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str, mongo: MongoServer) -> Iterator[RuntimeNode]:
    environment = {
        "RUNTIME_REQUIRE_FENCE": "false",
        "RUNTIME_MONGO_HOST": "127.0.0.1",
        "RUNTIME_MONGO_PORT": str(mongo.port),
        "RUNTIME_MONGO_APP_HOST": "mongo.test",
        "RUNTIME_MONGO_USERNAME": ADMIN,
        "RUNTIME_MONGO_PASSWORD": ADMIN_PASSWORD,
        "RUNTIME_MONGO_DROP_ON_DELETE": "true",
        "FUNAI_LOG_LEVEL": "DEBUG",
    }
    with runtime_node.node(real_parts / "am", docker_url, _NAME, **environment) as running:
        yield running


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), _NAME)
    yield shop
    shop.close()


def given(node: RuntimeNode, container: str) -> dict[str, str]:
    """The variables of a container, as the engine has them."""
    lines = json.loads(docker(node.engine, "inspect", "-f", "{{json .Config.Env}}", container))
    return dict(line.split("=", 1) for line in lines)


def explore(node: RuntimeNode, call: str, body: object) -> httpx.Response:
    """A call of the explorer for app 5 of user 7."""
    url = f"{node.agent_url}/api/fun-ai/deploy/mongo/{call}?userId=7&appId=5"
    return httpx.post(url, json=body, headers={"X-Runtime-Token": TOKEN}, trust_env=False)


def test_an_app_lives_with_its_database_and_leaves_with_it(
    node: RuntimeNode, workshop: Workshop, mongo: MongoServer
) -> None:
    first = node.deploy("5", workshop.page("5", "aaaaaaaaaaaa-1", "v1"), 1)
    assert first.status_code == 200, first.text
    told = given(node, "rt-u-7-5-r1")
    parts = urlsplit(told["MONGODB_URI"])
    password = unquote(parts.password or "")
    assert (parts.username, parts.hostname, parts.port, parts.path) == (
        "db_u7_a5",
        "mongo.test",
        mongo.port,
        "/db_u7_a5",
    )
    assert (told["MONGO_URL"], told["FUNAI_MONGO_DB_NAME"]) == (told["MONGODB_URI"], "db_u7_a5")
    (realm, user), (_, account) = [*mongo.users][-1], [*mongo.users.items()][-1]
    assert (user, account.password, account.databases) == ("db_u7_a5", password, frozenset({"db_u7_a5"}))
    assert parts.query == f"authSource={realm}"

    stored = explore(node, "insert-one", {"collection": "things", "doc": '{"n": {"$numberLong": "9007199254740993"}}'})
    assert stored.status_code == 200, stored.text
    found = explore(node, "find", {"collection": "things"}).json()["data"]
    assert [each["n"] for each in found["items"]] == [9007199254740993]

    # While the server is away: a restart of the agent, and a deployment.
    node.kill_agent()
    mongo.broken = {name: (91, "the server is in shutdown") for name in ("updateUser", "createUser")}
    node.start_agent()
    second = node.deploy("5", workshop.page("5", "bbbbbbbbbbbb-2", "v2"), 2)
    assert second.status_code == 200, second.text
    assert node.page("/runtime/5/").text == "v2\n"
    assert given(node, "rt-u-7-5-r2")["MONGODB_URI"] == told["MONGODB_URI"]
    mongo.broken = {}

    file = node.folder / "agent" / "databases" / "u7_a5.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["password"] == password
    seen = (node.folder / "agent.log").read_text() + (node.folder / "agent" / "apps" / "5.json").read_text()
    seen += Path(f"/proc/{node.agent_pid}/cmdline").read_text()
    seen += docker(node.engine, "inspect", "-f", "{{json .Config.Labels}}{{json .Args}}", "rt-u-7-5-r2")
    assert password not in seen
    assert ADMIN_PASSWORD not in seen

    # The account owed to the app holds nothing up, and what the delete cannot do at once is done later.
    mongo.broken = {"usersInfo": (91, "the server is in shutdown")}
    answer = node.post("/agent/apps/delete", {"userId": "7", "appId": "5"}).json()
    assert (answer["status"], answer["mongo"]["dropped"]) == ("DELETED", False)
    assert "goes on trying" in answer["mongo"]["error"]
    mongo.broken = {}
    real.wait_until(lambda: "db_u7_a5" not in mongo.databases and len(mongo.users) == 1, "the database's removal")
    real.wait_until(lambda: not file.exists(), "the account's removal")
