"""A database for an app in a real container: reached through the fence by the app's own account, and nothing else."""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from protocol.client.signed import Signed
from protocol.workspace_runs import RunState, RunType
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_beside
from tests.support.outside import neighbour
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
_API = "/api/fun-ai/workspace"
_LATER = 2**53


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """On a private address beyond this machine, where no workspace may go by itself."""
    with (
        neighbour(tmp_path_factory.mktemp("beyond")) as (namespace, address),
        mongo_beside(address, namespace) as server,
    ):
        yield server


def _settings(mongo: MongoServer) -> dict[str, object]:
    return {
        "FUNAI_WORKSPACE_MONGO_ENABLED": True,
        "FUNAI_WORKSPACE_MONGO_HOST": mongo.host,
        "FUNAI_WORKSPACE_MONGO_PORT": mongo.port,
        "FUNAI_WORKSPACE_MONGO_USERNAME": ADMIN,
        "FUNAI_WORKSPACE_MONGO_PASSWORD": ADMIN_PASSWORD,
    }


@pytest.fixture
async def node(docker_url: str, tmp_path: Path, mongo: MongoServer) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path, last=True, **_settings(mongo)) as found:
        yield found


async def _user(node: Node, *app_ids: str) -> str:
    user_id = new_user()
    async with node.client(user_id) as client:
        await client.ensure()
    for app_id in app_ids:
        await asyncio.to_thread(_write, node.home(user_id) / "apps" / app_id)
    return user_id


def _write(app: Path) -> None:
    app.mkdir()
    (app / "index.html").write_text("a page")
    for each in (app, *app.iterdir()):
        os.chown(each, 1000, 1000)


def _app(*numbers: int) -> tuple[str, ...]:
    """Apps that no other test's server knows."""
    first = int(new_user()) * 10
    return tuple(str(first + number) for number in numbers)


async def _serve(node: Node, user_id: str, app_id: str) -> None:
    async with node.client(user_id) as client:
        await client.run(RunType.START, app_id)

        async def serves() -> bool:
            return (await client.run_status()).state is RunState.RUNNING

        await eventually(serves)


async def _told(node: Node, user_id: str) -> dict[str, str]:
    """The variables of whatever runs in the container with a database, as the kernel has them."""
    script = 'for each in /proc/[0-9]*/environ; do tr "\\0" "\\n" <$each; echo; done 2>/dev/null | grep MONGO'
    status, text = await _inside(node, user_id, script)
    assert status == 0, "nothing in the container was told of a database"
    return dict(line.split("=", 1) for line in text.splitlines())


async def _inside(node: Node, user_id: str, script: str) -> tuple[int, str]:
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{user_id}", "sh", "-c", script]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


async def _reaches(node: Node, user_id: str, host: str, port: int) -> bool:
    return (await _inside(node, user_id, f"nc -w 2 {host} {port} </dev/null"))[0] == 0


def _this_side(beyond: str) -> str:
    """This machine's address on the way to the one beyond it."""
    return str(IPv4Address(beyond) - 1)


@asynccontextmanager
async def _listening_on(address: str) -> AsyncIterator[int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), address, 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def _connects(host: str, port: int) -> bool:
    with socket.create_connection((host, port), 5):
        return True


async def _ask(node: Node, method: str, path: str, user_id: str, app_id: str, body: Any = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.url, auth=Signed(SECRET), timeout=60) as client:
        who = {"userId": user_id, "appId": app_id}
        return await client.request(method, f"{_API}/{path}", params=who, json=body)


async def _delete(node: Node, user_id: str, app_id: str) -> dict[str, Any]:
    answer = await _ask(node, "POST", "internal/maintenance/app-deleted", user_id, app_id)
    data: dict[str, Any] = answer.json()["data"]
    return data


async def _clean(node: Node, *app_ids: str, as_of_ms: int | None = _LATER, confirmed: bool = True) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.url, auth=Signed(SECRET), timeout=60) as client:
        order = {"existingAppIds": app_ids, "asOfMs": as_of_ms, "confirmed": confirmed}
        return await client.post(f"{_API}/internal/cleanup-orphaned", json=order)


