"""What is taken away of apps that were deleted, and of those that nobody knows: on a real node, with real programs."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from protocol.base import Envelope
from protocol.client.signed import Signed
from protocol.client.transport import Refused, Transport
from protocol.workspace_runs import RunState, RunType
from protocol.workspace_upkeep import ActivityView, AppCleared, BusyCount, CleanOrphans, OrphansCleaned
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import GATEWAY_TOKEN, SECRET, Node, new_user

pytestmark = pytest.mark.real
_INTERNAL = "/api/fun-ai/workspace/internal"
_LATER = 2**53


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


@pytest.fixture
async def user(node: Node) -> str:
    """One with the apps 5 and 6, each of which has a page."""
    user_id = new_user()
    async with node.client(user_id) as client:
        await client.ensure()
    for app_id in ("5", "6"):
        await asyncio.to_thread(_write, node, user_id, f"apps/{app_id}/index.html", f"page of {app_id}")
    return user_id


def _write(node: Node, user_id: str, path: str, text: str) -> Path:
    """As the user does."""
    file = node.home(user_id) / path
    missing = [folder for folder in file.parents if not folder.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    for each in (*missing, file):
        os.chown(each, 1000, 1000)
    return file


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@asynccontextmanager
async def _calls(node: Node) -> AsyncIterator[Transport]:
    async with Transport(node.url, {}, auth=Signed(SECRET)) as transport:
        yield transport


async def _delete(node: Node, user_id: str, app_id: str) -> AppCleared:
    async with _calls(node) as calls:
        query = {"userId": user_id, "appId": app_id}
        path = f"{_INTERNAL}/maintenance/app-deleted"
        return await calls.call("POST", path, AppCleared, query=query, seconds=60)


async def _clean(node: Node, *app_ids: str, as_of_ms: int | None = _LATER, confirmed: bool = False) -> OrphansCleaned:
    order = CleanOrphans(existing_app_ids=app_ids, as_of_ms=as_of_ms, confirmed=confirmed)
    async with _calls(node) as calls:
        return await calls.call("POST", f"{_INTERNAL}/cleanup-orphaned", OrphansCleaned, body=order, seconds=60)


async def _post(node: Node, path: str, body: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=node.url, auth=Signed(SECRET), timeout=60) as client:
        return await client.post(f"{_INTERNAL}/{path}", json=body)


async def _serve(node: Node, user_id: str, app_id: str) -> None:
    async with node.client(user_id) as client:
        await client.run(RunType.START, app_id)

        async def running() -> bool:
            return (await client.run_status()).state is RunState.RUNNING

        await eventually(running)


async def _type(socket: aiohttp.ClientWebSocketResponse, text: str, until: str) -> None:
    await socket.send_bytes(text.encode())
    seen = b""
    async with asyncio.timeout(60):
        while until.encode() not in seen:
            message = await socket.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
            seen += message.data if message.type is aiohttp.WSMsgType.BINARY else b""


def _terminal(user_id: str, app_id: str) -> str:
    return f"/api/fun-ai/workspace/terminal?userId={user_id}&appId={app_id}"


def _programs(node: Node, user_id: str) -> str:
    argv = ["docker", "-H", node.docker_url, "top", f"ws-u-{user_id}", "-o", "pid,args"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_a_deleted_app_ends_and_leaves_nothing_and_the_others_go_on(node: Node, user: str) -> None:
    await _serve(node, user, "5")
    home = node.home(user)
    for path in (
        ".npm-cache/5/blob",
        ".npm-cache/6/blob",
        ".venv/5/x",
        "run/run-build-5-11.log",
        "run/run-build-6-11.log",
    ):
        await asyncio.to_thread(_write, node, user, path, "x")
    async with node.socket(_terminal(user, "5")) as gone, node.socket(_terminal(user, "6")) as other:
        await _type(gone, "(trap '' HUP TERM; sleep 7351) & echo re''ady\n", "ready")
        await _type(other, "sleep 7352 & echo re''ady\n", "ready")
        cleared = await _delete(node, user, "5")
        assert (cleared.complete, cleared.removed_folders, cleared.quarantined) == (True, 1, ())
        assert cleared.removed_run_logs == 2
        async with asyncio.timeout(60):
            while (await gone.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                pass
        await _type(other, "echo still-$((40+2))\n", "still-42")
    told = await asyncio.to_thread(_programs, node, user)
    assert ("sleep 7351" in told, "sleep 7352" in told, "httpd" in told) == (False, True, False)
    assert (_names(home / "apps"), _names(home / ".npm-cache"), _names(home / ".venv")) == ({"6"}, {"6"}, set())
    assert _names(home / "run") == {"run-build-6-11.log"}
    async with node.client(user) as client:
        assert (await client.run_status()).state is RunState.IDLE
    assert (await _delete(node, user, "5")).removed_folders == 0


async def test_the_run_of_another_app_goes_on(node: Node, user: str) -> None:
    """The existing system stops the whole container."""
    await _serve(node, user, "6")
    async with node.client(user) as client:
        before = await client.run_status()
        await _delete(node, user, "5")
        after = await client.run_status()
    assert (after.state, after.pid, after.app_id) == (RunState.RUNNING, before.pid, "6")


async def test_what_cannot_be_removed_is_put_aside_told_and_tried_again(node: Node, user: str) -> None:
    stuck = node.home(user) / "apps" / "5" / "of-root"
    await asyncio.to_thread(stuck.mkdir)
    await asyncio.to_thread((stuck / "file").write_text, "x")
    cleared = await _delete(node, user, "5")
    assert (cleared.complete, len(cleared.quarantined), len(cleared.problems)) == (False, 1, 1)
    left = _names(node.home(user) / "apps")
    assert len(left) == 2 and "6" in left and any(name.startswith("5.deleted-") for name in left)
    aside = node.home(user) / cleared.quarantined[0].partition("/")[2]
    assert (aside / "of-root" / "file").exists()
    await asyncio.to_thread(shutil.rmtree, aside / "of-root")
    again = await _delete(node, user, "5")
    assert (again.complete, again.removed_folders, _names(node.home(user) / "apps")) == (True, 1, {"6"})


async def test_links_are_removed_and_never_followed(node: Node, user: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    os.chown(outside, 1000, 1000)
    home = node.home(user)

    def hostile() -> None:
        (home / "apps" / "5" / "out").symlink_to(outside)
        (home / "apps" / "7").symlink_to(outside)
        (home / ".npm-cache").symlink_to(outside)
        _write(node, user, "apps/8/x", "x")
        shutil.rmtree(home / "run")
        (home / "run").symlink_to(outside)

    (outside / "7").mkdir()
    (outside / "run-dev-7-1.log").write_text("x")
    await asyncio.to_thread(hostile)
    assert (await _delete(node, user, "5")).complete
    await _delete(node, user, "7")
    await _clean(node, "6", confirmed=True)
    assert _names(outside) == {"kept", "7", "run-dev-7-1.log"} and _names(home / "apps") == {"6"}


async def test_an_empty_or_short_list_removes_nothing(node: Node, user: str) -> None:
    with pytest.raises(Refused) as refusal:
        await _clean(node)
    assert (refusal.value.status, refusal.value.reason) == (400, "invalid_request")
    for body in ({}, {"existingAppIds": None}):
        assert (await _post(node, "cleanup-orphaned", body)).status_code == 400
    for number in range(1000, 1060):
        await asyncio.to_thread(_write, node, user, f"apps/{number}/x", "x")
    others = [new_user() for _ in range(2)]
    for other in others:
        async with node.client(other) as client:
            await client.ensure()
        for number in range(2000, 2020):
            await asyncio.to_thread(_write, node, other, f"apps/{number}/x", "x")
    with pytest.raises(Refused) as refusal:
        await _clean(node, "5")
    assert (refusal.value.status, refusal.value.reason) == (409, "too_many_orphans")
    assert len(_names(node.home(user) / "apps")) == 62
    # Ids are numbers or texts; what is there stays, what is not goes.
    kept = [5, "6", *range(2000, 2020)]
    response = await _post(node, "cleanup-orphaned", {"existingAppIds": kept, "asOfMs": _LATER})
    assert response.json()["data"]["cleanedAppDirs"] == 60
    assert _names(node.home(user) / "apps") == {"5", "6"} and len(_names(node.home(others[0]) / "apps")) == 20


async def test_orphans_that_are_used_young_or_no_apps_stay(node: Node, user: str) -> None:
    home = node.home(user)
    await asyncio.to_thread(_write, node, user, "apps/notes/x", "x")
    await asyncio.to_thread(_write, node, user, "apps/9.deleted-1767323045678/x", "x")
    await asyncio.to_thread(_write, node, user, "run/run-build-9-11.log", "x")
    young = await _clean(node, "77", as_of_ms=None)
    assert (young.cleaned_app_dirs, young.cleaned_run_logs) == (0, 1)
    assert _names(home / "apps") == {"5", "6", "notes", "9.deleted-1767323045678"}
    await _serve(node, user, "5")
    async with node.socket(_terminal(user, "6")) as socket:
        await _type(socket, "echo re''ady\n", "ready")
        used = await _clean(node, "77", as_of_ms=int(time.time() * 1000) + 60_000)
        assert {(one.user_id, one.app_id) for one in used.kept} == {(user, "5"), (user, "6")}
        assert (used.cleaned_app_dirs, used.cleaned_run_logs) == (1, 0) and _names(home / "apps") == {"5", "6", "notes"}
        await socket.send_str(json.dumps({"type": "close"}))
    async with node.client(user) as client:
        await client.stop_run()

    async def gone() -> bool:
        await _clean(node, "77", as_of_ms=_LATER)
        return _names(home / "apps") == {"notes"}

    await eventually(gone)


async def test_who_is_busy_and_idle_is_told_and_asking_is_no_use(node: Node, user: str) -> None:
    async with _calls(node) as calls:

        async def busy(user_id: str | None = None) -> tuple[int, bool]:
            query = {"userId": user_id} if user_id else {}
            found = await calls.call("GET", f"{_INTERNAL}/run/busy-count", BusyCount, query=query)
            return found.busy_count, found.user_busy

        assert await busy(user) == (0, False)
        await _serve(node, user, "5")
        assert (await busy(user), await busy("1"), await busy()) == ((1, True), (1, False), (1, False))
        by_app = await calls.call("GET", f"{_INTERNAL}/activity", ActivityView, query={"appId": "5"})
        by_user = await calls.call("GET", f"{_INTERNAL}/activity", ActivityView, query={"userId": user})
        assert (by_app.user_id, by_app.last_active_at_ms) == (user, by_user.last_active_at_ms)
        assert by_user.idle_ms is not None and (by_user.idle_stop_run_minutes, by_user.idle_stop_container_minutes) == (
            10,
            20,
        )
        assert await node.services.workspaces.freeze(user)
        assert await busy(user) == (0, False)
        unknown = await calls.call("GET", f"{_INTERNAL}/activity", ActivityView, query={"userId": "1"})
        assert (unknown.last_active_at_ms, unknown.idle_ms) == (None, None)
        with pytest.raises(Refused) as refusal:
            await calls.call("GET", f"{_INTERNAL}/activity", ActivityView, query={"appId": "4711"})
        assert refusal.value.status == 404


@pytest.mark.parametrize("path", ["run/busy-count", "activity", "holds"])
@pytest.mark.parametrize("headers", [{}, {"X-WS-Token": GATEWAY_TOKEN}])
async def test_internal_calls_want_the_apis_signature(node: Node, path: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=node.url, headers=headers) as client:
        answers = [await client.get(f"{_INTERNAL}/{path}?userId=1")]
        for order in ("maintenance/app-deleted?userId=1&appId=5", "cleanup-orphaned?userId=1"):
            answers.append(await client.post(f"{_INTERNAL}/{order}", json={"existingAppIds": [], "confirmed": True}))
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    told: Any = Envelope[Any].model_validate_json(answers[0].content)
    assert told.reason == "unauthorized"
