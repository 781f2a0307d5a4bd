"""Pushes as they are told over HTTP: proven, taken once, and deployed like any other deployment if the owner wants."""

from collections.abc import Mapping

import httpx
import orjson
import pytest

from daemons.api import ports
from daemons.api.adapters.sql.pushes import SqlPushes
from daemons.kit.daemon import MAX_BODY_BYTES
from protocol.api import StartDeployment
from protocol.client.transport import Refused
from protocol.configuration import AppConfig
from protocol.headers import GITEA_DELIVERY, GITEA_EVENT, GITEA_SIGNATURE
from protocol.jobs import JobStatus, JobView
from protocol.pushes import PUSHES_PATH, PushToDeployView, SetPushToDeploy, push_signature
from tests.http.api.conftest import OWNER, PUSH_NEW, PUSH_OLD, Api
from tests.support.eventually import eventually

APP = "20001"
REPOSITORY = f"funai/u1-app{APP}"
NOTHING = "0" * 40


def commit(number: int) -> str:
    return f"{number:040x}"


def body_of(number: int, branch: str = "main", *, repository: str = REPOSITORY, ref: str | None = None) -> bytes:
    """A push as Gitea tells it, with keys that nobody reads."""
    document = {
        "ref": ref or f"refs/heads/{branch}",
        "before": NOTHING,
        "after": commit(number),
        "compare_url": "",
        "commits": [{"id": commit(number), "message": "a change"}],
        "repository": {"id": 140, "name": repository.partition("/")[2], "full_name": repository, "private": True},
        "pusher": {"id": 1, "login": "workspace-bot"},
    }
    return orjson.dumps(document)


def proof(body: bytes, delivery: str = "d-1", secret: str = PUSH_NEW) -> dict[str, str]:
    return {GITEA_EVENT: "push", GITEA_DELIVERY: delivery, GITEA_SIGNATURE: push_signature(secret, body)}


async def send(api: Api, body: bytes, given: Mapping[str, str]) -> httpx.Response:
    return await api.raw.post(PUSHES_PATH, content=body, headers=dict(given))


async def tell(api: Api, number: int, delivery: str | None = None, **which: str) -> str:
    """What became of the push."""
    body = body_of(number, **which)
    answer = await send(api, body, proof(body, delivery or f"d-{number}"))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["outcome"])


async def switched_on(api: Api, *branches: str) -> PushToDeployView:
    await api.owner.create_app()
    order = SetPushToDeploy(app_id=APP, enabled=True, branches=branches or None)
    return await api.owner.set_push_to_deploy(order)


async def jobs(api: Api) -> list[JobView]:
    """Oldest first."""
    return list(reversed(await api.owner.history(APP)))


async def settled(api: Api) -> PushToDeployView:
    """Once nothing is to be tried any more."""

    async def over() -> bool:
        seen = await api.owner.push_to_deploy(APP)
        return seen.last_push is not None and seen.last_push.next_attempt_at is None

    await eventually(over)
    return await api.owner.push_to_deploy(APP)


async def test_a_push_is_a_job_of_that_commit_in_the_owners_name(api: Api) -> None:
    await switched_on(api)
    assert await tell(api, 1) == "QUEUED"
    seen = await settled(api)
    [job] = await jobs(api)
    assert seen.last_push is not None
    assert (seen.last_push.job_id, seen.last_push.commit, seen.last_push.branch) == (job.id, commit(1), "main")
    assert (job.payload.git_ref, job.user_id, job.payload.container_port) == (commit(1), "1", 3000)
    assert job.payload.repo_ssh_url == f"ssh://git@git.example.org:2222/{REPOSITORY}.git"


@pytest.mark.parametrize("secret", [PUSH_OLD, PUSH_NEW])
async def test_any_live_secret_proves_it(api: Api, secret: str) -> None:
    body = body_of(1)
    assert (await send(api, body, proof(body, secret=secret))).status_code == 200


