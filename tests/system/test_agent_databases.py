"""An agent process with a database server: what reaches the container of an app, and what reaches nobody."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.support import real, runtime_node
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_beside
from tests.support.outside import neighbour
from tests.support.runtime_node import TOKEN, RuntimeNode, Workshop, docker

pytestmark = pytest.mark.real
_NAME = f"agent-mongo-{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """On a private address beyond this machine, where no app may go by itself."""
    with (
        neighbour(tmp_path_factory.mktemp("beyond")) as (namespace, address),
        mongo_beside(address, namespace) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def node(real_parts: Path, docker_url: str, mongo: MongoServer) -> Iterator[RuntimeNode]:
    environment = {
        "RUNTIME_REQUIRE_FENCE": "false",
        "RUNTIME_MONGO_HOST": mongo.host,
        "RUNTIME_MONGO_PORT": str(mongo.port),
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
    return httpx.post(url, json=body, headers={"X-Runtime-Token": TOKEN}, trust_env=False, verify=False)


def logged_in(uri: str) -> MongoClient[dict[str, Any]]:
    """The driver with what an app was told."""
    return MongoClient(uri, serverSelectionTimeoutMS=2000)


def told(node: RuntimeNode, container: str) -> str:
    """The connection string of a container, which works."""
    uri = given(node, container)["MONGODB_URI"]
    with logged_in(uri) as client:
        assert client.get_default_database()["things"].find_one({"_id": "nothing"}) is None
    return uri


def reaches(node: RuntimeNode, container: str, host: str, port: int) -> bool:
    """Whether the app connects to the port of the machine that the database is on."""
    argv = ["docker", "-H", node.engine, "exec", container, "nc", "-w", "2", host, str(port)]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def test_an_app_keeps_its_account_while_it_lives_and_loses_it_when_it_is_deleted(
    node: RuntimeNode, workshop: Workshop, mongo: MongoServer
) -> None:
    first, second = workshop.page("5", "aaaaaaaaaaaa-1", "v1"), workshop.page("5", "bbbbbbbbbbbb-2", "v2")
    slow = workshop.page("5", "cccccccccccc-3", "v3", delay=30)
    assert (answer := node.deploy("5", first, 1)).status_code == 200, answer.text
    variables = given(node, "rt-u-7-5-r1")
    uri = told(node, "rt-u-7-5-r1")
    parts = urlsplit(uri)
    password = unquote(parts.password or "")
    where = (parts.username, parts.hostname, parts.port, parts.path)
    assert where == ("db_u7_a5", mongo.host, mongo.port, "/db_u7_a5")
    assert (variables["MONGO_URL"], variables["FUNAI_MONGO_DB_NAME"]) == (uri, "db_u7_a5")
    [(realm, account)] = [(realm, user) for (realm, name), user in mongo.users.items() if name == "db_u7_a5"]
    assert (account.databases, parts.query) == (frozenset({"db_u7_a5"}), f"authSource={realm}")
    stored = explore(node, "insert-one", {"collection": "things", "doc": '{"n": {"$numberLong": "9007199254740993"}}'})
    assert stored.status_code == 200, stored.text

    assert reaches(node, "rt-u-7-5-r1", mongo.host, mongo.port)
    assert not reaches(node, "rt-u-7-5-r1", mongo.host, 81)

    # It dies with a container that is not proven yet; those after it are given the same account.
    with ThreadPoolExecutor(1) as beside:
        doomed = beside.submit(node.deploy, "5", slow, 2)
        real.wait_until(lambda: "rt-u-7-5-r2" in node.containers("5"), "the second container")
        node.kill_agent()
        assert isinstance(doomed.exception(30), httpx.TransportError)
    node.start_agent()
    assert node.page("/runtime/5/").text == "v1\n"
    assert (answer := node.deploy("5", second, 3)).status_code == 200, answer.text
    assert told(node, "rt-u-7-5-r3") == uri
    assert (answer := node.deploy("5", first, 4)).status_code == 200, answer.text
    assert told(node, "rt-u-7-5-r4") == uri
    found = explore(node, "find", {"collection": "things"}).json()["data"]
    assert [each["n"] for each in found["items"]] == [9007199254740993]

    file = node.folder / "agent" / "databases" / "u7_a5.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert json.loads(file.read_text())["password"] == password
    seen = (node.folder / "agent.log").read_text() + (node.folder / "agent" / "apps" / "5.json").read_text()
    seen += "".join(path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline"))
    seen += docker(node.engine, "inspect", "-f", "{{json .Config.Labels}}{{json .Args}}", "rt-u-7-5-r4")
    assert password not in seen
    assert ADMIN_PASSWORD not in seen

    gone = node.post("/agent/apps/delete", {"userId": "7", "appId": "5"}).json()
    outcome = {"enabled": True, "dropped": True, "dbName": "db_u7_a5", "reason": None, "error": None}
    assert (gone["status"], gone["mongo"]) == ("DELETED", outcome)
    assert ("db_u7_a5" in mongo.databases, len(mongo.users), file.exists()) == (False, 1, False)
    with logged_in(uri) as client, pytest.raises(OperationFailure, match="Authentication failed"):
        client.get_default_database().command("ping", 1)


def test_an_app_that_prints_its_password_and_fails_tells_nobody(
    node: RuntimeNode, workshop: Workshop, mongo: MongoServer
) -> None:
    talks = 'FROM busybox:1.36\nCMD ["sh","-c","p=${MONGODB_URI#*a6:}; echo $MONGODB_URI refuses ${p%@*}; exit 3"]\n'
    answer = node.deploy("6", workshop.image("6", "dddddddddddd-1", talks), 1)
    assert answer.status_code == 500
    [password] = [user.password for (_, name), user in mongo.users.items() if name == "db_u7_a6"]
    assert "[secret] refuses [secret]" in answer.text
    assert password not in answer.text + (node.folder / "agent.log").read_text()
