"""What operators see of the work that one replica does for all."""

import asyncio

from tests.http.deploy.plane import serving


async def test_operators_see_who_does_what() -> None:
    async with serving() as plane, asyncio.timeout(60):
        while not (found := await plane.admin.singletons()):
            continue
        assert {each.name for each in found} >= {"reaper", "retention", "tidy"}
        assert all(each.held and each.epoch == 1 and each.since < each.lease_until for each in found)
        while 'funai_deploy_singleton_held{singleton="reaper"} 1.0' not in (await plane.call("GET", "/metrics")).text:
            continue


async def test_a_restarted_process_does_not_wait_for_the_lease_of_the_one_before() -> None:
    async with serving() as first:
        while not (before := await first.admin.singletons()):
            continue
        async with serving(first.store) as second, asyncio.timeout(60):
            await first.runner.cleanup()
            while (after := await second.admin.singletons())[0].epoch == 1:
                continue
    assert after[0].holder != before[0].holder
    assert after[0].held


async def test_only_operators_see_it() -> None:
    async with serving() as plane:
        assert (await plane.call("GET", "/admin/singletons", role="api")).status_code == 401
