"""Deleting and changing apps over HTTP."""

import asyncio
from pathlib import Path

import pytest

from protocol.api import AppPart, AppState, CreateApp, UpdateApp
from protocol.client.api import bearer
from protocol.client.transport import Refused
from protocol.headers import ADMIN_TOKEN
from protocol.jobs import JobStatus
from tests.http.api.conftest import ADMIN, OWNER, Api, serving
from tests.support.database_time import let_pass
from tests.support.eventually import eventually
from tests.support.served_api import hear


async def test_a_deleted_app_is_gone_for_its_owner_and_everywhere_else(api: Api) -> None:
    app = await api.owner.create_app(CreateApp(app_name="shop"))
    job = await api.owner.deploy(str(app.id))
    with pytest.raises(Refused) as refused:
        await api.other.delete_app(str(app.id))
    assert refused.value.status == 404
    begun = await api.owner.delete_app(str(app.id))
    # The deployment was on its way a moment ago, so the control plane is asked once more.
    assert (begun.complete, begun.left, begun.app_name) == (False, (AppPart.DEPLOYMENTS,), "shop")
    assert "without another call" in begun.message
    assert [one.app_id for one in await api.admin.app_deletions()] == [app.id]
    assert await api.owner.apps() == ()
    for gone in (api.owner.app(str(app.id)), api.owner.deploy(str(app.id)), api.owner.job(job.id)):
        with pytest.raises(Refused) as refused:
            await gone
        assert refused.value.status == 404
    again = await api.owner.create_app(CreateApp(app_name="shop"))
    assert again.id == app.id + 1


async def test_an_app_that_was_never_deployed_is_gone_completely(api: Api) -> None:
    app = await api.owner.create_app(CreateApp(app_name="shop"))
    done = await api.owner.delete_app(str(app.id))
    assert (done.complete, done.left, done.problem, done.message) == (True, (), None, "shop was deleted")
    assert done.completed_at is not None and done.next_attempt_at is None
    assert await api.owner.delete_app(str(app.id)) == done
    assert await api.admin.app_deletions() == ()
    by_get = await api.raw.get("/api/fun-ai/app/delete", params={"appId": app.id, "userId": 1}, headers=bearer(OWNER))
    assert by_get.json()["data"]["complete"] is True
    with pytest.raises(Refused) as refused:
        await api.owner.delete_app("20999")
    assert refused.value.status == 404


async def test_what_a_node_has_yet_to_do_is_told_and_done(api: Api) -> None:
    app = await api.owner.create_app()
    job = await api.owner.deploy(str(app.id))
    api.plane.move(job.id, JobStatus.SUCCEEDED)
    api.plane.nodes_away = True
    begun = await api.owner.delete_app(str(app.id))
    assert begun.left == (AppPart.DEPLOYMENTS,) and "node n1 does not answer" in (begun.problem or "")
    api.plane.nodes_away = False
    let_pass(api.database, 60)

    async def over() -> bool:
        return (await api.owner.delete_app(str(app.id))).complete

    await eventually(over)
    assert app.id not in api.plane.running


async def test_the_answer_comes_while_a_silent_node_is_asked_still(tmp_path: Path) -> None:
    """The node takes the call and never answers; its line is open when the owner has the answer."""
    asked, open_lines = asyncio.Event(), set[asyncio.StreamWriter]()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        open_lines.add(writer)
        asked.set()
        await reader.read()
        open_lines.discard(writer)
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as node, serving(tmp_path, deletion_wait_ms=0) as api:
        port = node.sockets[0].getsockname()[1]
        await hear(api.url, f"http://127.0.0.1:{port}")
        order = {"userId": 1, "targetNodeId": 1}
        path = "/api/fun-ai/admin/workspace-nodes/reassign"
        (await api.raw.post(path, json=order, headers={ADMIN_TOKEN: ADMIN})).raise_for_status()
        app = await api.owner.create_app(CreateApp(app_name="shop"))
        begun = await api.owner.delete_app(str(app.id))
        assert not begun.complete and AppPart.WORKSPACE in begun.left
        assert "without another call: " in begun.message and await api.owner.apps() == ()
        await asked.wait()

        async def told() -> bool:
            (shown,) = await api.admin.app_deletions()
            return shown.left == (AppPart.WORKSPACE, AppPart.REPOSITORY) and "workspace: was asked" in str(
                shown.problem
            )

        await eventually(told)
        assert len(open_lines) == 1, "the node's call is open still"
        again = await api.admin.delete_for_owner(str(app.id))
        assert (again.attempts, again.complete) == (0, False)


async def test_twenty_apps_are_counted_without_those_that_are_gone(api: Api) -> None:
    apps = [await api.owner.create_app() for _ in range(20)]
    await api.owner.delete_app(str(apps[3].id))
    assert (await api.owner.create_app()).id == apps[-1].id + 1


async def test_an_app_gets_another_name(api: Api) -> None:
    app = await api.owner.create_app(CreateApp(app_name="shop", app_description="sells"))
    await api.owner.create_app(CreateApp(app_name="blog"))
    changed = await api.owner.update_app(UpdateApp(app_id=str(app.id), app_name="store"))
    assert (changed.app_name, changed.app_description) == ("store", "sells")
    assert (await api.owner.app(str(app.id))).app_name == "store"
    with pytest.raises(Refused, match="already have an app called blog") as refused:
        await api.owner.update_app(UpdateApp(app_id=str(app.id), app_name="blog"))
    assert refused.value.status == 409
    with pytest.raises(Refused) as refused:
        await api.other.update_app(UpdateApp(app_id=str(app.id), app_name="mine"))
    assert refused.value.status == 404
    with pytest.raises(Refused) as refused:
        await api.owner.update_app(UpdateApp(app_id=str(app.id), user_id="2", app_name="mine"))
    assert refused.value.status == 403
    await api.owner.deploy(str(app.id))
    with pytest.raises(Refused) as refused:
        await api.owner.update_app(UpdateApp(app_id=str(app.id), app_name="late"))
    assert (refused.value.status, refused.value.reason) == (409, "app_busy")
    assert (await api.owner.app(str(app.id))).app_status is AppState.DEPLOYING
