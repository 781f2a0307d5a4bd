"""Every change is told with its author, where it came from, and what was there before; and nothing secret with it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import pytest

from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.webhooks import NewDelivery
from daemons.deploy.ports import Transaction
from protocol.apps import AppCommand, ConfirmFence
from protocol.audit import AuditEntry, AuditQuery
from protocol.drains import StartDrain
from protocol.jobs import JobStatus, RenewLease, ReportJob
from protocol.nodes import NodeHeartbeat
from protocol.releases import RollbackApp
from protocol.returns import ReturnJob
from tests.http.deploy.plane import NOWHERE, Plane, serving
from tests.http.deploy.test_access import routes
from tests.http.deploy.test_inventory import deployed_long_ago, listing
from tests.support.questions import CALLS

IMAGE: Final = "127.0.0.1:5000/funaistudio/u1-app20001:0123456789ab-1"
LOCAL: Final = "127.0.0.1"
#: Changes of things that were not there before.
NEW: Final = {"collect_asked", "created", "registered", "asked"}
Scenario = Callable[[Plane], Awaitable[None]]


async def deployed(plane: Plane) -> None:
    """An app that came up."""
    job = await plane.claimed()
    done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED, image=IMAGE)
    await plane.runners.report(job.id, done)


async def fails(plane: Plane) -> str:
    job = await plane.claimed()
    await plane.runners.report(job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.FAILED))
    return job.id


async def phase(plane: Plane) -> None:
    job = await plane.claimed()
    await plane.runners.renew(job.id, RenewLease(runner_id="r1", lease_token=job.lease_token, phase="BUILD"))


async def give_back(plane: Plane) -> None:
    job = await plane.claimed()
    await plane.runners.hand_back(job.id, ReturnJob(runner_id="r1", lease_token=job.lease_token))


async def confirm(plane: Plane) -> None:
    job = await plane.claimed()
    assert (
        await plane.nodes.confirm_fence(ConfirmFence(app_id=job.app_id, fence=job.fence or 0, node_name="n1"))
    ).holds


async def transition(plane: Plane) -> None:
    job = await plane.claimed()
    body = {"toStatus": "FAILED", "errorMessage": "by hand"}
    await plane.call("POST", f"/deploy/jobs/{job.id}/transition", role="admin", json=body)


async def cancel(plane: Plane) -> None:
    await plane.api.cancel((await plane.create()).id)


async def retry(plane: Plane) -> None:
    await plane.api.retry(await fails(plane))


async def claim(plane: Plane) -> None:
    await plane.claimed()


async def create(plane: Plane) -> None:
    await plane.create()


async def two_nodes(plane: Plane) -> tuple[int, int]:
    await deployed(plane)
    listed = {node.name: node.node_id for node in await plane.admin.nodes()}
    return listed["n1"], (await plane.beat("n2")).id.value


async def reassign(plane: Plane) -> None:
    _, target = await two_nodes(plane)
    body = {"appId": "20001", "targetNodeId": target}
    await plane.call("POST", "/admin/runtime-nodes/reassign", role="admin", json=body)


async def drain(plane: Plane) -> None:
    source, target = await two_nodes(plane)
    body = {"sourceNodeId": source, "targetNodeId": target}
    await plane.call("POST", "/admin/runtime-nodes/drain", role="admin", json=body)


async def upsert(plane: Plane) -> None:
    await plane.beat()
    body = {"name": "n1", "agentBaseUrl": "http://n1:7005", "gatewayBaseUrl": "http://n1", "weight": 7}
    await plane.call("POST", "/admin/runtime-nodes/upsert", role="admin", json=body)


async def disable(plane: Plane) -> None:
    await plane.beat()
    await plane.admin.set_enabled("n1", enabled=False)


async def collect(plane: Plane) -> None:
    await plane.beat()
    await plane.admin.collect("n1")


async def drain_runner(plane: Plane) -> None:
    await plane.claimed()
    await plane.admin.set_drained("r1", drained=True)


async def delete_node(plane: Plane) -> None:
    await plane.beat()
    await plane.admin.delete_node("n1", force=True)


async def move(plane: Plane) -> None:
    await plane.beat()
    url = {"agentBaseUrl": "http://elsewhere:7005", "gatewayBaseUrl": "http://elsewhere"}
    await plane.nodes.heartbeat(NodeHeartbeat.model_validate({"nodeName": "n1", **url}))


async def stop(plane: Plane) -> None:
    await deployed(plane)
    await plane.api.stop_app(AppCommand(user_id="1", app_id="20001"))


async def purge(plane: Plane) -> None:
    await deployed(plane)
    await plane.api.purge_app(AppCommand(user_id="1", app_id="20001"))


async def cleanup(plane: Plane) -> None:
    await deployed(plane)
    await plane.api.cleanup_app(AppCommand(user_id="1", app_id="20001"))


async def rollback(plane: Plane) -> None:
    await deployed(plane)
    plane.agent.local = [IMAGE]
    await plane.api.rollback("20001", RollbackApp(user_id="1", release=1))


async def pin(plane: Plane) -> None:
    await deployed(plane)
    await plane.api.pin_release("20001", 1, pinned=True)


async def unpin(plane: Plane) -> None:
    await pin(plane)
    await plane.api.pin_release("20001", 1, pinned=False)


async def asked_in_vain(plane: Plane) -> int:
    """An operation that waits: its agent does not do it."""
    await deployed(plane)
    plane.agent.problem = "the agent is away"
    await plane.call("POST", "/deploy/apps/stop", role="api", json={"userId": "1", "appId": "20001"})
    found = await plane.call("GET", "/deploy/operations", role="admin")
    return int(found.json()["data"]["items"][0]["id"])


async def hurry(plane: Plane) -> None:
    number = await asked_in_vain(plane)
    await plane.call("POST", f"/admin/operations/{number}/retry", role="admin")


async def abandon(plane: Plane) -> None:
    number = await asked_in_vain(plane)
    await plane.call("POST", f"/admin/operations/{number}/abandon", role="admin")


async def take_inventory(plane: Plane) -> None:
    await deployed_long_ago(plane, "20001")
    await plane.api.inventory(listing("20002", dry_run=False, confirm=1))


async def drained(plane: Plane) -> int:
    """A plan that waits: no runner comes for its jobs."""
    await two_nodes(plane)
    return (await plane.admin.start_drain(StartDrain(node="n1"))).id


async def start_drain(plane: Plane) -> None:
    await drained(plane)


async def pause_drain(plane: Plane) -> None:
    await plane.admin.pause_drain(await drained(plane))


async def resume_drain(plane: Plane) -> None:
    number = await drained(plane)
    await plane.admin.pause_drain(number)
    await plane.admin.resume_drain(number)


async def undo_drain(plane: Plane) -> None:
    await plane.admin.undo_drain(await drained(plane))


async def cancel_drain(plane: Plane) -> None:
    await plane.admin.cancel_drain(await drained(plane))


async def send_again(plane: Plane) -> None:
    async def work(tx: Transaction) -> None:
        await tx.insert_delivery(NewDelivery("j1:ended", "job.failed", "20001", "j1", "{}", 0))

    await plane.store.transact(work)
    number = (await plane.admin.webhooks()).items[0].id
    await plane.admin.retry_webhook(number)


async def change_database(plane: Plane) -> None:
    """Its node is nowhere, so nothing comes of it."""
    await deployed(plane)
    await plane.beat(agentBaseUrl=NOWHERE)
    for method, call, body in CALLS:
        await plane.call(method, f"/deploy/apps/20001/mongo/{call}", role="api", json=body)


#: Every route that changes something: what calls it, and the event that must be there: kind, change and actor.
TOLD: Final[Mapping[str, tuple[Scenario, str, str, str]]] = {
    "POST /deploy/jobs": (create, "job", "created", "api"),
    "POST /deploy/jobs/{job_id}/transition": (transition, "job", "failed", "admin"),
    "POST /deploy/jobs/{job_id}/cancel": (cancel, "job", "cancelled", "api"),
    "POST /deploy/jobs/{job_id}/retry": (retry, "job", "created", "api"),
    "POST /deploy/jobs/claim": (claim, "job", "claimed", "runner:r1"),
    "POST /deploy/jobs/{job_id}/heartbeat": (phase, "job", "phase", "runner:r1"),
    "POST /deploy/jobs/{job_id}/report": (deployed, "job", "succeeded", "runner:r1"),
    "POST /deploy/jobs/{job_id}/return": (give_back, "job", "returned", "runner:r1"),
    "POST /deploy/apps/stop": (stop, "operation", "asked", "api"),
    "POST /deploy/apps/purge": (purge, "app", "purged", "api"),
    "POST /deploy/apps/cleanup": (cleanup, "operation", "asked", "api"),
    "POST /deploy/apps/inventory": (take_inventory, "operation", "asked", "api"),
    "POST /deploy/apps/{app_id}/rollback": (rollback, "job", "created", "api"),
    "POST /deploy/apps/{app_id}/releases/{number}/pin": (pin, "app", "release 1 pinned", "api"),
    "POST /deploy/apps/{app_id}/releases/{number}/unpin": (unpin, "app", "release 1 unpinned", "api"),
    **{
        f"POST /deploy/apps/{{app_id}}/mongo/{call}": (change_database, "database", "asked", "api")
        for call in ("insert-one", "update-by-id", "delete-by-id", "create-collection")
    },
    "POST /internal/runtime-nodes/heartbeat": (move, "node", "moved", "node:n1"),
    "POST /internal/fences/confirm": (confirm, "job", "confirmed", "node:n1"),
    "POST /admin/runtime-nodes/upsert": (upsert, "node", "edited", "admin"),
    "POST /admin/runtime-nodes/set-enabled": (disable, "node", "disabled", "admin"),
    "DELETE /admin/runtime-nodes/{name}": (delete_node, "node", "disabled", "admin"),
    "POST /admin/runtime-nodes/reassign": (reassign, "placement", "placed", "admin"),
    "POST /admin/runtime-nodes/drain": (drain, "placement", "placed", "admin"),
    "POST /admin/runtime-nodes/collect": (collect, "node", "collect_asked", "admin"),
    "POST /admin/runners/set-drained": (drain_runner, "runner", "drained", "admin"),
    "POST /admin/drains": (start_drain, "drain", "created", "admin"),
    "POST /admin/drains/{drain_id}/pause": (pause_drain, "drain", "paused", "admin"),
    "POST /admin/drains/{drain_id}/resume": (resume_drain, "drain", "running", "admin"),
    "POST /admin/drains/{drain_id}/undo": (undo_drain, "drain", "undoing", "admin"),
    "POST /admin/drains/{drain_id}/cancel": (cancel_drain, "drain", "cancelled", "admin"),
    "POST /admin/operations/{number}/retry": (hurry, "operation", "hurried", "admin"),
    "POST /admin/operations/{number}/abandon": (abandon, "operation", "abandoned", "admin"),
    "POST /admin/webhooks/{number}/retry": (send_again, "webhook", "retried", "admin"),
}
#: What is no event: a log is its own record, a runner's figures are watched, and previews and questions change nothing.
UNTOLD: Final = {
    "POST /deploy/apps/{app_id}/mongo/find",
    "PUT /deploy/jobs/{job_id}/log",
    "POST /deploy/runners/heartbeat",
    "POST /admin/drains/preview",
    "POST /internal/runtime-nodes/images",
}


async def test_every_route_that_changes_something_is_audited_or_excused() -> None:
    async with serving() as plane:
        changing = {route for route in routes(plane.app) if not route.startswith("GET ")}
        assert changing == set(TOLD) | UNTOLD


@pytest.mark.parametrize("route", TOLD)
async def test_a_change_is_told_with_author_address_before_and_after(route: str) -> None:
    scenario, kind, change, actor = TOLD[route]
    async with serving() as plane:
        await scenario(plane)
        found = (await plane.admin.audit(AuditQuery(kind=kind, actor=actor))).items
        entry = next((entry for entry in found if entry.change == change), None)
        assert entry is not None, [(each.change, each.actor) for each in found]
        assert entry.source_address == LOCAL
        assert (entry.before is None) is (change in NEW)
        assert (entry.after is None) is (change == "purged")
        if kind in ("job", "node") and entry.before is not None and entry.after is not None:
            assert any(key not in entry.after or entry.after[key] != value for key, value in entry.before.items())


async def test_what_was_before_is_told_in_the_keys_of_what_is_after() -> None:
    async with serving() as plane:
        await deployed(plane)
        by_change = {entry.change: entry for entry in (await plane.admin.audit(AuditQuery(kind="job"))).items}
        before = by_change["succeeded"].before
        assert before is not None and before["status"] == "RUNNING" and before["finishedAt"] is None
        assert set(before) - {"confirmedAt"} <= set(by_change["succeeded"].after or {})
        await plane.admin.set_enabled("n1", enabled=False)
        disabled = (await plane.admin.audit(AuditQuery(kind="node"), limit=1)).items[0]
        assert disabled.before is not None and disabled.after is not None
        assert (disabled.before["enabled"], disabled.after["enabled"]) == (True, False)


async def test_no_event_carries_a_secret() -> None:
    async with serving() as plane:
        refused = await plane.call(
            "POST",
            "/deploy/jobs",
            role="api",
            json={
                "type": "BUILD_AND_DEPLOY",
                "payload": {"userId": 1, "appId": "a1", "repoSshUrl": "ssh://git:hunter22@127.0.0.1/x.git"},
            },
        )
        assert refused.status_code == 400 and "hunter22" not in refused.text
        job = await plane.claimed()
        await plane.runners.renew(job.id, RenewLease(runner_id="r1", lease_token=job.lease_token, phase="BUILD"))
        await plane.runners.report(
            job.id, ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        )

        async def log(tx: Transaction) -> str:
            return repr(await tx.events_after(0, 1000))

        text = await plane.store.transact(log)
        assert job.lease_token is not None and job.lease_token not in text and "leaseToken" not in text
        assert "hunter22" not in text and "laim_key" not in text and "laimKey" not in text


async def pages(plane: Plane, wanted: AuditQuery, limit: int) -> list[AuditEntry]:
    found, cursor = list[AuditEntry](), None
    while True:
        page = await plane.admin.audit(wanted, cursor=cursor, limit=limit)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_the_log_is_paged_newest_first_and_searched_in_bounded_steps() -> None:
    async with serving() as plane:
        await plane.create("first")

        async def many(tx: Transaction) -> None:
            for number in range(6000):
                await tx.append(NewEvent("app", "x", f"a{number % 7}", Actor("test"), "null"))

        await plane.store.transact(many)
        everything = await pages(plane, AuditQuery(), 200)
        assert [entry.seq for entry in everything] == list(range(6001, 0, -1))
        page = await plane.admin.audit(AuditQuery(actor="api"))
        assert page.items == () and page.next_cursor is not None
        assert [entry.subject for entry in await pages(plane, AuditQuery(actor="api"), 50)] == [everything[-1].subject]
        assert len(await pages(plane, AuditQuery(subject="a3"), 100)) == 857
        later = int(everything[0].at.timestamp() * 1000) + 1000
        assert (await plane.admin.audit(AuditQuery(since=later))).next_cursor is None
