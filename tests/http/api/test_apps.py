"""Apps and deployments over HTTP: documented fields, limits, states, refusals, bad input."""

import httpx
import pytest

from daemons.api import ports
from protocol.api import AppInfo, AppState, CreateApp, RepoStatus, StartDeployment
from protocol.client.api import bearer
from protocol.client.transport import Refused
from protocol.jobs import JobStatus
from tests.http.api.conftest import OWNER, Api
from tests.support.eventually import eventually


async def test_the_token_says_who_one_is(api: Api) -> None:
    me = await api.owner.me()
    assert (me.user_id, me.user_name) == (1, "demo")


async def test_the_first_app_is_20001_with_a_repository(api: Api) -> None:
    app = await api.owner.create_app()
    assert (app.id, app.user_id, app.app_name, app.app_status) == (20001, 1, "Untitled app 1", AppState.CREATED)
    assert app.repo_ssh_url == "ssh://git@git.example.org:2222/funai/u1-app20001.git"
    assert app.repo_status is RepoStatus.PENDING
    assert await _set_up(api) == app.model_copy(update={"repo_status": RepoStatus.READY})


async def _set_up(api: Api) -> AppInfo:
    """The app, once its repository is there."""

    async def ready() -> bool:
        return (await api.owner.app("20001")).repo_status is RepoStatus.READY

    await eventually(ready)
    return await api.owner.app("20001")


async def test_the_same_idempotency_key_makes_one_app(api: Api) -> None:
    first = await api.owner.create_app(CreateApp(app_name="shop"), idempotency_key="k1")
    assert (await api.owner.create_app(CreateApp(app_name="shop"), idempotency_key="k1")).id == first.id
    assert (await api.other.create_app(idempotency_key="k1")).id != first.id
    with pytest.raises(Refused, match="already have an app called shop") as refused:
        await api.owner.create_app(CreateApp(app_name="shop"))
    assert (refused.value.status, refused.value.reason) == (409, "already_exists")


async def test_a_user_has_at_most_twenty_apps(api: Api) -> None:
    for _ in range(20):
        await api.owner.create_app()
    with pytest.raises(Refused) as refused:
        await api.owner.create_app()
    assert (refused.value.status, refused.value.reason) == (409, "app_limit")
    assert len(await api.owner.apps()) == 20


async def test_what_is_left_out_of_a_deployment_gets_its_default(api: Api) -> None:
    await api.owner.create_app(CreateApp(app_name="shop"))
    payload = (await api.owner.deploy("20001")).payload
    assert payload.model_dump(exclude_none=True) == {
        "user_id": "1",
        "app_id": "20001",
        "app_name": "shop",
        "repo_ssh_url": "ssh://git@git.example.org:2222/funai/u1-app20001.git",
        "git_ref": "main",
        "base_path": "/runtime/20001",
        "container_port": 3000,
        "image_tag": "latest",
        "acr_registry": "registry.example.org:5000",
        "acr_namespace": "funaistudio",
    }


async def test_what_is_given_is_kept(api: Api) -> None:
    await api.owner.create_app()
    order = StartDeployment(
        container_port=8080, git_ref="v1", base_path="/apps/20001", image_tag="one", image="busybox:1.36"
    )
    payload = (await api.owner.deploy("20001", order)).payload
    assert (payload.container_port, payload.git_ref, payload.base_path) == (8080, "v1", "/apps/20001")
    assert (payload.image_tag, payload.image) == ("one", "busybox:1.36")


async def test_the_status_follows_the_jobs(api: Api) -> None:
    await api.owner.create_app()
    job = await api.owner.deploy("20001")
    assert (await api.owner.app("20001")).app_status is AppState.DEPLOYING
    api.plane.move(job.id, JobStatus.SUCCEEDED)
    ready = await api.owner.app("20001")
    assert ready.app_status is AppState.READY
    assert ready.deploy_url == ready.deploy_access_url == ready.access_url == "http://127.0.0.1:8088/runtime/20001/"
    second = await api.owner.deploy("20001")
    api.plane.move(second.id, JobStatus.FAILED, "no Dockerfile")
    failed = await api.owner.app("20001")
    assert (failed.app_status, failed.last_deploy_error) == (AppState.FAILED, "no Dockerfile")
    assert (failed.deploy_url, failed.deploy_access_url) == ("http://127.0.0.1:8088/runtime/20001/", None)
    await api.owner.stop("20001")
    stopped = await api.owner.app("20001")
    assert (stopped.app_status, stopped.deploy_url) == (AppState.UPLOADED, None)
    assert await api.owner.deployed_apps() == ()


