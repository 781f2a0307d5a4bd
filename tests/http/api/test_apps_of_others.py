"""What operators do with somebody's app: as its owner would, within the owner's limits, and it is told who did."""

import logging

import pytest

from protocol.accounts import Role
from protocol.api import AppState, RepoStatus, StartDeployment, UpdateApp
from protocol.client.api import ApiAdminClient, bearer
from protocol.client.transport import Refused, Transport
from protocol.jobs import JobStatus
from protocol.pushes import SetPushToDeploy
from tests.http.api.conftest import OTHER, OWNER, Api, with_account
from tests.support.eventually import eventually


async def _deployed(api: Api) -> str:
    app = await api.owner.create_app()
    job = await api.owner.deploy(str(app.id))
    api.plane.move(job.id, JobStatus.SUCCEEDED)
    return str(app.id)


async def test_a_deployment_is_completed_as_its_owners_is(api: Api) -> None:
    app_id = str((await api.owner.create_app()).id)
    mine = await api.owner.deploy(app_id, StartDeployment(git_ref="v2"))
    api.plane.move(mine.id, JobStatus.SUCCEEDED)
    theirs = await api.admin.deploy_for_owner(app_id, StartDeployment(git_ref="v2"), idempotency_key="k")
    assert theirs.id != mine.id and theirs.payload == mine.payload
    payload = theirs.payload
    assert (payload.container_port, payload.base_path, payload.git_ref) == (3000, f"/runtime/{app_id}", "v2")
    assert payload.repo_ssh_url == f"ssh://git@git.example.org:2222/funai/u1-app{app_id}.git"
    assert (payload.acr_registry, payload.acr_namespace) == ("registry.example.org:5000", "funaistudio")
    assert (
        await api.admin.deploy_for_owner(app_id, StartDeployment(git_ref="v2"), idempotency_key="k")
    ).id == theirs.id


async def test_the_owners_limit_holds_for_operators(api: Api) -> None:
    live = [await _deployed(api) for _ in range(3)]
    fourth = str((await api.owner.create_app()).id)
    with pytest.raises(Refused, match="stop one first") as refused:
        await api.admin.deploy_for_owner(fourth)
    assert (refused.value.status, refused.value.reason) == (409, "app_limit")
    assert (await api.admin.stop_for_owner(live[0])).status == "STOPPED"
    assert (await api.owner.app(live[0])).app_status is AppState.UPLOADED
    assert (await api.admin.deploy_for_owner(fourth)).status is JobStatus.PENDING
    with pytest.raises(Refused) as refused:
        await api.admin.roll_back_for_owner(live[0])
    assert refused.value.reason == "app_limit"


async def test_an_operator_goes_back_for_a_user(api: Api) -> None:
    app_id = await _deployed(api)
    api.plane.move((await api.owner.deploy(app_id)).id, JobStatus.SUCCEEDED)
    job = await api.admin.roll_back_for_owner(app_id, 1, idempotency_key="k")
    assert job.release == 1 and job.payload.user_id == "1"
    assert (await api.admin.roll_back_for_owner(app_id, 1, idempotency_key="k")).id == job.id


async def test_who_acts_for_whom_is_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    app_id = str((await api.owner.create_app()).id)
    operator = await with_account(api, "oscar", Role.OPERATOR)
    async with Transport(api.url, bearer(operator.access_token)) as transport:
        with caplog.at_level(logging.INFO):
            await ApiAdminClient(transport).deploy_for_owner(app_id)
    (told,) = [record for record in caplog.records if record.message == "an operator acts for a user"]
    said = vars(told)
    assert (said["caller"], said["app_id"], said["user_id"]) == (f"user:{operator.user_id}", app_id, 1)


async def test_an_operator_deletes_an_app_as_its_owner_would(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    app = await api.owner.create_app()
    app_id, operator = str(app.id), await with_account(api, "oscar", Role.OPERATOR)
    async with Transport(api.url, bearer(operator.access_token)) as transport:
        oscar = ApiAdminClient(transport)
        with pytest.raises(Refused) as refused:
            await oscar.delete_for_owner(app_id, "2")
        assert refused.value.status == 404 and (await api.owner.app(app_id)).id == app.id
        with caplog.at_level(logging.INFO):
            done = await oscar.delete_for_owner(app_id, "1")
        assert (done.complete, done.user_id, done.app_name) == (True, 1, app.app_name)
        assert await oscar.delete_for_owner(app_id) == done, "asked again, it is told how it went"
    (told,) = [record for record in caplog.records if record.message == "an operator acts for a user"]
    said = vars(told)
    assert (said["caller"], said["app_id"], said["user_id"]) == (f"user:{operator.user_id}", app_id, 1)
    assert said["path"] == "/api/fun-ai/admin/apps/delete"
    assert await api.owner.apps() == ()
    with pytest.raises(Refused) as refused:
        await api.admin.delete_for_owner("29999")
    assert refused.value.status == 404


async def test_no_person_deletes_anothers_app(api: Api) -> None:
    app_id = str((await api.owner.create_app()).id)
    for token in (OWNER, OTHER):
        with pytest.raises(Refused) as refused:
            async with Transport(api.url, bearer(token)) as transport:
                await ApiAdminClient(transport).delete_for_owner(app_id)
        assert refused.value.status == 403
    assert len(await api.owner.apps()) == 1


async def test_an_app_is_shown_with_all_that_its_owner_sees(api: Api) -> None:
    app_id = str((await api.owner.create_app()).id)
    await api.owner.update_app(UpdateApp(app_id=app_id, app_slug="my-shop"))
    await api.owner.add_domain(app_id, "www.shop.example")
    await api.owner.set_push_to_deploy(SetPushToDeploy(app_id=app_id, enabled=True, branches=("main",)))

    async def set_up() -> bool:
        return (await api.owner.app(app_id)).repo_status is not RepoStatus.PENDING

    await eventually(set_up)
    shown = await api.admin.app_detail(app_id)
    owned = await api.owner.app(app_id)
    assert shown.app == owned and owned.app_slug == "my-shop"
    assert shown.domains == await api.owner.domains(app_id)
    assert shown.push_to_deploy == await api.owner.push_to_deploy(app_id)
    assert (shown.user_id, shown.deletion) == (1, None)
    deleted = await api.admin.delete_for_owner(app_id)
    gone = await api.admin.app_detail(app_id)
    assert (gone.app, gone.domains, gone.push_to_deploy, gone.deletion) == (None, (), None, deleted)
    for which in ("29999", "no-number"):
        with pytest.raises(Refused) as refused:
            await api.admin.app_detail(which)
        assert refused.value.status == 404


async def test_an_app_is_not_taken_for_another_users(api: Api) -> None:
    app_id = str((await api.owner.create_app()).id)
    for words in (f"appId={app_id}&userId=2", "appId=99999", "appId=no-number"):
        answer = await api.raw.post(
            f"/api/fun-ai/admin/apps/deploy?{words}", json={}, headers=dict(api.admin.transport.proof)
        )
        assert answer.status_code == 404, answer.text
    assert await api.owner.jobs() == ()
