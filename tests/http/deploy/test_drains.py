"""Drains over HTTP: a plan is looked at, made, carried out by jobs, paused, undone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from protocol.client.transport import Refused
from protocol.drains import DrainDetail, DrainKind, DrainState, MoveState, PreviewDrain, StartDrain
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, CreateJob, JobPayload, JobStatus, JobType, OnConflict, ReportJob
from tests.http.deploy.plane import Plane, serving

DIGEST = "sha256:" + "a1" * 32
REGISTRY = "127.0.0.1:5000"


def image(app_id: str, registry: str = REGISTRY) -> str:
    return f"{registry}/funaistudio/u1-app{app_id}@{DIGEST}" if registry else f"funaistudio/u1-app{app_id}:0a1b2c3-1"


async def report(plane: Plane, job: ClaimedJob, status: JobStatus = JobStatus.SUCCEEDED, **more: object) -> None:
    order = {"runnerId": "r1", "leaseToken": job.lease_token, "status": status, **more}
    await plane.runners.report(job.id, ReportJob.model_validate(order))


async def deployed(plane: Plane, app_id: str, registry: str = REGISTRY) -> None:
    """An app that serves on whatever node has room."""
    await plane.create(app_id, repoSshUrl="ssh://git@127.0.0.1:2222/funai/app.git", containerPort=8080)
    job = await plane.claim()
    assert job is not None and job.app_id == app_id
    await report(plane, job, image=image(app_id, registry), imageDigest=DIGEST)


async def three_apps_on_one_node(plane: Plane) -> None:
    await plane.beat("n1")
    for app_id in ("11", "12", "13"):
        await deployed(plane, app_id)
    await plane.beat("n2")


async def until(plane: Plane, drain_id: int, true: Callable[[DrainDetail], bool]) -> DrainDetail:
    async with asyncio.timeout(60):
        while True:
            drain = await plane.admin.drain_plan(drain_id)
            if true(drain):
                return drain
            await asyncio.sleep(0.02)


def states(drain: DrainDetail) -> dict[str, str]:
    return {move.app_id: move.state.value for move in drain.moves}


async def claimed(plane: Plane) -> ClaimedJob:
    job = await plane.claim(wait_seconds=10)
    assert job is not None
    return job


async def stopped(plane: Plane, node: str, *app_ids: str) -> None:
    """Return when exactly these apps were stopped on the node, and none elsewhere."""
    wanted = {(f"http://{node}:7005", app_id) for app_id in app_ids}
    async with asyncio.timeout(60):
        while {(call[1], call[3]) for call in plane.agent.calls if call[0] == "stop"} != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def home(plane: Plane, app_id: str) -> int | None:
    placements = (await plane.admin.snapshot()).placements
    return next((each.node_id for each in placements if each.app_id == app_id), None)


async def test_a_drain_is_shown_then_carried_out_two_at_a_time_and_the_node_is_cordoned() -> None:
    async with serving() as plane:
        await three_apps_on_one_node(plane)
        preview = await plane.admin.preview_drain(PreviewDrain(node="n1"))
        assert preview.fits and preview.explanation == "3 of 3 apps fit: n2 gets 3"
        assert {(move.app_id, move.target, move.runs, move.image) for move in preview.moves} == {
            (app_id, "n2", True, image(app_id)) for app_id in ("11", "12", "13")
        }
        [room] = preview.targets
        assert (room.apps, room.disk_free_pct, room.disk_free_pct_after) == (3, 60.0, 57.0)
        assert not (await plane.admin.drains()).items, "a preview changes nothing"

        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        assert (drain.state, drain.counts) == (DrainState.RUNNING, {MoveState.PENDING: 3})
        assert [node.enabled for node in await plane.admin.nodes()] == [False, True]
        await until(plane, drain.id, lambda now: now.counts.get(MoveState.MOVING) == 2)
        first = await claimed(plane)
        assert (first.type, first.payload.image) == (JobType.MIGRATE_APP, image(first.app_id))
        assert first.runtime_node is not None and first.runtime_node.name == "n2"
        assert (first.payload.container_port, first.payload.source_node_id, first.payload.target_node_id) == (
            8080,
            1,
            2,
        )
        assert first.payload.drain_id == drain.id
        assert await home(plane, first.app_id) == 1, "nothing has moved until the job succeeded"
        await report(plane, first)
        assert await home(plane, first.app_id) == 2
        for _ in range(2):
            await report(plane, await claimed(plane))
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert (done.state, done.summary) == (DrainState.DONE, "DONE 3 of 3 moved")
        snapshot = await plane.admin.snapshot()
        assert {run.app_id: (run.node_id, run.last_job_status) for run in snapshot.apps} == {
            app_id: (2, "SUCCEEDED") for app_id in ("11", "12", "13")
        }
        await stopped(plane, "n1", "11", "12", "13")
        [release] = (await plane.admin.releases("11")).items
        assert release.number == 1, "a move is no release"


async def test_one_plan_a_node_and_what_does_not_fit_is_refused_up_front() -> None:
    async with serving() as plane:
        await three_apps_on_one_node(plane)
        await plane.beat("n2", diskFreePct=26.5)
        with pytest.raises(Refused) as refusal:
            await plane.admin.start_drain(StartDrain(node="n1"))
        assert (refusal.value.status, refusal.value.reason) == (409, "drain_does_not_fit")
        assert "1 of 3 apps have no place to go: n2: 24.5 % disk free, below 25 % with 2 more apps" in str(
            refusal.value
        )
        assert [node.enabled for node in await plane.admin.nodes()] == [True, True]
        drain = await plane.admin.start_drain(StartDrain(node="n1", partial=True))
        assert drain.counts == {MoveState.PENDING: 2, MoveState.SKIPPED: 1}
        with pytest.raises(Refused) as live:
            await plane.admin.start_drain(StartDrain(node="n1", partial=True))
        assert (live.value.status, live.value.reason) == (409, "drain_live")
        for _ in range(2):
            await report(plane, await claimed(plane))
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert done.summary == "DONE 2 of 3 moved, 1 skipped"


async def test_a_failed_move_is_tried_elsewhere_and_leaves_the_app_where_it_serves() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11")
        await plane.beat("n2")
        await plane.beat("n3", diskFreePct=50.0)
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        targets = []
        for _ in range(3):
            job = await claimed(plane)
            targets.append(job.payload.target_node_id)
            await report(
                plane, job, JobStatus.FAILED, errorMessage="it exited with code 7", reason=JobReason.DEPLOY_FAILED
            )
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert targets == [2, 3, 2], "the second try is for another node"
        assert done.state is DrainState.FAILED
        assert done.summary.startswith("FAILED 0 of 1 moved, 1 failed: 11: job ")
        assert "it exited with code 7" in done.summary
        assert await home(plane, "11") == 1
        [run] = (await plane.admin.snapshot()).apps
        assert (run.node_id, run.last_job_status) == (1, "SUCCEEDED"), "the app itself is as it was"


async def test_an_undone_drain_brings_back_what_was_moved_and_uncordons_the_node() -> None:
    async with serving() as plane:
        await three_apps_on_one_node(plane)
        drain = await plane.admin.start_drain(StartDrain(node="n1", max_parallel=1))
        first = await claimed(plane)
        await report(plane, first)
        second = await claimed(plane)
        undoing = await plane.admin.undo_drain(drain.id)
        assert undoing.state is DrainState.UNDOING
        assert [node.enabled for node in await plane.admin.nodes()] == [True, True]
        assert (await plane.admin.get(second.id)).status is JobStatus.CANCELLED
        back = await claimed(plane)
        assert (back.app_id, back.payload.source_node_id, back.payload.target_node_id) == (first.app_id, 2, 1)
        await report(plane, back)
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert (done.state, done.counts) == (DrainState.UNDONE, {MoveState.SKIPPED: 2, MoveState.UNDONE: 1})
        assert [await home(plane, app_id) for app_id in ("11", "12", "13")] == [1, 1, 1]
        fences = [call[4] for call in plane.agent.calls if call[:2] == ("stop", "http://n1:7005")]
        assert fences and max(fences) < (back.fence or 0), "what stops the old copy cannot stop the one that came back"


async def test_a_paused_drain_starts_nothing_and_a_cancelled_one_leaves_out_the_rest() -> None:
    async with serving() as plane:
        await three_apps_on_one_node(plane)
        drain = await plane.admin.start_drain(StartDrain(node="n1", max_parallel=1))
        first = await claimed(plane)
        assert (await plane.admin.pause_drain(drain.id)).state is DrainState.PAUSED
        await report(plane, first)
        moved = await until(plane, drain.id, lambda now: now.counts.get(MoveState.MOVED) == 1)
        assert (moved.state, moved.counts[MoveState.PENDING]) == (DrainState.PAUSED, 2)
        assert (await plane.admin.resume_drain(drain.id)).state is DrainState.RUNNING
        second = await claimed(plane)
        await plane.admin.cancel_drain(drain.id)
        await report(plane, second)
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert done.summary == "DONE 2 of 3 moved, 1 skipped"
        with pytest.raises(Refused) as over:
            await plane.admin.pause_drain(drain.id)
        assert (over.value.status, over.value.reason) == (409, "illegal_transition")
        assert [node.enabled for node in await plane.admin.nodes()] == [False, True]


async def test_a_users_deployment_takes_precedence_and_moves_the_app_itself() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11")
        await plane.beat("n2")
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        await until(plane, drain.id, lambda now: states(now) == {"11": "MOVING"})
        payload = JobPayload.model_validate({"userId": "1", "appId": "11", "repoSshUrl": "ssh://git@h/a/b.git"})
        mine = await plane.api.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
        job = await claimed(plane)
        assert (job.id, job.payload.source_node_id, job.payload.target_node_id) == (mine.id, 1, 2)
        assert job.runtime_node is not None and job.runtime_node.name == "n2"
        waiting = await until(plane, drain.id, lambda now: states(now) == {"11": "PENDING"})
        assert await home(plane, "11") == 1
        await report(plane, job, image=image("11"))
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert (waiting.counts, done.summary) == ({MoveState.PENDING: 1}, "DONE 1 of 1 moved")
        assert done.moves[0].message == "a deployment of the app took it there"
        [newest, _] = (await plane.admin.releases("11")).items
        assert (newest.number, newest.node_id, await home(plane, "11")) == (2, 2, 2)


async def test_a_users_deployment_waits_behind_a_move_that_has_begun_or_cancels_it() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11")
        await plane.beat("n2")
        await plane.admin.start_drain(StartDrain(node="n1"))
        move = await claimed(plane)
        payload = JobPayload.model_validate({"userId": "1", "appId": "11", "repoSshUrl": "ssh://git@h/a/b.git"})
        order = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload)
        with pytest.raises(Refused) as busy:
            await plane.api.create(order)
        assert busy.value.reason == "app_busy"
        await plane.api.create(order.model_copy(update={"on_conflict": OnConflict.SUPERSEDE}))
        await report(plane, move)
        mine = await claimed(plane)
        assert mine.runtime_node is not None and (mine.type, mine.runtime_node.name) == (JobType.BUILD_AND_DEPLOY, "n2")


async def test_an_app_of_which_nothing_runs_moves_without_a_job() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11")
        await plane.create("12")
        job = await plane.claim()
        assert job is not None
        await report(plane, job, JobStatus.FAILED, errorMessage="no", reason=JobReason.BUILD_FAILED)
        await plane.call("POST", "/deploy/apps/stop", role="api", json={"userId": 1, "appId": "11"})
        await plane.beat("n2")
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert done.summary == "DONE 2 of 2 moved"
        assert [move.job_id for move in done.moves] == [None, None]
        assert [await home(plane, app_id) for app_id in ("11", "12")] == [2, 2]


async def test_an_image_in_no_registry_goes_only_where_an_engine_has_it() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11", registry="")
        await plane.beat("n2")
        refused = await plane.admin.preview_drain(PreviewDrain(node="n1"))
        assert not refused.fits
        assert "was never pushed to a registry, and no other node's engine has it" in refused.explanation
        plane.agent.local = [image("11", "")]
        assert (await plane.admin.preview_drain(PreviewDrain(node="n1"))).fits
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        await report(plane, await claimed(plane))
        assert (await until(plane, drain.id, lambda now: not now.state.live)).state is DrainState.DONE


async def test_a_move_is_ordered_by_plans_alone() -> None:
    async with serving() as plane:
        body = {"type": "MIGRATE_APP", "payload": {"userId": 1, "appId": "11", "image": image("11")}}
        answer = await plane.call("POST", "/deploy/jobs", role="api", json=body)
        assert answer.status_code == 400 and "POST /admin/drains" in answer.json()["message"]


async def beating(plane: Plane, *names: str) -> None:
    while True:
        for name in names:
            await plane.beat(name)
        await asyncio.sleep(0.2)


FAILOVER: dict[str, Any] = {"DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": 1, "DEPLOY_FAILOVER_SECONDS": 1}


async def failover(plane: Plane) -> DrainDetail:
    async with asyncio.timeout(60):
        while not (page := await plane.admin.drains()).items:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return await plane.admin.drain_plan(page.items[0].id)


async def test_a_dead_nodes_apps_start_elsewhere_and_its_old_copy_is_stopped_later() -> None:
    async with serving(**FAILOVER) as plane, asyncio.TaskGroup() as group:
        await plane.beat("n1", intervalSeconds=0.1)
        await deployed(plane, "11")
        plane.agent.problem = "nobody answers there"
        others = group.create_task(beating(plane, "n2"))
        drain = await failover(plane)
        assert (drain.kind, drain.actor, drain.node) == (DrainKind.FAILOVER, "failover", "n1")
        job = await claimed(plane)
        assert (job.type, job.priority) == (JobType.MIGRATE_APP, 10)
        assert job.runtime_node is not None and job.runtime_node.name == "n2"
        await report(plane, job)
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert done.summary == "DONE 1 of 1 moved"
        assert [node.enabled for node in await plane.admin.nodes()] == [True, True], "a failover does not cordon"
        assert len((await plane.admin.drains()).items) == 1
        plane.agent.calls.clear()
        plane.agent.problem = None
        await plane.beat("n1", intervalSeconds=0.1)
        await stopped(plane, "n1", "11")
        others.cancel()


async def test_a_node_that_comes_back_keeps_what_was_not_begun() -> None:
    async with serving(**FAILOVER) as plane, asyncio.TaskGroup() as group:
        await three_apps_on_one_node(plane)
        others = group.create_task(beating(plane, "n2"))
        drain = await failover(plane)
        jobs = [await claimed(plane), await claimed(plane)]
        back = group.create_task(beating(plane, "n1"))
        await until(plane, drain.id, lambda now: now.counts.get(MoveState.SKIPPED) == 1)
        for job in jobs:
            await report(plane, job)
        done = await until(plane, drain.id, lambda now: not now.state.live)
        assert done.summary == "DONE 2 of 3 moved, 1 skipped"
        others.cancel()
        back.cancel()


async def test_a_placement_that_only_a_failed_build_used_ties_the_app_to_no_node() -> None:
    """The contract's defect 42: a placement outlived the build that failed, and a dead node kept the app for ever."""
    async with serving() as plane:
        await plane.beat("n1")
        await plane.create("11")
        job = await plane.claim()
        assert job is not None
        await report(plane, job, JobStatus.FAILED, errorMessage="no", reason=JobReason.BUILD_FAILED)
        assert await home(plane, "11") == 1
        await plane.beat("n2")
        await plane.admin.set_enabled("n1", enabled=False)
        await plane.create("11")
        again = await claimed(plane)
        assert again.runtime_node is not None and again.runtime_node.name == "n2"
        assert await home(plane, "11") == 2


async def test_an_app_whose_row_was_moved_by_the_old_call_is_followed_by_a_plan_and_stopped_where_it_ran() -> None:
    """The contract's defect 40: drain and reassign move only the row; the container stays on the source."""
    async with serving() as plane:
        await plane.beat("n1")
        await deployed(plane, "11")
        await plane.beat("n2")
        moved = {"sourceNodeId": 1, "targetNodeId": 2}
        answer = await plane.call("POST", "/admin/runtime-nodes/drain", role="admin", json=moved)
        assert answer.json()["data"]["moved"] == 1 and plane.agent.calls == []
        assert await home(plane, "11") == 2
        [run] = (await plane.admin.snapshot()).apps
        assert run.node_id == 1, "the record says where it runs, not where it is to be"
        drain = await plane.admin.start_drain(StartDrain(node="n1"))
        job = await claimed(plane)
        assert (job.payload.source_node_id, job.payload.target_node_id) == (1, 2)
        await report(plane, job)
        assert (await until(plane, drain.id, lambda now: not now.state.live)).summary == "DONE 1 of 1 moved"
        await stopped(plane, "n1", "11")