async def test_a_stop_that_the_node_has_not_carried_out_is_told_until_it_has(api: Api) -> None:
    for app_id in ("20001", "20002"):
        await api.owner.create_app()
        api.plane.move((await api.owner.deploy(app_id)).id, JobStatus.SUCCEEDED)
    done = await api.owner.stop("20001")
    assert (done.status, done.pending, done.message) == ("STOPPED", False, None)
    api.plane.nodes_away = True
    pending = await api.owner.stop("20002")
    assert (pending.status, pending.pending) == ("STOPPING", True) and "has not stopped it yet" in (
        pending.message or ""
    )
    told = {app.id: (app.app_status, app.stop_pending) for app in await api.owner.apps()}
    assert told == {20001: (AppState.UPLOADED, False), 20002: (AppState.UPLOADED, True)}
    assert [app.stop_pending for app in await api.admin.apps()] == [False, True]
    api.plane.stopping.clear()
    assert not (await api.owner.app("20002")).stop_pending
    api.plane.stopping[20002] = 1
    api.plane.move((await api.owner.deploy("20002")).id, JobStatus.SUCCEEDED)
    again = await api.owner.app("20002")
    assert (again.app_status, again.stop_pending) == (AppState.READY, False), "a copy elsewhere is not this app's stop"


async def test_at_most_three_apps_deploy_or_run_and_a_stop_makes_room(api: Api) -> None:
    for _ in range(4):
        await api.owner.create_app()
    jobs = [await api.owner.deploy(app_id) for app_id in ("20001", "20002", "20003")]
    with pytest.raises(Refused, match="20001, 20002, 20003") as refused:
        await api.owner.deploy("20004")
    assert (refused.value.status, refused.value.reason) == (409, "app_limit")
    api.plane.move(jobs[0].id, JobStatus.SUCCEEDED)
    assert (await api.owner.deploy("20001")).status is JobStatus.PENDING, "a redeploy needs no further place"
    api.plane.move(jobs[1].id, JobStatus.SUCCEEDED)
    await api.owner.stop("20002")
    assert (await api.owner.deploy("20004")).status is JobStatus.PENDING


async def test_a_refused_deployment_takes_no_place(api: Api) -> None:
    for _ in range(4):
        await api.owner.create_app()
    api.plane.failing = ports.AppBusy("app 20001 has an active job")
    with pytest.raises(Refused) as refused:
        await api.owner.deploy("20001")
    assert (refused.value.status, refused.value.reason) == (409, "app_busy")
    api.plane.failing = None
    for app_id in ("20002", "20003", "20004"):
        await api.owner.deploy(app_id)


async def test_one_deployment_of_an_app_at_a_time(api: Api) -> None:
    await api.owner.create_app()
    job = await api.owner.deploy("20001")
    with pytest.raises(Refused) as refused:
        await api.owner.deploy("20001")
    assert refused.value.reason == "app_busy"
    assert (await api.owner.cancel(job.id)).status is JobStatus.CANCELLED
    assert (await api.owner.cancel(job.id)).status is JobStatus.CANCELLED
    assert (await api.owner.app("20001")).app_status is AppState.UPLOADED
    again = await api.owner.deploy("20001")
    assert [found.id for found in await api.owner.history("20001")] == [again.id, job.id]
    assert [found.id for found in await api.owner.history("20001", limit=1)] == [again.id]
    assert (await api.owner.job(again.id)).id == again.id


