"""Secrets of apps reach the runner that carries a job out, and nobody else."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from daemons.deploy.domain.jobs import submit
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.domain.releases import config_of
from daemons.deploy.domain.views import claimed_view, job_view
from protocol.configuration import AppConfig, RolloutStrategy
from protocol.jobs import CreateJob, JobPayload, JobType

HIDDEN = "what nobody may read"
CONFIG = AppConfig(environment={"LANG": "C.UTF-8"}, secrets={"API_KEY": HIDDEN}, strategy=RolloutStrategy.STOP_FIRST)
JOB = submit(
    "00000000-0000-4000-8000-000000000001",
    JobType.BUILD_AND_DEPLOY,
    JobPayload(user_id="7", app_id="5", image="funai/u7-app5:1", config=CONFIG),
    1,
)


def test_readers_see_names_and_the_runner_sees_values() -> None:
    shown = job_view(JOB)
    assert HIDDEN not in shown.to_json().decode()
    assert shown.payload.config is not None
    assert shown.payload.config.secrets == {"API_KEY": None}
    assert shown.payload.config.environment == {"LANG": "C.UTF-8"}
    claimed = claimed_view(JOB, RuntimeNode(1, "n1", "http://10.0.0.1:7005", "http://10.0.0.1"), 30)
    assert claimed.payload.config == CONFIG
    assert HIDDEN not in repr(claimed)


def test_what_readers_saw_cannot_be_ordered_by_mistake() -> None:
    shown = job_view(JOB).payload.to_data()
    shown = {key: value for key, value in shown.items() if key in {"userId", "appId", "image", "config"}}
    with pytest.raises(ValidationError, match="API_KEY") as refused:
        CreateJob.model_validate_json(json.dumps({"type": "BUILD_AND_DEPLOY", "payload": shown}))
    assert HIDDEN not in str(refused.value)


def test_a_release_tells_configurations_apart_without_the_values_of_secrets() -> None:
    before = config_of("5", JOB.payload)
    other = replace(JOB, payload={**JOB.payload, "config": CONFIG.model_copy(update={"pids_limit": 9}).to_data()})
    assert before.hash != config_of("5", other.payload).hash != config_of("5", {}).hash
    hidden = CONFIG.model_copy(update={"secrets": {"API_KEY": "another"}}).to_data()
    assert config_of("5", {**JOB.payload, "config": hidden}).hash != ""
    assert HIDDEN not in json.dumps(before.run)


@pytest.mark.parametrize(
    "config",
    [
        {"environment": {"PORT": "1"}},
        {"environment": {"A=B": "1"}},
        {"environment": {"1A": "1"}},
        {"environment": {"A": "x\0y"}},
        {"environment": {"A": "1"}, "secrets": {"A": "2"}},
        {"secrets": {f"A{number}": "x" * 30_000 for number in range(5)}},
        {"secrets": {f"A{number}": "" for number in range(201)}},
        {"memoryBytes": 1024},
        {"cpuMillis": 0},
        {"pidsLimit": 1},
        {"stopGraceSeconds": 121},
        {"restartPolicy": "sometimes"},
        {"strategy": "both"},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(config: dict[str, object]) -> None:
    document = {"userId": "7", "appId": "5", "config": config}
    with pytest.raises(ValidationError):
        JobPayload.model_validate_json(json.dumps(document))
