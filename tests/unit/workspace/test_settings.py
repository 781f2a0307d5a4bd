"""Settings of a workspace node that belong together."""

import pytest

from daemons.kit.settings import Misconfigured, load
from daemons.workspace.settings import WorkspaceSettings

_API = "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL"
_TOKEN = "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN"
GOOD: dict[str, str] = {
    "WORKSPACE_NODE_INTERNAL_SHARED_SECRET": "workspace-secret-of-tests",
    "FUNAI_WORKSPACE_NGINXAUTHTOKEN": "gateway-token-of-tests-1",
    "FUNAI_WORKSPACE_GIT_ENABLED": "true",
    "FUNAI_WORKSPACE_GIT_KEYS": "api",
    _API: "http://127.0.0.1:8080",
    _TOKEN: "own-node-token-0123456789",
}


def settings(**changed: str) -> WorkspaceSettings:
    return load(WorkspaceSettings, **(GOOD | changed))


def test_keys_come_from_the_folder_unless_it_is_said() -> None:
    plain = {name: value for name, value in GOOD.items() if "GIT_KEYS" not in name and "REGISTRY" not in name}
    assert load(WorkspaceSettings, **plain).git_keys == "folder"
    assert settings().git_keys == "api"


@pytest.mark.parametrize("name", [_API, _TOKEN])
def test_who_borrows_keys_says_of_whom_and_by_what(name: str) -> None:
    without = {known: value for known, value in GOOD.items() if known != name}
    with pytest.raises(Misconfigured, match=name) as refusal:
        load(WorkspaceSettings, **without)
    assert "0123456789" not in str(refusal.value)
    assert not load(WorkspaceSettings, **(without | {"FUNAI_WORKSPACE_GIT_ENABLED": "false"})).git_enabled


def test_there_is_no_third_way() -> None:
    with pytest.raises(Misconfigured, match="FUNAI_WORKSPACE_GIT_KEYS"):
        settings(FUNAI_WORKSPACE_GIT_KEYS="gitea")