async def test_a_control_plane_that_is_away_is_said_so(api: Api) -> None:
    await api.owner.create_app()
    api.plane.failing = ports.PlaneUnreachable("the deploy control plane cannot be asked now")
    for call in (api.owner.apps, api.owner.jobs):
        with pytest.raises(Refused, match="cannot be asked now") as refused:
            await call()
        assert (refused.value.status, refused.value.reason) == (503, "unavailable")
    assert (await api.raw.get("/internal/ready")).status_code == 503
    assert (await api.raw.get("/internal/health")).status_code == 200


async def post(api: Api, path: str, body: str | bytes) -> httpx.Response:
    return await api.raw.post(path, content=body, headers=bearer(OWNER))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"containerPort": "3000"}', "containerPort"),
        ('{"containerPort": 0}', "containerPort"),
        ('{"containerPort": 70000}', "containerPort"),
        ('{"containerPort": true}', "containerPort"),
        ('{"gitRef": "-upload-pack=touch x"}', "gitRef"),
        ('{"gitRef": ""}', "gitRef"),
        ('{"gitRef": "a..b"}', "gitRef"),
        ('{"gitRef": "main\\r\\nX: y"}', "gitRef"),
        ('{"basePath": "/runtime/`20001`"}', "basePath"),
        ('{"basePath": "/runtime/../20002"}', "basePath"),
        ('{"basePath": "/runtime/20001\\n"}', "basePath"),
        ('{"basePath": "/runtime/20002"}', "basePath"),
        ('{"basePath": ""}', "basePath"),
        ('{"healthCheckPath": "http://elsewhere/"}', "healthCheckPath"),
        ('{"imageTag": "a b"}', "imageTag"),
        ('{"image": "BAD IMAGE"}', "image"),
        ('{"image": "$(id)"}', "image"),
        ('{"image": "registry.example.org:5000/funaistudio/u2-app20002:latest"}', "image"),
        ("[]", "body"),
        ("{", "body"),
        ("\xff", "body"),
    ],
)
async def test_bad_input_names_the_field_and_stores_nothing(api: Api, body: str, field: str) -> None:
    await api.owner.create_app()
    answer = await post(api, "/api/fun-ai/deploy/job/create?appId=20001", body)
    assert answer.status_code == 400
    document = answer.json()
    assert document["data"]["fields"] == [field]
    assert document["message"].startswith(f"{field}: ")
    assert await api.owner.history("20001") == ()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/fun-ai/deploy/job/create", "appId"),
        ("/api/fun-ai/deploy/job/create?appId=", "appId"),
        ("/api/fun-ai/deploy/job/create?appId=../1", "appId"),
        ("/api/fun-ai/deploy/job/create?appId=20001&userId=x", "userId"),
        ("/api/fun-ai/deploy/job/cancel", "jobId"),
        ("/api/fun-ai/deploy/job/cancel?jobId=../../admin/snapshot", "jobId"),
        ("/api/fun-ai/deploy/job/cancel?jobId=a%2Fb", "jobId"),
        ("/api/fun-ai/deploy/job/cancel?jobId=" + "a" * 65, "jobId"),
    ],
)
async def test_bad_ids_are_named(api: Api, path: str, field: str) -> None:
    await api.owner.create_app()
    answer = await post(api, path, "")
    assert answer.status_code == 400
    assert answer.json()["data"]["fields"] == [field]


async def test_unknown_fields_are_ignored(api: Api) -> None:
    await api.owner.create_app()
    assert (await post(api, "/api/fun-ai/deploy/job/create?appId=20001&x=1", '{"surprise": 1}')).status_code == 200


async def test_a_large_body_is_refused(api: Api) -> None:
    answer = await post(api, "/api/fun-ai/app/create", b" " * (10 * 1024 * 1024))
    assert answer.status_code == 413
    assert await api.owner.apps() == ()


async def test_a_limit_must_be_a_number(api: Api) -> None:
    answer = await api.raw.get("/api/fun-ai/deploy/job/list?limit=many", headers=bearer(OWNER))
    assert answer.status_code == 400
    assert answer.json()["data"]["fields"] == ["limit"]
