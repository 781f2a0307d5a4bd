"""Apps that are not in the inventory: seen first, confirmed when they are many, deleted through the outbox."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import Transaction
from protocol.client.transport import Refused
from protocol.inventory import AppInventory
from protocol.jobs import JobStatus, ReportJob
from protocol.operations import OperationState
from tests.http.deploy.plane import Plane, serving

APPS = ("a", "b", "c")


async def deployed_long_ago(plane: Plane, *app_ids: str) -> None:
    for app_id in app_ids:
        job = await plane.claimed(app_id)
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, done)

        async def age(tx: Transaction, app_id: str = app_id) -> None:
            placement, run = await tx.placement(app_id), await tx.app_run(app_id)
            assert placement is not None and run is not None
            await tx.delete_placement(app_id)
            await tx.put_placement(replace(placement, last_active_at=1, created_at=1))
            await tx.put_app_run(replace(run, last_active_at=1, last_deployed_at=1))

        await plane.store.transact(age)


def listing(*app_ids: str, dry_run: bool = True, confirm: int | None = None, age: int = 0) -> AppInventory:
    taken_at = datetime.now(UTC) - timedelta(seconds=age)
    return AppInventory(
        taken_at=taken_at, complete=True, count=len(app_ids), app_ids=app_ids, dry_run=dry_run, confirm=confirm
    )


async def known(plane: Plane) -> list[str]:
    return [app.app_id for app in (await plane.api.apps()).items]


async def test_a_dry_run_says_what_would_go_and_why_others_stay() -> None:
    async with serving() as plane:
        await deployed_long_ago(plane, *APPS)
        await plane.create("c")
        await plane.create("new")
        found = await plane.api.inventory(listing("a"))
        assert found.dry_run and (found.known, found.listed, found.operations) == (4, 1, 0)
        assert [(app.app_id, app.user_id, app.node_id) for app in found.orphans] == [("b", "1", 1)]
        assert [(app.app_id, app.reason) for app in found.kept] == [("c", "active_job"), ("new", "active_job")]
        assert await known(plane) == ["a", "b", "c", "new"] and plane.agent.calls == []


async def test_many_have_to_be_confirmed_and_all_go_through_the_outbox() -> None:
    async with serving() as plane:
        await deployed_long_ago(plane, *APPS)
        plane.agent.problem = "no route to host"
        for confirm in (None, 1, 3):
            with pytest.raises(Refused) as caught:
                await plane.api.inventory(listing("a", dry_run=False, confirm=confirm))
            assert (caught.value.status, caught.value.reason) == (409, "too_many_orphans")
            assert caught.value.data == {"orphans": 2, "known": 3}
        done = await plane.api.inventory(listing("a", dry_run=False, confirm=2))
        assert done.operations == 2 and [app.app_id for app in done.orphans] == ["b", "c"]
        assert await known(plane) == ["a", "b", "c"], "on record until their node has done it"
        again = await plane.api.inventory(listing("a", dry_run=False))
        assert again.operations == 0 and {app.reason for app in again.kept} == {"being_deleted"}
        plane.agent.problem = None
        for number in count():
            assert number < 10_000
            pending = (await plane.api.operations(state=OperationState.PENDING)).items
            if not pending:
                break
            for operation in pending:
                with suppress(Refused):  # it may have ended by now
                    await plane.admin.retry_operation(operation.id)
        assert await known(plane) == ["a"]


@pytest.mark.parametrize(
    "bad",
    [
        {"complete": False},
        {"count": 2},
        {"appIds": [], "count": 0},
        {"takenAt": "2020-01-01T00:00:00Z"},
        {"takenAt": "2999-01-01T00:00:00Z"},
        {"appIds": ["a", "a"], "count": 2},
    ],
)
async def test_what_may_not_be_the_whole_truth_deletes_nothing(bad: dict[str, object]) -> None:
    async with serving() as plane:
        await deployed_long_ago(plane, "a", "b")
        body = {**listing("a", dry_run=False, confirm=1).to_data(), **bad}
        answer = await plane.call("POST", "/deploy/apps/inventory", role="api", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (422, "inventory_refused")
        assert await known(plane) == ["a", "b"]


async def test_a_list_without_its_proof_of_completeness_is_no_inventory() -> None:
    async with serving() as plane:
        bodies: list[dict[str, object]] = [{"existingAppIds": []}, {"appIds": ["a"]}, {"takenAt": "now", "count": 0}]
        for body in bodies:
            answer = await plane.call("POST", "/deploy/apps/inventory", role="api", json=body)
            assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")


async def test_containers_that_nobody_answers_for_are_listed_and_left_alone() -> None:
    async with serving() as plane:
        await plane.claimed("20001")
        plane.agent.made["http://n1:7005"] = [
            Container("rt-u-1-20001-r1", "1", "20001", True),
            Container("rt-u-9-lost-r4", "9", "lost", True),
        ]
        report = await plane.admin.strays()
        (stray,) = report.strays
        assert (stray.node, stray.container, stray.app_id, stray.reason) == (
            "n1",
            "rt-u-9-lost-r4",
            "lost",
            "unknown_app",
        )
        assert report.asked == ("n1",) and report.unasked == ()
        plane.agent.problem = "connection refused"
        silent = await plane.admin.strays("n1")
        assert (silent.asked, silent.strays, [each.message for each in silent.unasked]) == (
            (),
            (),
            ["connection refused"],
        )
        assert {call[0] for call in plane.agent.calls} == {"containers"}, "it only asks"
        with pytest.raises(Refused) as caught:
            await plane.admin.strays("nobody")
        assert caught.value.status == 404
        bad = await plane.call("GET", "/admin/strays?node=a/b", role="admin")
        assert (bad.status_code, bad.json()["data"]["fields"]) == (400, ["node"])