async def test_a_run_reaches_its_own_database_and_nothing_beside_it(
    node: Node, mongo: MongoServer, caplog: pytest.LogCaptureFixture
) -> None:
    app, other = _app(1, 2)
    user, stranger = await _user(node, app), await _user(node, other)
    await _serve(node, user, app)
    await _serve(node, stranger, other)
    told, others = await _told(node, user), await _told(node, stranger)
    parts = urlsplit(told["MONGODB_URI"])
    assert (parts.hostname, parts.port, parts.username) == (mongo.host, mongo.port, f"ws_u{user}_a{app}")
    assert (parts.path, told["MONGO_DB_NAME"]) == (f"/db_{app}", f"db_{app}")
    assert unquote(parts.password or "") == told["MONGO_PASSWORD"] != others["MONGO_PASSWORD"]

    # The fence: that port of that machine, no other port of it, and neither the node nor the neighbour.
    assert await _reaches(node, user, mongo.host, mongo.port)
    assert not await _reaches(node, user, mongo.host, 81)
    async with _listening_on(_this_side(mongo.host)) as port:
        assert await asyncio.to_thread(_connects, _this_side(mongo.host), port)
        assert not await _reaches(node, user, _this_side(mongo.host), port)

    # The account, with the driver: its own database, no other's, nothing of the server.
    own: AsyncMongoClient[dict[str, Any]]
    async with AsyncMongoClient(told["MONGODB_URI"], serverSelectionTimeoutMS=5000) as own:
        database: AsyncDatabase[dict[str, Any]] = own[told["MONGO_DB_NAME"]]
        await database["things"].insert_one({"_id": "a", "n": 1})
        for foreign in (own[f"db_{other}"]["things"].find_one(), own["admin"].command("usersInfo", 1)):
            with pytest.raises(OperationFailure, match="not authorized"):
                await foreign
        with pytest.raises(OperationFailure, match="not authorized"):
            await own.drop_database(f"db_{app}")

    found = await _ask(node, "POST", "mongo/find", user, app, {"collection": "things"})
    assert found.json()["data"]["items"] == [{"_id": "a", "n": 1}]
    assert (await _ask(node, "GET", "mongo/collections", stranger, app)).status_code == 404
    assert (await _ask(node, "GET", "mongo/collections", stranger, other)).json()["data"]["collections"] == []

    # Nobody else hears of it.
    secret = told["MONGO_PASSWORD"]
    inspected = await asyncio.to_thread(
        subprocess.check_output, ["docker", "-H", node.docker_url, "inspect", f"ws-u-{user}"], text=True
    )
    processes = await asyncio.to_thread(
        lambda: b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    )
    files = await asyncio.to_thread(
        lambda: b"".join(path.read_bytes() for path in node.home(user).rglob("*") if path.is_file())
    )
    assert secret not in inspected and secret.encode() not in processes + files and secret not in caplog.text
    assert ADMIN_PASSWORD not in inspected + json.dumps(told)
    kept = node.settings.state_root / "databases" / f"u{user}_a{app}.json"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_without_a_server_the_fence_stays_closed(docker_url: str, tmp_path: Path, mongo: MongoServer) -> None:
    (app,) = _app(1)
    async with workspace_node.node(docker_url, tmp_path) as node:
        user = await _user(node, app)
        await _serve(node, user, app)
        assert await asyncio.to_thread(_connects, mongo.host, mongo.port)
        assert not await _reaches(node, user, mongo.host, mongo.port)
        assert (await _inside(node, user, "cat /proc/[0-9]*/environ 2>/dev/null | grep -c MONGO"))[1] == "0\n"
        answer = await _ask(node, "GET", "mongo/collections", user, app)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert (await _delete(node, user, app))["complete"]


