"""Adapters at their edges: which answers end an attempt, whose folders are removed, which settings are refused."""

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemons.kit.settings import Misconfigured, load
from daemons.runner.adapters.app_host import HttpAppHost
from daemons.runner.adapters.builder import RegistryAccount
from daemons.runner.adapters.control_plane import HttpControlPlane
from daemons.runner.adapters.workplace import DiskWorkplace
from daemons.runner.domain.build_secrets import hidden_words
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlaneDown, LeaseLost, LogGap, LogLater, LogRefused, NoFolder, Outcome
from daemons.runner.settings import RunnerSettings
from protocol.apps import DeployApp, WarmImage
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.jobs import JobStatus
from tests.support.existing_agent import existing_agent
from tests.support.real import free_port
from tests.unit.runner.twins import DIGEST, JOB_ID, FakePacer

ATTEMPT = Attempt(JOB_ID, 1, "a-lease-token", 30)
ORDER = DeployApp(user_id="1", app_id="20001", image="busybox:1.36")
TOKEN = "an-agent-token-for-tests"


def plane(status: int, document: object) -> HttpControlPlane:
    """A control plane that always answers this."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    network = httpx.MockTransport(lambda _request: httpx.Response(status, content=content))
    client = RunnerClient(Transport("http://deploy", {}, network=network))
    return HttpControlPlane(client, runner_id="r1", lease_seconds=30, slots=1, version="1", host="h")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refusal(status: int, reason: str, data: object = None) -> Mapping[str, Any]:
    return {"code": status, "message": "no", "data": data, "reason": reason}


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (409, "lease_lost", LeaseLost),
        (409, "illegal_transition", LeaseLost),
        (404, "not_found", LeaseLost),
        (503, "unavailable", ControlPlaneDown),
        (500, "internal", ControlPlaneDown),
        (401, "unauthorized", ControlPlaneDown),
        (429, "rate_limited", ControlPlaneDown),
    ],
)
async def test_only_settled_refusals_end_an_attempt(status: int, reason: str, kind: type[Exception]) -> None:
    control = plane(status, refusal(status, reason))
    with pytest.raises(kind):
        await control.report(ATTEMPT, Outcome(JobStatus.SUCCEEDED))
    with pytest.raises(kind):
        await control.renew(ATTEMPT, None, 0)


async def test_an_answer_of_something_else_is_no_refusal() -> None:
    control = plane(502, b"<html>bad gateway</html>")
    with pytest.raises(ControlPlaneDown):
        await control.report(ATTEMPT, Outcome(JobStatus.SUCCEEDED))
    with pytest.raises(ControlPlaneDown):
        await control.upload(ATTEMPT, 0, b"x")
    with pytest.raises(ControlPlaneDown):
        await control.claim(0)


@pytest.mark.parametrize(("lease_seconds", "parked"), [(5, 2.5), (30, 15), (60, 20)])
async def test_a_claim_is_never_parked_beyond_half_a_lease(lease_seconds: int, parked: float) -> None:
    asked: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["waitSeconds"])
        return httpx.Response(200, json={"code": 200, "message": "ok", "data": None})

    client = RunnerClient(Transport("http://deploy", {}, network=httpx.MockTransport(answer)))
    control = HttpControlPlane(client, runner_id="r1", lease_seconds=lease_seconds, slots=1, version="1", host="h")
    assert await control.claim(20) is None
    assert asked == [parked]


async def test_a_gap_in_the_log_names_where_to_resume() -> None:
    with pytest.raises(LogGap) as gap:
        await plane(409, refusal(409, "log_gap", {"length": 17, "complete": False})).upload(ATTEMPT, 99, b"x")
    assert gap.value.length == 17


async def test_a_log_that_is_not_taken_now_is_kept() -> None:
    with pytest.raises(LogLater):
        await plane(409, refusal(409, "log_later")).upload(ATTEMPT, 0, b"x", late=True)


@pytest.mark.parametrize("status", [404, 409, 413])
async def test_a_log_that_is_not_taken_is_given_up(status: int) -> None:
    with pytest.raises(LogRefused):
        await plane(status, refusal(status, "payload_too_large")).upload(ATTEMPT, 0, b"x")


async def test_an_existing_agent_gets_what_it_understands() -> None:
    async with existing_agent(TOKEN) as (agent, url):
        await HttpAppHost(TOKEN, FakePacer()).deploy(url, ORDER)
    assert agent.deployments[0]["userId"] == "1"


async def test_an_existing_agent_that_fetches_nothing_ahead_is_let_be() -> None:
    host, order = HttpAppHost(TOKEN, FakePacer()), WarmImage(user_id="1", app_id="2", image=f"r.example/a@{DIGEST}")
    async with existing_agent(TOKEN) as (_, url):
        assert "does not fetch it ahead" in await host.warm(url, order)
        await host.cool(url, order)
    assert "does not fetch it ahead" in await host.warm(url, order)
    await host.cool(url, order)


async def test_what_an_agent_says_is_passed_on() -> None:
    async with existing_agent(TOKEN) as (agent, url):
        agent.fails = True
        with pytest.raises(WorkFailed, match="refused with 500: Internal Server Error"):
            await HttpAppHost(TOKEN, FakePacer()).deploy(url, ORDER)
        with pytest.raises(WorkFailed, match="refused with 401") as refused:
            await HttpAppHost("another-token-for-tests", FakePacer()).deploy(url, ORDER)
    assert "another-token" not in str(refused.value) and "RUNTIME_AGENT_TOKEN" in str(refused.value.advice)


async def test_a_conflict_at_the_agent_is_told_in_its_words_and_nothing_is_guessed() -> None:
    """A conflict may be an app of somebody else as well as an attempt under way."""
    async with existing_agent(TOKEN) as (agent, url):
        agent.hold = asyncio.Event()
        calls = {asyncio.create_task(HttpAppHost(TOKEN, FakePacer()).deploy(url, ORDER)) for _ in range(2)}
        done, held = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().exception()
        agent.hold.set()
        await asyncio.wait(held)
    assert isinstance(refused, WorkFailed)
    assert refused.text == "the agent refused with 409: deployment in progress"
    assert refused.advice and "listens" not in refused.advice


async def test_an_agent_that_is_not_there_is_tried_again_before_the_job_fails() -> None:
    pacer = FakePacer()
    began = pacer.time
    with pytest.raises(WorkFailed, match="gave no answer"):
        await HttpAppHost(TOKEN, pacer).deploy(f"http://127.0.0.1:{free_port()}", ORDER)
    assert pacer.time > began


async def test_a_work_folder_is_gone_afterwards(tmp_path: Path) -> None:
    async with DiskWorkplace(tmp_path).folder("job-1") as folder:
        (folder.path / "source").mkdir()
    assert names(tmp_path) == set()


async def test_leftovers_are_removed_at_start_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "job-1").mkdir()
    (tmp_path / "job-1" / ".attempt").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "job-1")
    async with DiskWorkplace(tmp_path).owned():
        assert names(tmp_path) == {"photos", "link", ".runner.lock"}


async def test_two_runners_never_share_a_work_folder(tmp_path: Path) -> None:
    async with DiskWorkplace(tmp_path).owned():
        with pytest.raises(NoFolder, match="another runner"):
            async with DiskWorkplace(tmp_path).owned():
                pass
    async with DiskWorkplace(tmp_path).owned():
        pass


NEEDED = {"DEPLOY_RUNNER_TOKEN": "runner-token-for-tests", "RUNTIME_AGENT_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RUNTIME_AGENT_TOKEN": "CHANGE_ME"}, "RUNTIME_AGENT_TOKEN"),
        ({"DEPLOY_RUNNER_TOKEN": ""}, "DEPLOY_RUNNER_TOKEN"),
        ({"REGISTRY_USERNAME": "robot"}, "ACR_REGISTRY"),
        ({"RUNNER_SLOTS": "0"}, "RUNNER_SLOTS"),
        ({"DEPLOY_BASE_URL": "ftp://x"}, "DEPLOY_BASE_URL"),
        ({"RUNNER_BUILD_MEMORY": "much"}, "RUNNER_BUILD_MEMORY"),
        ({"RUNNER_BUILDER": "kaniko"}, "RUNNER_BUILDER"),
        ({"RUNNER_BUILD_ARGS": "NAME"}, "RUNNER_BUILD_ARGS"),
        ({"RUNNER_BUILD_ARGS": "A-B=1"}, "RUNNER_BUILD_ARGS"),
        ({"RUNNER_BUILD_SECRETS": "npmrc=relative"}, "RUNNER_BUILD_SECRETS"),
        ({"RUNNER_BUILD_SECRETS": "a/b=/etc/x"}, "RUNNER_BUILD_SECRETS"),
        ({"RUNNER_NODE_IMAGE": "-v"}, "RUNNER_NODE_IMAGE"),
        ({"RUNNER_PLAIN_HTTP_REGISTRIES": "http://x"}, "RUNNER_PLAIN_HTTP_REGISTRIES"),
    ],
)
def test_settings_that_must_be_mended_are_named(
    changes: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**NEEDED, **changes}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=words):
        load(RunnerSettings)


def test_documented_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NEEDED, "ACR_USERNAME": "robot", "ACR_PASSWORD": "pw", "ACR_REGISTRY": "reg:5000"}.items():
        monkeypatch.setenv(name, value)
    settings = load(RunnerSettings)
    assert (settings.username, settings.password, settings.pull) == ("robot", "pw", True)
    assert (settings.lease_seconds, settings.poll_seconds, settings.namespace) == (30, 3, "funaistudio")
    assert settings.build_memory_bytes == 2 * 1024**3
    assert settings.template_node_image == "reg:5000/funaistudio/base-node:latest-curl1"
    assert (settings.builder, settings.build_seconds, settings.build_arguments) == ("auto", 1800, {})
    monkeypatch.setenv("RUNNER_DOCKER_BUILD_PULL", "false")
    assert load(RunnerSettings).pull is False


def test_what_every_build_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "NPM_REGISTRY": "http://npm:4873",
        "RUNNER_BUILD_ARGS": "PIP_INDEX_URL=http://pip:3141/a?b=c, GOPROXY=",
        "RUNNER_BUILD_SECRETS": "npmrc=/etc/funai/npmrc",
    }
    for name, value in {**NEEDED, **given}.items():
        monkeypatch.setenv(name, value)
    settings = load(RunnerSettings)
    arguments = {"NPM_REGISTRY": "http://npm:4873", "PIP_INDEX_URL": "http://pip:3141/a?b=c", "GOPROXY": ""}
    assert settings.build_arguments == arguments
    assert settings.secret_files == {"npmrc": Path("/etc/funai/npmrc")}
    assert hidden_words("//reg/:_authToken=abcdefgh12\n") == (
        "//reg/:_authToken=abcdefgh12",
        "abcdefgh12",
    )


def test_a_robot_of_harbor_keeps_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "robot$funaistudio+runner"
    for variable, value in {**NEEDED, "ACR_REGISTRY": "r.example", "REGISTRY_PASSWORD": "p$HOME"}.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "funai.toml").write_text(f'[registry]\nusername = "{name}"\n')
    monkeypatch.setenv("FUNAI_CONFIG", str(tmp_path / "funai.toml"))
    assert (load(RunnerSettings).username, load(RunnerSettings).password) == (name, "p$HOME")
    monkeypatch.setenv("REGISTRY_USERNAME", name)
    settings = load(RunnerSettings)
    assert settings.username == name
    account = RegistryAccount(settings.registry, settings.username, settings.password)
    sent = base64.urlsafe_b64decode(account.header("r.example/a/b:1"))
    assert json.loads(sent) == {"username": name, "password": "p$HOME", "serveraddress": "r.example"}