async def test_what_is_not_proven_changes_nothing(api: Api) -> None:
    await switched_on(api)
    body = body_of(1)
    right = proof(body)
    refused = [
        await send(api, body, {}),
        await send(api, body, {name: value for name, value in right.items() if name != GITEA_SIGNATURE}),
        await send(api, body, proof(body, secret="a-secret-of-somebody-else")),
        await send(api, body, proof(body_of(2))),
        await send(api, body, right | {GITEA_SIGNATURE: right[GITEA_SIGNATURE].upper()}),
        await send(api, body, right | {GITEA_SIGNATURE: f"sha256={right[GITEA_SIGNATURE]}"}),
        await send(api, body + b" ", right),
    ]
    assert [(each.status_code, each.json()["reason"]) for each in refused] == [(401, "unauthorized")] * len(refused)
    assert PUSH_NEW not in "".join(each.text for each in refused)
    assert (await api.owner.push_to_deploy(APP)).last_push is None
    assert (await api.raw.get(PUSHES_PATH)).status_code == 405


async def test_what_is_proven_but_not_well_formed_is_refused_as_such(api: Api) -> None:
    for body in (b"{}", b"[]", b"{", orjson.dumps({"ref": 5})):
        assert (await send(api, body, proof(body))).status_code == 400
    body = body_of(1)
    for delivery in ("", "a b", "x" * 65):
        answer = await send(api, body, proof(body) | {GITEA_DELIVERY: delivery})
        assert (answer.status_code, GITEA_DELIVERY in answer.json()["message"]) == (400, True)
    big = body_of(1) + b" " * MAX_BODY_BYTES
    assert (await send(api, big, proof(big))).status_code == 413


async def test_a_delivery_makes_one_job_however_often_it_is_told(api: Api) -> None:
    await switched_on(api)
    assert await tell(api, 1) == "QUEUED"
    await settled(api)
    assert [await tell(api, number, "d-1") for number in (1, 1, 2)] == ["REPEATED"] * 3
    api.plane.move((await jobs(api))[0].id, JobStatus.SUCCEEDED)
    assert await tell(api, 1) == "REPEATED"
    await settled(api)
    assert [job.payload.git_ref for job in await jobs(api)] == [commit(1)]


async def test_what_nobody_asked_for_is_taken_and_forgotten(api: Api) -> None:
    await api.owner.create_app()
    await api.other.create_app()
    assert await tell(api, 1) == "IGNORED"
    await api.owner.set_push_to_deploy(SetPushToDeploy(app_id=APP, enabled=True))
    assert await tell(api, 1) == "REPEATED", "what was told before it was wanted is not deployed later"
    assert await tell(api, 2, branch="other") == "IGNORED"
    assert await tell(api, 3, ref="refs/tags/v1") == "IGNORED"
    for number, repository in enumerate(("funai/u2-app20001", "funai/u1-app20002", "funai/u1-app9", "x/y"), 10):
        assert await tell(api, number, repository=repository) == "IGNORED"
    gone = body_of(0)
    assert (await send(api, gone, proof(gone, "d-gone"))).json()["data"]["outcome"] == "IGNORED"
    body = body_of(4)
    other = await send(api, body, proof(body, "d-other") | {GITEA_EVENT: "create"})
    assert other.json()["data"]["outcome"] == "IGNORED"
    await api.owner.set_push_to_deploy(SetPushToDeploy(app_id=APP, enabled=False))
    assert await tell(api, 5) == "IGNORED"
    assert await jobs(api) == []


async def test_the_newest_push_takes_the_place_of_a_job_that_waits(api: Api) -> None:
    await switched_on(api, "main", "release/1")
    await tell(api, 1)
    await settled(api)
    await tell(api, 2, branch="release/1")
    await settled(api)
    assert [(job.payload.git_ref, job.status) for job in await jobs(api)] == [
        (commit(1), JobStatus.CANCELLED),
        (commit(2), JobStatus.PENDING),
    ]
    api.plane.move((await jobs(api))[1].id, JobStatus.RUNNING)
    await tell(api, 3)
    await settled(api)
    assert [job.status for job in await jobs(api)][1:] == [JobStatus.RUNNING, JobStatus.PENDING]