async def test_the_account_outlives_the_node_and_a_terminal_knows_it(
    docker_url: str, tmp_path: Path, mongo: MongoServer
) -> None:
    (app,) = _app(1)
    async with workspace_node.node(docker_url, tmp_path, last=False, **_settings(mongo)) as node:
        user = await _user(node, app)
        await _serve(node, user, app)
        before = (await _told(node, user))["MONGODB_URI"]
        async with node.client(user) as client:
            await client.stop_run()
    async with workspace_node.node(docker_url, tmp_path, last=True, **_settings(mongo)) as node:
        await _serve(node, user, app)
        assert (await _told(node, user))["MONGODB_URI"] == before
        async with node.client(user) as client:
            await client.stop_run()
        async with node.socket(f"{_API}/terminal?userId={user}&appId={app}") as line:
            await line.send_bytes(b"echo told:$MONGO_DB_NAME:\n")
            seen = b""
            async with asyncio.timeout(30):
                while f"told:db_{app}:".encode() not in seen:
                    data = (await line.receive()).data
                    seen += data if isinstance(data, bytes) else b""


async def test_a_deleted_app_takes_its_database_along_and_the_others_stay(node: Node, mongo: MongoServer) -> None:
    app, other = _app(1, 2)
    user = await _user(node, app, other)
    for each in (app, other):
        await _serve(node, user, each)
        new = {"collection": "things", "doc": '{"n": 1}'}
        assert (await _ask(node, "POST", "mongo/insert-one", user, each, new)).status_code == 200
    mongo.broken["dropDatabase"] = (13, "not now")
    try:
        gone = await _delete(node, user, app)
        assert (gone["complete"], gone["removedDatabases"]) == (False, 0)
        assert any("not now" in problem for problem in gone["problems"])
    finally:
        mongo.broken.clear()

    async def complete() -> bool:
        return bool((await _delete(node, user, app))["complete"])

    await eventually(complete)
    assert f"db_{app}" not in mongo.databases and f"db_{other}" in mongo.databases
    assert {name for _, name in mongo.users if name.startswith(f"ws_u{user}_")} == {f"ws_u{user}_a{other}"}
    assert (await _ask(node, "GET", "mongo/collections", user, app)).status_code == 404
    assert (await _ask(node, "GET", "mongo/collections", user, other)).json()["data"]["collections"] == ["things"]


async def test_databases_of_unknown_apps_go_with_their_folder_or_without_one(node: Node, mongo: MongoServer) -> None:
    kept, orphan, bare, used = _app(1, 2, 3, 4)
    user = await _user(node, kept, orphan, bare, used)
    for each in (kept, orphan, bare, used):
        await _serve(node, user, each)
        new = {"collection": "things", "doc": '{"n": 1}'}
        assert (await _ask(node, "POST", "mongo/insert-one", user, each, new)).status_code == 200
    await asyncio.to_thread(lambda: (node.home(user) / "apps" / bare / "index.html").unlink())
    await asyncio.to_thread((node.home(user) / "apps" / bare).rmdir)
    young = (await _clean(node, kept, as_of_ms=None)).json()["data"]
    assert (young["cleanedAppDirs"], young["cleanedDatabases"], young["problems"]) == (0, 0, [])
    cleaned = (await _clean(node, kept)).json()["data"]
    assert (cleaned["cleanedAppDirs"], cleaned["cleanedDatabases"]) == (1, 2), cleaned
    assert [one["appId"] for one in cleaned["kept"]] == [used]
    mine = {name for name in mongo.databases if name in {f"db_{each}" for each in (kept, orphan, bare, used)}}
    assert mine == {f"db_{kept}", f"db_{used}"}


async def test_a_list_that_leaves_out_most_databases_is_not_believed(node: Node, mongo: MongoServer) -> None:
    databases = node.services.databases
    assert databases is not None
    apps = _app(*range(30))
    users = new_user(), new_user()
    for number, app in enumerate(apps):
        assert await databases.variables(users[number % 2], app)
    refused = await _clean(node, "5", confirmed=False)
    assert (refused.status_code, refused.json()["reason"]) == (409, "too_many_orphans")
    assert len([name for _, name in mongo.users if name.startswith(tuple(f"ws_u{user}_" for user in users))]) == 30
    some = (await _clean(node, *apps[:-2], confirmed=False)).json()["data"]
    assert (some["cleanedDatabases"], some["problems"]) == (2, [])
    assert len([name for _, name in mongo.users if name.startswith(tuple(f"ws_u{user}_" for user in users))]) == 28
