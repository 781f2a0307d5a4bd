"""The agent's HTTP surface over twins: status codes, words, who may call."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from daemons.agent.domain.images import RegistryRefused, require_allowed
from daemons.agent.http.problems import PROBLEMS
from daemons.agent.settings import AgentSettings
from daemons.kit.settings import Misconfigured, load
from protocol.apps import AppRef, DeployApp, RunCondition, WarmImage, WarmState
from protocol.client.agent import AgentClient
from protocol.client.transport import Refused, Transport
from protocol.configuration import AppConfig, RestartPolicy, RolloutStrategy
from tests.support.agent_served import listening, twin_parts
from tests.support.agent_twins import (
    Behaviour,
    TwinControlPlane,
    TwinEngine,
    TwinGateway,
)
from tests.support.eventually import eventually
from tests.support.output_twins import TwinOutputs

TOKEN = "runtime-token-of-tests"
IMAGE = "funai/u7-app5:aaaaaaaaaaaa-1"


@dataclass
class Served:
    """A running agent and what is around it."""

    url: str
    engine: TwinEngine
    gateway: TwinGateway
    plane: TwinControlPlane
    outputs: TwinOutputs


def settings(**more: str) -> AgentSettings:
    known = {
        "RUNTIME_AGENT_TOKEN": TOKEN,
        "DEPLOY_BASE_URL": "http://127.0.0.1:1",
        "DEPLOY_NODE_TOKEN": "node-token-of-tests-1",
        "RUNTIME_NODE_AGENT_BASE_URL": "http://127.0.0.1:7005",
        "RUNTIME_NODE_GATEWAY_BASE_URL": "http://127.0.0.1:8088",
        "RUNTIME_START_SECONDS": "0.2",
    }
    return load(AgentSettings, **(known | more))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    engine = TwinEngine(local={IMAGE: "sha256:1", "funai/u7-app5:bad": "sha256:bad"})
    engine.behaviours["sha256:bad"] = Behaviour(exit_code=9, output="what broke\n")
    gateway, plane = TwinGateway(), TwinControlPlane()
    outputs = TwinOutputs()
    parts = twin_parts(engine, gateway=gateway, control_plane=plane, outputs=outputs)
    async with listening(settings(), parts) as (_, url):
        yield Served(url, engine, gateway, plane, outputs)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[AgentClient]:
    async with Transport(served.url, {"X-Runtime-Token": TOKEN}) as transport:
        yield AgentClient(transport)


def caller(served: Served) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(served.url, headers={"X-Runtime-Token": TOKEN})


def deploy(image: str = IMAGE, fence: int | None = 1) -> DeployApp:
    return DeployApp(user_id="7", app_id="5", image=image, fence=fence)


async def test_an_app_is_deployed_seen_and_deleted(served: Served, client: AgentClient) -> None:
    answer = await client.deploy(deploy())
    assert answer.to_data() == {
        "appId": "5",
        "containerName": "rt-u-7-5-r1",
        "status": "DEPLOYED",
        "previewUrl": "http://127.0.0.1:8088/runtime/5/",
        "watchSeconds": 10.0,
    }
    status = await client.status("7", "5")
    assert (status.exists, status.running, status.image, status.port, status.fence) == (True, True, IMAGE, 20001, 1)
    assert (status.condition, status.reason) == (RunCondition.WATCHED, None)
    assert (await client.apps()).items == (status,)
    deleted = await client.delete(AppRef(user_id="7", app_id="5"))
    assert (deleted.status, deleted.mongo.enabled) == ("DELETED", False)
    assert served.gateway.routes == {}
    assert (await client.status("7", "5")).exists is False


async def test_the_containers_of_all_apps_are_told(served: Served, client: AgentClient) -> None:
    assert (await client.containers()).containers == ()
    deployed = await client.deploy(DeployApp(user_id="7", app_id="5", image=IMAGE, fence=3))
    (found,) = (await client.containers()).containers
    assert (found.name, found.user_id, found.app_id, found.running) == (deployed.container_name, "7", "5", True)
    served.engine.broken["own"] = "the engine is away"
    with pytest.raises(Refused, match="the engine is away"):
        await client.containers()
    async with aiohttp.ClientSession(served.url) as anyone:
        assert (await anyone.get("/agent/apps/containers")).status == 401


async def test_an_app_runs_as_its_configuration_says(served: Served, client: AgentClient) -> None:
    config = AppConfig(
        environment={"LANG": "C.UTF-8"},
        secrets={"API_KEY": "hidden value"},
        memory_bytes=64 * 1024**2,
        cpu_millis=250,
        pids_limit=32,
        stop_grace_seconds=3,
        restart_policy=RestartPolicy.NEVER,
        strategy=RolloutStrategy.STOP_FIRST,
    )
    await client.deploy(deploy().model_copy(update={"config": config}))
    spec = served.engine.containers["rt-u-7-5-r1"].spec
    assert spec.environment == {"LANG": "C.UTF-8", "API_KEY": "hidden value"}
    assert (spec.limits.memory_bytes, spec.limits.nano_cpus, spec.limits.pids) == (64 * 1024**2, 250_000_000, 32)
    greedy = deploy(fence=2).model_copy(update={"config": config.model_copy(update={"memory_bytes": 2**40})})
    with pytest.raises(Refused, match="more than this node gives one app") as refused:
        await client.deploy(greedy)
    assert refused.value.status == 400
    async with caller(served) as session:
        body = {"userId": "7", "appId": "5", "image": IMAGE, "config": {"secrets": {"A-B": "hidden value"}}}
        async with session.post("/agent/apps/deploy", json=body) as response:
            text = await response.text()
            assert (response.status, "hidden" in text) == (400, False)


async def test_the_apps_own_images_are_told_and_no_other(served: Served, client: AgentClient) -> None:
    digest = f"registry:5000/funai/u7-app5@sha256:{'a' * 64}"
    served.engine.local |= {digest: "sha256:2", "funai/u7-app55:x": "sha256:3", "funai/u17-app5:x": "sha256:4"}
    answer = await client.images("7", "5")
    assert answer.images == (IMAGE, "funai/u7-app5:bad", digest)
    assert (await client.images("8", "5")).images == ()
    served.engine.broken["images"] = "the engine is away"
    with pytest.raises(Refused, match="the engine is away"):
        await client.images("7", "5")
    async with aiohttp.ClientSession(served.url) as anyone:
        assert (await anyone.get("/agent/apps/images?userId=7&appId=5")).status == 401


async def test_failures_say_why(served: Served, client: AgentClient) -> None:
    served.plane.refusal = "the job was cancelled"
    for order, status, reason, says in [
        (deploy("funai/u7-app5:bad"), 500, "deploy_failed", "what broke"),
        (deploy("funai/u7-app5:absent"), 500, "deploy_failed", "not available"),
        (deploy(IMAGE, 2), 409, "stale_fence", "cancelled"),
        (deploy(IMAGE, 1), 409, "stale_fence", "stale"),
        (deploy(IMAGE, None), 400, "invalid_request", "fence"),
    ]:
        with pytest.raises(Refused) as refused:
            await client.deploy(order)
        assert (refused.value.status, refused.value.reason) == (status, reason)
        assert says in str(refused.value)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "userId"),
        ({"userId": "7", "appId": "5"}, "image"),
        ({"userId": "", "appId": "5", "image": "a"}, "userId"),
        ({"userId": "7", "appId": "../5", "image": "a"}, "appId"),
        ({"userId": "7", "appId": ["5"], "image": "a"}, "appId"),
        ({"userId": "7", "appId": "5", "image": "A B"}, "image"),
        ({"userId": "7", "appId": "5", "image": "a", "containerPort": 0}, "containerPort"),
        ({"userId": "7", "appId": "5", "image": "a", "containerPort": "3000"}, "containerPort"),
        ({"userId": "7", "appId": "5", "image": "a", "basePath": "/runtime/6"}, "basePath"),
        ({"userId": "7", "appId": "5", "image": "a", "basePath": "/a\r\nX: y"}, "basePath"),
        ({"userId": "7", "appId": "5", "image": "a", "healthCheckPath": "x"}, "healthCheckPath"),
        ({"userId": "7", "appId": "5", "image": "a", "fence": 0}, "fence"),
    ],
)
async def test_bad_input_names_the_field_and_reaches_nothing(
    served: Served, body: dict[str, object], field: str
) -> None:
    before = list(served.engine.calls)
    async with caller(served) as session, session.post("/agent/apps/deploy", json=body) as response:
        document = await response.json()
        assert (response.status, document["reason"]) == (400, "invalid_request")
        assert field in document["detail"]
    assert [call for call in served.engine.calls if call.startswith("create")] == [
        call for call in before if call.startswith("create")
    ]


async def test_an_image_is_fetched_before_it_is_deployed(served: Served, client: AgentClient) -> None:
    image = f"registry.example/funai/u7-app5@sha256:{1:064x}"
    served.engine.registry[image] = "sha256:1"
    order = WarmImage(user_id="7", app_id="5", image=image)
    assert (await client.warm(order)).state is WarmState.PULLING
    assert (await client.cool("7", "5")).state is WarmState.SKIPPED
    served.engine.local[image] = "sha256:1"
    assert (await client.warm(order)).state is WarmState.HERE
    body = {"userId": "7", "appId": "5"}
    for wrong in ("registry.example/funai/u7-app5:latest", f"funai/u7-app5@sha256:{1:064x}", "-x", ""):
        async with (
            caller(served) as session,
            session.post("/agent/images/warm", json=body | {"image": wrong}) as answer,
        ):
            assert answer.status == 400 and "image" in (await answer.json())["detail"]


async def test_only_allowed_registries_are_pulled_from() -> None:
    for reference, allowed in [
        ("registry.example/funai/u7-app5:a", True),
        ("registry.example:5000/funai/u7-app5:a", False),
        ("other.example/funai/u7-app5:a", False),
        ("registry.example.other.example/funai/u7-app5:a", False),
        ("funai/u7-app5:a", True),
    ]:
        if allowed:
            require_allowed(reference, ("registry.example",))
        else:
            with pytest.raises(RegistryRefused, match="RUNTIME_REGISTRIES"):
                require_allowed(reference, ("registry.example",))
        require_allowed(reference, ())


async def test_ids_may_be_numbers_and_unknown_keys_are_ignored(served: Served) -> None:
    body = {"userId": 7, "appId": 5, "image": IMAGE, "fence": 1, "whatever": {"a": 1}}
    async with caller(served) as session, session.post("/agent/apps/deploy", json=body) as response:
        assert (response.status, (await response.json())["appId"]) == (200, "5")


async def test_output_is_told_without_secrets(served: Served, client: AgentClient) -> None:
    served.engine.behaviours["sha256:1"] = Behaviour(output="the key is sup3r-secret\n")
    config = AppConfig(secrets={"KEY": "sup3r-secret"})
    answer = await client.deploy(deploy().model_copy(update={"config": config}))
    async with aiohttp.ClientSession(served.url, headers={"X-Runtime-Token": TOKEN}) as session:
        async with session.get("/agent/apps/logs?userId=7&appId=5") as response:
            assert response.status == 500 and "sup3r" not in await response.text()
        await served.outputs.write(answer.container_name, "x")
        served.outputs.given[answer.container_name] = {"KEY": "sup3r-secret"}
        async with session.get("/agent/apps/logs?userId=7&appId=5") as response:
            assert await response.text() == "the key is [secret]\n"


async def test_output_is_text(served: Served, client: AgentClient) -> None:
    served.engine.behaviours["sha256:1"] = Behaviour(output="one\ntwo\n")
    await client.deploy(deploy())
    async with aiohttp.ClientSession(served.url, headers={"X-Runtime-Token": TOKEN}) as session:
        async with session.get("/agent/apps/logs?userId=7&appId=5&tail=1") as response:
            assert (response.content_type, await response.text()) == ("text/plain", "two\n")
        async with session.get("/agent/apps/logs?userId=8&appId=5") as response:
            assert response.status == 404


@pytest.mark.parametrize("token", [None, "", "wrong-token-of-tests-1", TOKEN + "x"])
async def test_nothing_is_done_without_the_token(served: Served, token: str | None) -> None:
    headers = {"X-Runtime-Token": token} if token is not None else {}
    async with aiohttp.ClientSession(served.url, headers=headers) as session:
        for method, path in [
            ("POST", "/agent/apps/deploy"),
            ("POST", "/agent/apps/stop"),
            ("POST", "/agent/apps/delete"),
            ("GET", "/agent/apps/status"),
            ("GET", "/agent/apps/logs"),
            ("POST", "/agent/images/warm"),
            ("DELETE", "/agent/images/warm"),
            ("POST", "/agent/disk/collect"),
        ]:
            async with session.request(method, path) as response:
                assert (response.status, (await response.json())["reason"]) == (401, "unauthorized")
        for path in ("/internal", "/internal/health"):
            async with session.get(path) as response:
                assert await response.json() == {"ok": True}
        async with session.get("/metrics") as response:
            assert "funai_http_requests_total" in await response.text()
        async with session.get("/docs") as response:
            assert (response.status, (await response.json())["reason"]) == (404, "not_found")


async def test_heartbeats_are_sent_at_once_and_after_a_deployment(served: Served, client: AgentClient) -> None:
    async def beats() -> bool:
        return bool(served.plane.beats)

    await eventually(beats)
    served.plane.beats.clear()
    await client.deploy(deploy())
    await eventually(beats)
    report = served.plane.beats[-1]
    assert report.disk is not None
    assert (report.disk.free_pct, report.running, report.containers) == (50.0, 1, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_AGENT_TOKEN", "CHANGE_ME"),
        ("RUNTIME_AGENT_TOKEN", ""),
        ("RUNTIME_APP_MEMORY", "lots"),
        ("RUNTIME_APP_CPUS", "half"),
        ("RUNTIME_APP_PORTS", "3000"),
        ("RUNTIME_DOCKER_NETWORK", "a/b"),
        ("RUNTIME_DISK_NO_PULLS", "15"),
        ("RUNTIME_DISK_NO_PULLS", "95%"),
        ("RUNTIME_DISK_NO_PULLS", "15%/many"),
        ("RUNTIME_DISK_NO_PULLS", "30%/20g"),
        ("RUNTIME_DISK_STOPS_ONLY", "7%/30g"),
        ("RUNTIME_REGISTRIES", "registry.example/path"),
        ("RUNTIME_NODE_LABELS", "gpu, Not-A-Label"),
    ],
)
def test_what_must_be_mended_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        settings(**{name: value})


def test_fences_need_a_deploy_to_confirm_them() -> None:
    with pytest.raises(Misconfigured, match="RUNTIME_REQUIRE_FENCE=false"):
        settings(DEPLOY_BASE_URL="")
    assert settings(DEPLOY_BASE_URL="", RUNTIME_REQUIRE_FENCE="false").confirms is False


def test_limits_are_written_as_docker_writes_them() -> None:
    found = settings(RUNTIME_APP_MEMORY="1g", RUNTIME_APP_CPUS="0.5", RUNTIME_APP_PORTS="21000-21999")
    assert (found.memory_bytes, found.nano_cpus, found.app_ports) == (2**30, 500_000_000, (21000, 21999))


def test_labels_are_read_by_commas_and_none_are_sent_unless_some_are_named() -> None:
    assert settings(RUNTIME_NODE_LABELS="ssd, gpu").labels == ("gpu", "ssd")
    assert settings(RUNTIME_NODE_LABELS="").labels is None and settings().labels is None


def test_every_problem_has_a_status_of_an_error() -> None:
    assert all(400 <= status < 600 for status, _ in PROBLEMS.values())
