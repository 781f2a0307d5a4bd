"""Apps that were deleted through the API leave nothing on their owner's real node, also when it was away meanwhile: a
list of all apps, as a nightly clean-up would send it, finds nothing to remove."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.client.api import bearer
from protocol.client.signed import Signed
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN
from protocol.workspace_upkeep import CleanOrphans, OrphansCleaned
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
TOKEN = "token-of-the-user-012345"
PREFIX = "/api/fun-ai/workspace"
NOWHERE = "http://127.0.0.1:9"


async def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def nightly(node: Node, app_ids: tuple[str, ...]) -> OrphansCleaned:
    """What the list removes; it is said to be of the far future, so that nothing stays for being young."""
    order = CleanOrphans(existing_app_ids=app_ids, as_of_ms=2**53, confirmed=True)
    async with Transport(node.url, {}, auth=Signed(SECRET)) as transport:
        path = f"{PREFIX}/internal/cleanup-orphaned"
        return await transport.call("POST", path, OrphansCleaned, body=order, seconds=60)


def removed(told: OrphansCleaned) -> Mapping[str, object]:
    return {"folders": told.cleaned_app_dirs, "logs": told.cleaned_run_logs, "kept": told.kept}


async def test_a_list_of_all_apps_finds_nothing_to_remove(docker_url: str, tmp_path: Path) -> None:
    user_id = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path) as node,
        served_api(tmp_path, SECRET, {int(user_id): TOKEN}) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(TOKEN), timeout=60, trust_env=False, verify=False) as calls,
    ):
        await hear(url, node.url)
        apps = [str((await data(await calls.post("/api/fun-ai/app/create")))["id"]) for _ in range(4)]
        for app_id in apps:
            await data(await calls.post(f"{PREFIX}/files/ensure-dir?appId={app_id}"))
            page = {"appId": app_id, "path": "index.html", "content": "<p>hi"}
            await data(await calls.post(f"{PREFIX}/files/content", json=page))
            await data(await calls.post(f"{PREFIX}/run/preview?appId={app_id}"))
        kept, *gone = apps

        # The last one runs still, and its node cannot be reached when the deletions are ordered.
        await hear(url, NOWHERE)
        begun = [await data(await calls.post(f"/api/fun-ai/app/delete?appId={app_id}")) for app_id in gone]
        assert all("workspace" in each["left"] for each in begun)
        assert {path.name for path in (node.home(user_id) / "apps").iterdir()} == set(apps)
        await hear(url, node.url)

        async def all_over() -> bool:
            left = await calls.get("/api/fun-ai/admin/app-deletions", headers={ADMIN_TOKEN: ADMIN})
            return not await data(left)

        await eventually(all_over)
        assert removed(await nightly(node, (kept,))) == {"folders": 0, "logs": 0, "kept": ()}
        assert {path.name for path in (node.home(user_id) / "apps").iterdir()} == {kept}

        stray = node.home(user_id) / "apps" / "99999999"
        await asyncio.to_thread(stray.mkdir)
        await asyncio.to_thread(os.chown, stray, 1000, 1000)
        assert removed(await nightly(node, (kept,)))["folders"] == 1, "the list does find what nobody deleted"
