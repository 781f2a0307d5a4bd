"""What operators do with somebody's app: as its owner would, within the owner's limits, and it is told who did."""

import logging

import pytest

from protocol.accounts import Role
from protocol.api import AppState, StartDeployment
from protocol.client.api import ApiAdminClient, bearer
from protocol.client.transport import Refused, Transport
from protocol.jobs import JobStatus
from tests.http.api.conftest import Api, with_account


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


async def test_an_app_is_not_taken_for_another_users(api: Api) -> None:
    app_id = str((await api.owner.create_app()).id)
    for words in (f"appId={app_id}&userId=2", "appId=99999", "appId=no-number"):
        answer = await api.raw.post(
            f"/api/fun-ai/admin/apps/deploy?{words}", json={}, headers=dict(api.admin.transport.proof)
        )
        assert answer.status_code == 404, answer.text
    assert await api.owner.jobs() == ()