async def test_while_the_control_plane_is_away_the_newest_push_waits(api: Api) -> None:
    await switched_on(api)
    api.plane.failing = ports.PlaneUnreachable("the control plane is away")
    await tell(api, 1)

    async def told() -> bool:
        push = (await api.owner.push_to_deploy(APP)).last_push
        return push is not None and push.reason == "the control plane is away" and push.next_attempt_at is not None

    await eventually(told)
    await tell(api, 2)
    await eventually(told)
    api.plane.failing = None
    seen = await settled(api)
    assert seen.last_push is not None and seen.last_push.reason is None
    assert [job.payload.git_ref for job in await jobs(api)] == [commit(2)]


async def test_limits_hold_and_are_told(api: Api) -> None:
    await switched_on(api)
    for _ in range(3):
        await api.owner.deploy(str((await api.owner.create_app()).id))
    await tell(api, 1)
    seen = await settled(api)
    assert seen.last_push is not None and seen.last_push.job_id is None
    assert "3 apps are deploying or running" in (seen.last_push.reason or "")
    assert await jobs(api) == []


async def test_a_push_is_run_as_the_app_was_last(api: Api) -> None:
    await switched_on(api)
    config = AppConfig(environment={"MODE": "shop"}, memory_bytes=268_435_456)
    order = StartDeployment(
        container_port=8080, health_check_path="/up", dockerfile_path="web/Dockerfile", config=config
    )
    job = await api.owner.deploy(APP, order)
    api.plane.move(job.id, JobStatus.SUCCEEDED)
    image = await api.owner.deploy(APP, StartDeployment(image="busybox:1.36", container_port=9090))
    api.plane.move(image.id, JobStatus.SUCCEEDED)
    await tell(api, 1)
    await settled(api)
    made = (await jobs(api))[-1].payload
    assert (made.git_ref, made.image, made.container_port, made.health_check_path, made.dockerfile_path) == (
        commit(1), None, 8080, "/up", "web/Dockerfile",
    )  # fmt: skip
    assert made.config is not None and made.config.environment == {"MODE": "shop"}


async def test_secrets_are_not_left_out_silently(api: Api) -> None:
    await switched_on(api)
    job = await api.owner.deploy(APP, StartDeployment(config=AppConfig(secrets={"API_KEY": "of the tests"})))
    api.plane.move(job.id, JobStatus.SUCCEEDED)
    await tell(api, 1)
    seen = await settled(api)
    assert seen.last_push is not None and seen.last_push.job_id is None
    assert "with secrets" in (seen.last_push.reason or "") and "of the tests" not in (seen.last_push.reason or "")


async def test_owners_choose_branches_and_nothing_else(api: Api) -> None:
    assert (await switched_on(api, "main", "live", "main")).branches == ("main", "live")
    assert (await api.owner.set_push_to_deploy(SetPushToDeploy(app_id=APP, enabled=False))).branches == ("main", "live")
    headers = {"Authorization": f"Bearer {OWNER}"}
    for branches in ([], ["-x"], ["a..b"], ["a,b"], ["a b"], ["x"] * 21, "main"):
        order = {"appId": APP, "enabled": True, "branches": branches}
        answer = await api.raw.post("/api/fun-ai/app/push-to-deploy", json=order, headers=headers)
        assert answer.status_code == 400, branches
    with pytest.raises(Refused) as refused:
        await api.other.push_to_deploy(APP)
    assert refused.value.status == 404


async def test_a_deleted_app_takes_its_pushes_along(api: Api) -> None:
    await switched_on(api)
    api.plane.failing = ports.PlaneUnreachable("away")
    await tell(api, 1)
    await api.owner.delete_app(APP)
    api.plane.failing = None
    assert await tell(api, 2) == "IGNORED"
    rule, push = await SqlPushes(api.database).of_app(int(APP))
    assert (rule.enabled, push) == (False, None)
