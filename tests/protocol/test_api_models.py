"""Golden JSON of what the API says and reads: a change of these files is a change of the contract."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from protocol.api import (
    AddGitKey,
    AppDeletionView,
    AppIds,
    AppInfo,
    AppPart,
    AppState,
    CreateApp,
    GitAccess,
    GitAccessFile,
    GitCreation,
    GitGrant,
    GitKey,
    GitKeyInfo,
    GitLoan,
    GitRemoval,
    GitTemplate,
    OpenedEditor,
    RepoStatus,
    SlugAnswer,
    SlugQuestion,
    StartDeployment,
    StoppedDeployment,
    UpdateApp,
    UserInfo,
)
from protocol.base import Wire
from protocol.configuration import AppConfig
from protocol.workspace_runs import RunState, RunType, RunView

GOLDEN = Path(__file__).parent / "golden"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
FINGERPRINT = "SHA256:" + "A" * 43
URL = "http://127.0.0.1:8088/runtime/20001/"

MODELS: dict[str, Wire] = {
    "user_info": UserInfo(user_id=1, user_name="demo"),
    "create_app": CreateApp(app_name="shop", app_description="sells", app_type="web"),
    "app_info": AppInfo(
        id=20001,
        user_id=1,
        app_name="shop",
        app_status=AppState.READY,
        last_job_id="00000000-0000-4000-8000-000000000001",
        deploy_url=URL,
        deploy_access_url=URL,
        access_url=URL,
        repo_ssh_url="ssh://git@127.0.0.1:2222/funai/u1-app20001.git",
        repo_status=RepoStatus.FAILED,
        repo_reason="the git server has the order, and has not carried it out yet; does it run?",
        app_slug="my-shop",
        create_time=MOMENT,
        update_time=MOMENT,
    ),
    "update_app": UpdateApp(
        app_id="20001", app_name="store", app_description="sells", app_type="web", app_slug="my-store"
    ),
    "slug_question": SlugQuestion(app_slug="my-store", app_id="20001"),
    "slug_answer": SlugAnswer(app_slug="my-store", available=False, reason="taken"),
    "opened_editor": OpenedEditor(
        user_id=1,
        app_id="20001",
        project_dir="/workspace/apps/20001",
        has_package_json=True,
        run_status=RunView(user_id="1", state=RunState.RUNNING, type=RunType.START, app_id="20001", preview_url=URL),
        message="how the app's deployments stand is not known now; look again in a minute",
    ),
    "app_deletion": AppDeletionView(
        app_id=20001,
        user_id=1,
        app_name="shop",
        complete=False,
        left=(AppPart.WORKSPACE, AppPart.REPOSITORY),
        attempts=2,
        problem="workspace: workspace node ws-1 does not answer; repository: waits until nobody can push to it",
        asked_at=MOMENT,
        next_attempt_at=MOMENT,
        message="shop is gone; what is left elsewhere is taken away without another call: workspace, repository",
    ),
    "git_creation": GitCreation(
        repository="funai/u1-app20001", templates=(GitTemplate(path="Dockerfile", content="FROM scratch\n"),)
    ),
    "git_removal": GitRemoval(repository="funai/u1-app20001"),
    "app_ids": AppIds(app_ids=(20001, 20002), count=2),
    "start_deployment": StartDeployment(
        config=AppConfig(secrets={"API_KEY": "of the tests"}, memory_bytes=268_435_456),
        container_port=3000,
        git_ref="main",
        git_submodules=True,
        base_path="/runtime/20001",
        health_check_path="/healthz",
        image_tag="latest",
        dockerfile_path="deploy/Dockerfile",
        build_context="web",
        image="busybox:1.36",
    ),
    "stopped_deployment": StoppedDeployment(
        user_id=1, app_id="20001", status="STOPPING", pending=True, message="the app's node has not stopped it yet"
    ),
    "add_git_key": AddGitKey(title="laptop", public_key=f"{PUBLIC_KEY} me@laptop"),
    "git_key_info": GitKeyInfo(
        id=1, title="laptop", fingerprint=FINGERPRINT, public_key=PUBLIC_KEY, create_time=MOMENT
    ),
    "git_loan": GitLoan(
        principal="workspace:7/20001",
        fingerprint=FINGERPRINT,
        public_key=PUBLIC_KEY,
        grants=(GitGrant(repository="funai/u7-app20001", access=GitAccess.WRITE),),
        expires_at_ms=1767323045678,
    ),
    "git_access_file": GitAccessFile(
        keys=(
            GitKey(
                principal="user:1",
                fingerprint=FINGERPRINT,
                public_key=PUBLIC_KEY,
                grants=(
                    GitGrant(repository="funai/u1-app20001", access=GitAccess.WRITE),
                    GitGrant(repository="*", access=GitAccess.READ),
                ),
            ),
        )
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_wire_form_is_the_golden_one(name: str) -> None:
    model = MODELS[name]
    golden = (GOLDEN / f"api_{name}.json").read_bytes()
    assert orjson.dumps(model.to_data(), option=orjson.OPT_INDENT_2) + b"\n" == golden
    assert type(model).model_validate_json(golden) == model


@pytest.mark.parametrize("name", MODELS)
def test_unknown_keys_are_ignored(name: str) -> None:
    document = orjson.loads((GOLDEN / f"api_{name}.json").read_bytes()) | {"fromTheFuture": [1]}
    assert type(MODELS[name]).model_validate_json(orjson.dumps(document)) == MODELS[name]


@pytest.mark.parametrize(
    "grant",
    [
        {"repository": "funai/../x", "access": "read"},
        {"repository": "funai/x/y", "access": "read"},
        {"repository": "-x/y", "access": "read"},
        {"repository": "funai/x", "access": "admin"},
        {"repository": "*/x", "access": "read"},
    ],
)
def test_a_grant_names_one_repository_or_all(grant: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"repository|access"):
        GitGrant.model_validate_json(orjson.dumps(grant))
