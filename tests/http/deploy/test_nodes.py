"""Runtime nodes, placement, moving apps, and apps as a whole."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from protocol.apps import AppCommand, ConfirmFence
from protocol.audit import AuditQuery
from protocol.client.transport import Refused
from protocol.jobs import ClaimedJob, JobStatus, ReportJob
from protocol.nodes import DiskCollection, DiskLevel, DrainNode, NodeHealth, NodeVitals, ReassignApp, UpsertNode
from tests.http.deploy.plane import Plane, serving


async def finished(plane: Plane, app_id: str, status: JobStatus = JobStatus.SUCCEEDED) -> ClaimedJob:
    await plane.create(app_id)
    job = await plane.claim()
    assert job is not None
    await plane.runners.report(job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=status))
    return job


async def homes(plane: Plane) -> dict[str, int]:
    return {placement.app_id: placement.node_id for placement in (await plane.admin.snapshot()).placements}


async def test_a_heartbeat_registers_and_refreshes() -> None:
    async with serving() as plane:
        raw = await plane.beat(diskFreePct=60.0, diskFreeBytes=10**12, containerCount=3)
        assert raw.id.value == 1 and raw.weight == 100 and raw.enabled
        await plane.beat(diskFreePct=50.5)
        (node,) = await plane.admin.nodes()
        assert (node.node_id, node.disk_free_pct, node.disk_free_bytes, node.container_count) == (1, 50.5, None, None)
        assert node.health is NodeHealth.HEALTHY


async def test_what_an_agent_says_of_its_disk_holds_and_is_told() -> None:
    async with serving() as plane:
        await plane.beat(diskLevel=DiskLevel.OK)
        await finished(plane, "old")
        for level, health, new, redeploy in [
            (DiskLevel.NO_NEW_APPS, NodeHealth.DRAINING, False, True),
            (DiskLevel.NO_PULLS, NodeHealth.DRAINING, False, True),
            (DiskLevel.STOPS_ONLY, NodeHealth.UNHEALTHY, False, False),
            (DiskLevel.OK, NodeHealth.HEALTHY, True, True),
        ]:
            await plane.beat(diskLevel=level, diskWords=f"said {level}", vitals=NodeVitals(containers_total=3))
            (node,) = await plane.admin.nodes()
            assert (node.disk_level, node.health) == (level, health)
            assert node.vitals is not None and node.vitals.containers_total == 3
            for app_id, goes in ((f"new-{level.replace('_', '-')}", new), ("old", redeploy)):
                order = await plane.create(app_id)
                job = await plane.claim()
                assert (job is not None) is goes, (level, app_id)
                if job is None:
                    waiting = (await plane.api.get(order.id)).waiting_for
                    assert waiting is not None and f"said {level}" in waiting.message
                    await plane.api.cancel(order.id)
                    if app_id == "old":
                        # What was built may go back there: most often its image is there already.
                        await plane.create("old", image="funai/u1-appold:aaaaaaa-1")
                        back = await plane.claim()
                        assert back is not None and back.app_id == "old"
                        done = ReportJob(runner_id="r1", lease_token=back.lease_token, status=JobStatus.SUCCEEDED)
                        await plane.runners.report(back.id, done)
                else:
                    done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
                    await plane.runners.report(job.id, done)
        collection = DiskCollection(number=1, at=datetime(2026, 1, 2, tzinfo=UTC), freed_bytes=5, images=2)
        for _ in range(2):
            await plane.beat(diskLevel=DiskLevel.OK, vitals=NodeVitals(collection=collection))
        told = [entry.change for entry in (await plane.admin.audit(AuditQuery(kind="node"))).items]
        assert sorted(told) == ["collected", *["disk_level"] * 4, "registered"]


async def test_an_operator_edits_a_node_and_its_heartbeat_is_not_made_up() -> None:
    async with serving() as plane:
        order = UpsertNode(name="n1", agent_base_url="http://a", gateway_base_url="http://g", weight=5)
        await plane.admin.upsert_node(order)
        again = await plane.admin.upsert_node(
            UpsertNode(name="n1", agent_base_url="http://b", gateway_base_url="http://g", enabled=True)
        )
        assert (again.agent_base_url, again.weight, again.last_heartbeat_at) == ("http://b", 5, None)
        assert again.health is NodeHealth.STALE
        for value, word in (("0", "disabled"), ("1", "enabled"), ("false", "disabled")):
            answer = await plane.call("POST", f"/admin/runtime-nodes/set-enabled?name=n1&enabled={value}", role="admin")
            assert answer.json()["data"] == word
        unknown = await plane.call("POST", "/admin/runtime-nodes/set-enabled?name=true&enabled=true", role="admin")
        assert unknown.status_code == 404
        bad = await plane.call("POST", "/admin/runtime-nodes/set-enabled?name=n1&enabled=maybe", role="admin")
        assert bad.status_code == 400 and bad.json()["data"]["fields"] == ["enabled"]


async def test_a_node_registers_and_moves_only_to_where_agents_may_be() -> None:
    """One token is sent to all agents: it must not go to whatever address a node names."""
    async with serving(DEPLOY_AGENT_ADDRESSES="127.0.0.0/8", DEPLOY_AGENT_NAMES="*.nodes.example.com") as plane:
        await plane.beat("n1", agentBaseUrl="http://127.0.0.1:7005")
        await plane.beat("n2", agentBaseUrl="http://n2.nodes.example.com:7005")
        for name, url in (("n1", "http://203.0.113.7:7005"), ("n3", "http://10.0.0.1:7005")):
            with pytest.raises(Refused) as caught:
                await plane.beat(name, agentBaseUrl=url)
            assert (caught.value.status, caught.value.reason) == (403, "address_refused")
            with pytest.raises(Refused) as caught:
                order = UpsertNode(name=name, agent_base_url=url, gateway_base_url="http://g")
                await plane.admin.upsert_node(order)
            assert caught.value.status == 403
        known = {node.name: node.agent_base_url for node in await plane.admin.nodes()}
        assert known == {"n1": "http://127.0.0.1:7005", "n2": "http://n2.nodes.example.com:7005"}


async def test_a_burst_spreads_over_equal_nodes() -> None:
    async with serving() as plane:
        for name in ("n1", "n2", "n3"):
            await plane.beat(name, diskFreePct=60.0, diskFreeBytes=600 * 10**9, diskTotalBytes=10**12)
        for number in range(9):
            await plane.create(f"app{number}")
            assert await plane.claim() is not None
        assert Counter((await homes(plane)).values()) == {1: 3, 2: 3, 3: 3}


async def test_every_placement_says_why_to_operators_and_in_the_log() -> None:
    async with serving() as plane:
        for name, free in (("n1", 60.0), ("n2", 50.0), ("full", 5.0)):
            await plane.beat(name, diskFreePct=free)
        await finished(plane, "a1")
        (placed,) = (await plane.admin.snapshot()).placements
        assert [each.reason for each in placed.reasons] == ["most_room", "node_full"]
        assert placed.reasons[1].message == "full: 5.0 % disk free, below 25 %"
        await plane.admin.reassign(ReassignApp(app_id="a1", target_node_id=2))
        (moved,) = (await plane.admin.placements(2)).items
        assert [(each.reason, each.message) for each in moved.reasons] == [("reassigned", "admin moved it to n2")]
        await plane.admin.drain(DrainNode(source_node_id=2, target_node_id=1))
        (back,) = (await plane.admin.placements(1)).items
        assert back.reasons[0].message == "admin moved it to n1 with other apps of n2"
        told = [event.after for event in (await plane.admin.audit(AuditQuery(kind="placement"))).items]
        assert [each["reasons"][0]["reason"] for each in told if each] == ["reassigned", "reassigned", "most_room"]


async def test_labels_and_inodes_of_nodes() -> None:
    async with serving() as plane:
        await plane.beat("n1", diskFreePct=60.0, inodesTotal=1000, inodesFree=900, inodesFreePct=90.0)
        order = UpsertNode(name="n1", agent_base_url="http://n1", gateway_base_url="http://n1", labels=("ssd", "gpu"))
        assert (await plane.admin.upsert_node(order)).labels == ("gpu", "ssd")
        await plane.beat("n1", diskFreePct=60.0)
        (node,) = await plane.admin.nodes()
        assert (node.labels, node.inodes_total, node.inodes_free) == (("gpu", "ssd"), None, None)
        await plane.beat("n1", diskFreePct=60.0, labels=("arm64",), inodesTotal=1000, inodesFree=900)
        (node,) = await plane.admin.nodes()
        assert (node.labels, node.inodes_total, node.inodes_free) == (("arm64",), 1000, 900)
        assert [each.reason for each in node.explanations] == ["in_service"] and node.reasons == ()
        await finished(plane, "a1")
        assert await homes(plane) == {"a1": 1}, "labels keep no app away"


async def test_an_app_stays_where_it_is() -> None:
    async with serving() as plane:
        await plane.beat("n1", diskFreePct=50.0)
        await finished(plane, "a1")
        await plane.beat("n2", diskFreePct=90.0)
        again = await finished(plane, "a1")
        assert again.runtime_node is not None and again.runtime_node.name == "n1"


async def test_placements_are_paged_by_app_id() -> None:
    async with serving() as plane:
        await plane.beat()
        for name in ("b", "a", "c"):
            await finished(plane, name)
        page = await plane.admin.placements(1, offset=1, limit=1)
        assert (page.total, [item.app_id for item in page.items]) == (3, ["b"])
        with pytest.raises(Refused) as caught:
            await plane.admin.placements(9)
        assert caught.value.status == 404


async def test_drain_moves_what_is_not_running_and_tells_of_each_move() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        for name in ("a", "b", "c"):
            await finished(plane, name)
        await plane.create("b")
        running = await plane.claim()
        assert running is not None
        await plane.beat("n2")
        result = await plane.admin.drain(DrainNode(source_node_id=1, target_node_id=2))
        assert result.moved == 2
        assert await homes(plane) == {"a": 2, "b": 1, "c": 2}
        moves = []
        async for event in plane.admin.follow(0):
            if event.kind == "placement" and event.actor == "admin":
                moves.append(event.app_id)
            if len(moves) == 2:
                break
        assert moves == ["a", "c"]


async def test_a_target_that_cannot_take_apps_is_refused_and_nothing_moves() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await finished(plane, "a")
        await plane.beat("full", diskFreePct=20.0)
        await plane.beat("off")
        await plane.admin.set_enabled("off", enabled=False)
        silent = await plane.admin.upsert_node(
            UpsertNode(name="silent", agent_base_url="http://a", gateway_base_url="http://g")
        )
        ids = {node.name: node.node_id for node in await plane.admin.nodes()}
        cases = [
            (ids["full"], 409, "node_full"),
            (ids["off"], 409, "node_disabled"),
            (silent.node_id, 409, "node_stale"),
            (99, 404, "not_found"),
        ]
        for target, status, reason in cases:
            with pytest.raises(Refused) as drained:
                await plane.admin.drain(DrainNode(source_node_id=1, target_node_id=target))
            with pytest.raises(Refused) as moved:
                await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=target))
            for caught in (drained, moved):
                assert (caught.value.status, caught.value.reason) == (status, reason)
        with pytest.raises(Refused) as same:
            await plane.admin.drain(DrainNode(source_node_id=1, target_node_id=1))
        assert (same.value.status, same.value.reason) == (400, "invalid_request")
        assert await homes(plane) == {"a": 1}


async def test_an_app_is_moved_by_hand_unless_a_job_of_it_runs() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await finished(plane, "a")
        await plane.beat("n2")
        assert await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=2)) == "ok"
        assert await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=2)) == "ok"
        assert await homes(plane) == {"a": 2}
        await plane.create("a")
        assert await plane.claim() is not None
        with pytest.raises(Refused) as caught:
            await plane.admin.reassign(ReassignApp(app_id="a", target_node_id=1))
        assert (caught.value.status, caught.value.reason) == (409, "app_busy")


async def test_only_the_running_attempt_may_go_live_and_then_it_cannot_be_cancelled() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        assert job.fence is not None
        for fence in (job.fence + 1, job.fence + 7):
            assert not (await plane.nodes.confirm_fence(ConfirmFence(app_id="20001", fence=fence))).holds
        assert not (await plane.nodes.confirm_fence(ConfirmFence(app_id="other", fence=job.fence))).holds
        for _ in range(2):
            assert (await plane.nodes.confirm_fence(ConfirmFence(app_id="20001", fence=job.fence))).holds
        with pytest.raises(Refused) as caught:
            await plane.api.cancel(job.id)
        assert (caught.value.status, caught.value.reason) == (409, "too_late")
        report = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        assert (await plane.runners.report(job.id, report)).status is JobStatus.SUCCEEDED
        assert not (await plane.nodes.confirm_fence(ConfirmFence(app_id="20001", fence=job.fence))).holds


async def test_a_cancelled_attempt_may_not_go_live() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await plane.api.cancel(job.id)
        assert not (await plane.nodes.confirm_fence(ConfirmFence(app_id="20001", fence=job.fence or 0))).holds


async def test_stop_reaches_the_agent_with_a_fence_above_every_attempt_also_on_a_disabled_node() -> None:
    async with serving() as plane:
        await plane.beat()
        job = await finished(plane, "a")
        await plane.admin.set_enabled("n1", enabled=False)
        stopped = await plane.api.stop_app(AppCommand(user_id="1", app_id="a"))
        assert stopped.runtime == {"appId": "a", "status": "STOPPED"} and stopped.node_id == 1
        assert plane.agent.calls == [("stop", "http://n1:7005", "1", "a", (job.fence or 0) + 1)]
        run = (await plane.admin.snapshot()).apps[0]
        assert (run.last_job_status, run.last_job_id) == ("STOPPED", None) and run.last_deployed_at is not None


async def test_an_app_whose_deployment_failed_after_a_move_is_stopped_where_it_still_runs() -> None:
    async with serving() as plane:
        await plane.beat("n1")
        await finished(plane, "20001")
        await plane.beat("n2")
        await plane.admin.reassign(ReassignApp(app_id="20001", target_node_id=2))
        await finished(plane, "20001", JobStatus.FAILED)
        stopped = await plane.api.stop_app(AppCommand(user_id="1", app_id="20001"))
        assert stopped.node_id == 1
        await finished(plane, "20001")
        assert (await plane.api.stop_app(AppCommand(user_id="1", app_id="20001"))).node_id == 2


async def test_a_stop_that_the_agent_did_not_do_is_pending_in_its_own_words_and_an_unplaced_app_404() -> None:
    async with serving() as plane:
        await plane.beat()
        await finished(plane, "a")
        plane.agent.problem = "the engine is on fire"
        stopped = await plane.api.stop_app(AppCommand(user_id="1", app_id="a"))
        assert stopped.pending and stopped.node_id == 1 and stopped.runtime["success"] is False
        assert stopped.runtime["error"] == "stopping: node n1: the engine is on fire; it will be tried again"
        assert [(each.state.value, each.reason, each.attempts) for each in stopped.operations] == [
            ("PENDING", "peer_failed", 1)
        ]
        run = (await plane.admin.snapshot()).apps[0]
        assert (run.last_job_status, run.last_error) == ("STOPPING", stopped.runtime["error"])
        with pytest.raises(Refused) as unknown:
            await plane.api.stop_app(AppCommand(user_id="1", app_id="never"))
        assert unknown.value.status == 404


async def test_purge_forgets_an_app_that_has_no_active_job() -> None:
    async with serving() as plane:
        await plane.beat()
        await finished(plane, "a")
        pending = await plane.create("a")
        command = AppCommand(user_id="1", app_id="a")
        with pytest.raises(Refused) as caught:
            await plane.api.purge_app(command)
        assert (caught.value.status, caught.value.reason) == (409, "app_busy")
        await plane.api.cancel(pending.id)
        purged = await plane.api.purge_app(command)
        assert (purged.deleted_jobs, purged.deleted_app_runs, purged.deleted_placements) == (2, 1, 1)
        assert await plane.api.of_app("a") == () and await homes(plane) == {}
        again = await finished(plane, "a")
        assert again.fence == 3, "fences outlive the app; the stop before it was forgotten drew one"


async def test_cleanup_answers_for_each_step() -> None:
    async with serving() as plane:
        await plane.beat()
        await finished(plane, "a")
        running = await plane.create("a")
        assert await plane.claim() is not None
        cleaned = await plane.api.cleanup_app(AppCommand(user_id="1", app_id="a"))
        assert cleaned.cancelled_jobs == (running.id,)
        assert cleaned.image_tags == ("funaistudio/u1-appa:latest",)
        assert cleaned.registry == {"enabled": False}
        assert cleaned.runtime["success"] is True and cleaned.purge["deletedPlacements"] == 1
        assert await plane.api.of_app("a") == ()
        nothing = await plane.api.cleanup_app(AppCommand(user_id="1", app_id="a"))
        assert nothing.runtime["skipped"] is True


async def test_cleanup_keeps_the_record_of_an_app_that_may_still_run() -> None:
    async with serving() as plane:
        await plane.beat()
        await finished(plane, "a")
        plane.agent.problem = "no route to host"
        cleaned = await plane.api.cleanup_app(AppCommand(user_id="1", app_id="a"))
        words = "deleting: node n1: no route to host; it will be tried again"
        assert cleaned.runtime == {"success": False, "pending": True, "error": words}
        assert cleaned.purge == {"skipped": True, "reason": words} and cleaned.pending
        assert await homes(plane) == {"a": 1}


async def test_ids_of_app_commands_may_be_numbers_and_must_be_there() -> None:
    async with serving() as plane:
        for path in ("stop", "purge", "cleanup"):
            for body, field in (
                ({"appId": 1}, "userId"),
                ({"userId": 0, "appId": 1}, "userId"),
                ({"userId": 1}, "appId"),
            ):
                answer = await plane.call("POST", f"/deploy/apps/{path}", role="api", json=body)
                assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field])
        answer = await plane.call("POST", "/deploy/apps/purge", role="api", json={"userId": 1, "appId": 20001})
        assert answer.json()["data"] == {
            "appId": "20001",
            "userId": 1,
            "deletedJobs": 0,
            "deletedAppRuns": 0,
            "deletedPlacements": 0,
            "pending": False,
            "operations": [],
        }


async def test_figures_are_exposed_for_prometheus() -> None:
    async with serving() as plane:
        await plane.claimed()
        text = (await plane.http.get("/metrics")).text
        for line in (
            'funai_deploy_jobs{status="RUNNING"} 1.0',
            'funai_deploy_nodes{health="HEALTHY"} 1.0',
            'funai_deploy_runners{health="HEALTHY"} 1.0',
            'funai_http_requests_total{method="POST",route="/deploy/jobs/claim",status="200"} 1.0',
        ):
            assert line in text


async def test_health_is_enveloped_and_names_the_service() -> None:
    async with serving() as plane:
        assert (await plane.api.health()).service == "fun-ai-studio-deploy"
        assert (await plane.api.ready()).service == "fun-ai-studio-deploy"
