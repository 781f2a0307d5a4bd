"""A whole workspace node with real containers behind a real API: made by the first call, a terminal, events, an end."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from daemons.api.domain.workspaces import PlacementPolicy
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
TOKEN = "token-of-the-user-012345"
PREFIX = "/api/fun-ai/workspace"
NODES = "/api/fun-ai/admin/workspace-nodes"


@dataclass
class Person:
    """Somebody with an app, in front of the API."""

    url: str
    user_id: str
    app_id: str
    node: Node
    calls: httpx.AsyncClient


@pytest.fixture
async def person(docker_url: str, tmp_path: Path) -> AsyncIterator[Person]:
    user_id = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path) as node,
        served_api(tmp_path, SECRET, {int(user_id): TOKEN}) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(TOKEN), timeout=60, trust_env=False, verify=False) as calls,
    ):
        await hear(url, node.url)
        app_id = str((await calls.post("/api/fun-ai/app/create")).json()["data"]["id"])
        yield Person(url, user_id, app_id, node, calls)


async def test_the_first_call_makes_the_workspace_and_its_epoch(person: Person) -> None:
    before = (await person.calls.get(f"{PREFIX}/container/status")).json()["data"]
    assert before["containerStatus"] == "NOT_CREATED"
    made = (await person.calls.post(f"{PREFIX}/container/ensure?userId={person.user_id}")).json()["data"]
    assert (made["containerStatus"], made["epoch"]) == ("RUNNING", 1)
    after = (await person.calls.get(f"{PREFIX}/container/status")).json()["data"]
    assert after["containerStatus"] == "RUNNING"


async def test_an_editor_opens_with_a_container_and_starts_nothing(person: Person) -> None:
    async def opened() -> dict[str, Any]:
        answer = await person.calls.post(f"/api/fun-ai/app/open-editor?userId={person.user_id}&appId={person.app_id}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()["data"]
        return told

    first = await opened()
    assert (first["userId"], first["appId"], first["app"]["id"]) == (
        int(person.user_id),
        person.app_id,
        int(person.app_id),
    )
    assert (first["projectDir"], first["hasPackageJson"]) == (f"/workspace/apps/{person.app_id}", False)
    assert (first["runStatus"]["state"], "no package.json" in first["message"]) == ("IDLE", True)
    status = (await person.calls.get(f"{PREFIX}/container/status")).json()["data"]
    assert status["containerStatus"] == "RUNNING"

    body = {"appId": person.app_id, "path": "web/package.json", "content": "{}"}
    assert (await person.calls.post(f"{PREFIX}/files/content", json=body)).is_success
    other = str((await person.calls.post("/api/fun-ai/app/create")).json()["data"]["id"])
    await person.calls.post(f"{PREFIX}/files/ensure-dir?appId={other}")
    page = {"appId": other, "path": "index.html", "content": "<p>hi"}
    assert (await person.calls.post(f"{PREFIX}/files/content", json=page)).is_success
    assert (await person.calls.post(f"{PREFIX}/run/preview?appId={other}")).is_success

    async def serves() -> bool:
        return bool((await person.calls.get(f"{PREFIX}/run/status")).json()["data"]["previewUrl"])

    await eventually(serves, 60)
    second = await opened()
    assert (second["hasPackageJson"], second["runStatus"]["appId"]) == (True, other)
    assert second["runStatus"]["previewUrl"] is None
    assert f"app {other} runs" in second["message"]
    own = (await person.calls.post(f"/api/fun-ai/app/open-editor?appId={other}")).json()["data"]
    assert own["runStatus"]["previewUrl"].endswith(f"/preview/{other}/")


async def test_who_has_a_workspace_stays_and_who_has_none_moves(person: Person) -> None:
    await person.calls.post(f"{PREFIX}/container/ensure")
    await hear(person.url, person.node.url, "ws-2")
    order, operator = {"userId": person.user_id, "targetNodeId": 2}, {ADMIN_TOKEN: ADMIN}
    refused = await person.calls.post(f"{NODES}/reassign", json=order, headers=operator)
    assert refused.status_code == 409
    assert "has a workspace on ws-1" in refused.json()["message"]


async def test_who_has_nothing_moves(person: Person) -> None:
    await hear(person.url, person.node.url, "ws-2")
    operator = {ADMIN_TOKEN: ADMIN}
    for target, epoch in ((1, 1), (2, 2)):
        order = {"userId": person.user_id, "targetNodeId": target}
        moved = (await person.calls.post(f"{NODES}/reassign", json=order, headers=operator)).json()["data"]
        assert (moved["nodeId"], moved["epoch"]) == (target, epoch)
    drained = await person.calls.post(f"{NODES}/drain", json={"sourceNodeId": 2, "targetNodeId": 1}, headers=operator)
    assert drained.json()["data"]["moved"] == 1


async def test_a_terminal_and_the_events_of_a_run(person: Person) -> None:
    await person.calls.post(f"{PREFIX}/files/ensure-dir?appId={person.app_id}")
    async with (
        person.calls.stream("GET", f"{PREFIX}/realtime/events?appId={person.app_id}") as events,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{person.url}{PREFIX}/terminal?appId={person.app_id}", headers=bearer(TOKEN)) as socket,
    ):
        assert events.headers["Content-Type"].startswith("text/event-stream")
        async with asyncio.timeout(60):
            first = await anext(aiter(events.aiter_raw()))
            assert b"event: status" in first
            ready = json.loads((await socket.receive()).data)
            assert ready["type"] == "ready"
            await socket.send_bytes(b"echo $((6 * 7))=$FUNAI_USER_ID\n")
            written = b""
            while f"42={person.user_id}".encode() not in written:
                message = await socket.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, message
                written += message.data
            await socket.send_str('{"type":"close"}')
            while (message := await socket.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                continue
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_a_terminal_of_an_existing_client_makes_its_workspace(person: Person) -> None:
    await person.calls.post(f"{PREFIX}/files/ensure-dir?appId={person.app_id}")
    path = f"{PREFIX}/ws/terminal?userId={person.user_id}&appId={person.app_id}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(person.url + path, headers=bearer(TOKEN)) as socket,
        asyncio.timeout(60),
    ):
        assert json.loads((await socket.receive()).data)["type"] == "ready"
        await socket.send_str('{"type":"stdin","data":"echo $((6 * 7))=$FUNAI_USER_ID\\n"}')
        assert json.loads((await socket.receive()).data) == {"type": "stdout", "data": f"42={person.user_id}\n"}
        await socket.send_str('{"type":"close"}')
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            continue
        assert message.type is aiohttp.WSMsgType.CLOSE
    stranger = f"{PREFIX}/ws/terminal?userId=1&appId={person.app_id}"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with aiohttp.ClientSession() as other, other.ws_connect(person.url + stranger, headers=bearer(TOKEN)):
            pass
    assert refusal.value.status in (403, 404)


async def test_a_node_carries_as_many_runs_as_it_may(docker_url: str, tmp_path: Path) -> None:
    users, policy = [new_user(), new_user()], PlacementPolicy(most_running=1)
    tokens = {int(user): f"{TOKEN}-{user}" for user in users}
    async with (
        workspace_node.node(docker_url, tmp_path) as node,
        served_api(tmp_path, SECRET, tokens, policy=policy) as url,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, verify=False) as calls,
    ):
        await hear(url, node.url)

        async def call(user: str, path: str, **more: Any) -> httpx.Response:
            return await calls.post(path, headers=bearer(tokens[int(user)]), **more)

        async def preview(user: str, kind: str = "preview") -> httpx.Response:
            app_id = apps[user]
            return await call(user, f"{PREFIX}/run/{kind}?appId={app_id}")

        apps = {user: str((await call(user, "/api/fun-ai/app/create")).json()["data"]["id"]) for user in users}
        for user, app_id in apps.items():
            assert (await call(user, f"{PREFIX}/files/ensure-dir?appId={app_id}")).is_success
            body = {"appId": app_id, "path": "index.html", "content": "<p>hi"}
            assert (await call(user, f"{PREFIX}/files/content", json=body)).is_success
        first, second = users
        assert (await preview(first)).is_success
        for kind in ("preview", "start", "build", "install"):
            refused = await preview(second, kind)
            assert (refused.status_code, refused.json()["reason"]) == (503, "node_full"), refused.text
            assert int(refused.headers["Retry-After"]) > 0
        assert (await preview(first)).is_success
        assert (await call(first, f"{PREFIX}/run/stop")).is_success
        assert (await preview(second)).is_success
