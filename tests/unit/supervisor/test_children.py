"""Each child gets its own settings and secrets, in the environment and never on its command line."""

from pathlib import Path

import pytest

from daemons.supervisor.domain import credentials
from daemons.supervisor.domain.network import Ports
from daemons.supervisor.ports import Child
from daemons.supervisor.services.children import Plan
from daemons.supervisor.services.platform import STOP_ORDER, WAVES
from daemons.supervisor.settings import Layout

SECRETS = {name: f"secret-of-{name}" for name in credentials.NAMES}


def children(
    environment: dict[str, str] | None = None, database_url: str | None = None, filters_packets: bool = True
) -> dict[str, Child]:
    plan = Plan(
        layout=Layout(Path("/srv/funai")),
        ports=Ports(),
        credentials=SECRETS,
        environment=environment or {},
        engine_url="unix:///srv/engine.sock",
        python="/venv/bin/python",
        haproxy="/usr/sbin/haproxy",
        filters_packets=filters_packets,
        base_image="busybox:1.36",
        database_url=database_url,
    )
    return {child.name: child for child in plan.children()}


def test_everything_is_started_and_stopped() -> None:
    assert set(children()) == {name for wave in WAVES for name in wave} == set(STOP_ORDER)


@pytest.mark.parametrize("name", credentials.NEEDED_BY)
def test_a_child_knows_its_own_secrets_and_no_others(name: str) -> None:
    caller = {**SECRETS, "HOME": "/root", "UNRELATED_PASSWORD": "hunter2"}
    environment = children(caller)[name].environment
    held = {value for value in environment.values() if value.startswith("secret-of-")}
    assert held == {SECRETS[secret] for secret in credentials.NEEDED_BY[name]}
    assert "UNRELATED_PASSWORD" not in environment


def test_no_secret_is_on_a_command_line() -> None:
    lines = [" ".join(child.argv) for child in children(database_url="mysql://u:pass@h/n").values()]
    assert not [line for line in lines if "secret" in line or "pass" in line]


def test_the_control_plane_tells_the_api_of_results_and_both_know_the_secret() -> None:
    built = children({"API_DEPLOY_WEBHOOK_SECRET": "the secret of another platform"})
    told = built["deploy"].environment
    assert told["DEPLOY_WEBHOOK_URL"] == "http://127.0.0.1:8080/api/fun-ai/internal/deploy-events"
    assert built["api"].environment["API_DEPLOY_WEBHOOK_SECRET"] == told["DEPLOY_WEBHOOK_SECRET"]
    elsewhere = children({"DEPLOY_WEBHOOK_URL": "http://10.0.0.7/results"})["deploy"].environment
    assert elsewhere["DEPLOY_WEBHOOK_URL"] == "http://10.0.0.7/results"


def test_apps_are_fenced_off_unless_the_platform_may_not_or_the_operator_does_not_want_it() -> None:
    word = "RUNTIME_APP_FIREWALL"
    assert children()["agent"].environment[word] == "true"
    assert children(filters_packets=False)["agent"].environment[word] == "false"
    assert children({word: "false"})["agent"].environment[word] == "false"


def test_the_database_is_a_file_unless_one_is_named() -> None:
    assert children()["deploy"].environment["DEPLOY_DB_URL"] == "sqlite:////srv/funai/deploy.db"
    assert children(database_url="mysql://u:p@h:1/n")["deploy"].environment["DEPLOY_DB_URL"] == "mysql://u:p@h:1/n"


def test_settings_of_the_caller_reach_the_child_they_are_for() -> None:
    built = children({"RUNNER_SLOTS": "4", "RUNTIME_APP_MEMORY": "1g", "DEPLOY_JOB_MAX_ATTEMPTS": "5"})
    assert built["runner"].environment["RUNNER_SLOTS"] == "4"
    assert built["agent"].environment["RUNTIME_APP_MEMORY"] == "1g"
    assert built["deploy"].environment["DEPLOY_JOB_MAX_ATTEMPTS"] == "5"
    assert "RUNNER_SLOTS" not in built["agent"].environment


@pytest.mark.parametrize("names", [("REGISTRY_USERNAME", "REGISTRY_PASSWORD"), ("ACR_USERNAME", "ACR_PASSWORD")])
def test_one_registry_is_told_to_who_pushes_and_to_who_pulls(names: tuple[str, str]) -> None:
    account = dict(zip(names, ("robot", "of-the-registry"), strict=True))
    caller = {"ACR_REGISTRY": "r.example:5000", "ACR_NAMESPACE": "team", "RUNNER_DOCKER_BUILD_PULL": "false", **account}
    built = children(caller)
    agent = built["agent"].environment
    assert {**built["runner"].environment, **caller} == built["runner"].environment
    assert (agent["REGISTRY_URL"], agent["REGISTRY_USERNAME"]) == ("r.example:5000", "robot")
    assert agent["REGISTRY_PASSWORD"] == "of-the-registry"
    for name in ("deploy", "api", "git", "gateway"):
        assert "of-the-registry" not in built[name].environment.values()


def test_the_control_plane_looks_where_images_are_unless_it_is_told_where() -> None:
    def told(**caller: str) -> dict[str, str]:
        given = children(caller)["deploy"].environment
        return {name[24:]: value for name, value in given.items() if name.startswith("DEPLOY_REGISTRY_CLEANUP_")}

    assert told() == {}
    assert told(ACR_REGISTRY="127.0.0.1:5000") == {
        "KIND": "registry",
        "BASE_URL": "http://127.0.0.1:5000",
        "PROJECT": "funaistudio",
    }
    assert told(ACR_REGISTRY="r.example", ACR_NAMESPACE="team")["BASE_URL"] == "https://r.example"
    own = "http://harbor.example"
    assert told(ACR_REGISTRY="r.example", DEPLOY_REGISTRY_CLEANUP_BASE_URL=own) == {"BASE_URL": own}


def test_without_a_registry_runner_and_agent_share_the_engine() -> None:
    built = children()
    assert "ACR_REGISTRY" not in built["runner"].environment
    assert built["agent"].environment["REGISTRY_URL"] == ""


def test_a_long_or_odd_data_folder_has_a_short_plain_name_for_sockets() -> None:
    plain = Layout(Path("/srv/funai"))
    assert plain.short == plain.root
    for root in (Path("/srv") / ("x" * 90), Path("/srv/with space")):
        assert len(str(Layout(root).gateway_socket)) < 60
        assert " " not in str(Layout(root).gateway_socket)


def test_limits_of_workspace_nodes_are_the_api_s_to_know() -> None:
    limit = "FUNAI_WORKSPACE_NODE_LIMITS_MAX_RUNNING_PER_NODE"
    assert children({limit: "30"})["api"].environment[limit] == "30"
