"""The control plane starts with secrets of its own, or not at all."""

import pytest

from daemons.deploy.settings import DeploySettings
from daemons.kit.settings import Misconfigured, load
from tests.http.deploy.plane import ENVIRONMENT, TOKENS

NAMES = ["DEPLOY_ADMIN_TOKEN", "DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_RUNNER_TOKEN", "DEPLOY_NODE_TOKEN"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENVIRONMENT, "FUNAI_CONFIG", "DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET"):
        monkeypatch.delenv(name, raising=False)


def test_the_usual_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, str(value))
    settings = load(DeploySettings)
    assert (settings.host, settings.port, settings.node_stale_seconds, settings.max_attempts) == (
        "127.0.0.1",
        7002,
        45,
        3,
    )
    assert set(TOKENS.values()) <= set(settings.secret_values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", ["", "CHANGE_ME", "CHANGE_ME_STRONG_ADMIN_TOKEN", "short", "sixteen-bytes-\u00fc\u00fc"]
)
def test_a_missing_placeholder_or_weak_secret_stops_the_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(DeploySettings, **{**ENVIRONMENT, name: value})
    assert name in str(caught.value) and (not value or value not in str(caught.value))


def test_every_missing_secret_is_named_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(DeploySettings)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_placeholder_for_the_agent_stops_the_start_too() -> None:
    with pytest.raises(Misconfigured, match="RUNTIME_AGENT_TOKEN"):
        load(DeploySettings, **{**ENVIRONMENT, "RUNTIME_AGENT_TOKEN": "CHANGE_ME"})


def test_two_roles_never_share_a_token() -> None:
    with pytest.raises(Misconfigured) as caught:
        load(DeploySettings, **{**ENVIRONMENT, "DEPLOY_NODE_TOKEN": TOKENS["admin"]})
    assert "DEPLOY_ADMIN_TOKEN" in str(caught.value) and "DEPLOY_NODE_TOKEN" in str(caught.value)
    assert TOKENS["admin"] not in str(caught.value)


def test_a_role_that_is_switched_off_needs_no_token() -> None:
    settings = load(DeploySettings, **{**ENVIRONMENT, "DEPLOY_RUNNER_TOKEN": "", "DEPLOY_RUNNER_AUTH_ENABLED": "false"})
    assert settings.runner_tokens == () and not settings.runner_enabled


def test_documented_names_of_the_shared_secrets_are_read_too() -> None:
    changed = {**ENVIRONMENT, "DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET": "another-secret-of-nodes"}
    del changed["DEPLOY_NODE_TOKEN"]
    assert [token.get_secret_value() for token in load(DeploySettings, **changed).node_tokens] == [
        "another-secret-of-nodes"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEPLOY_ADMIN_ALLOWED_IPS", "10.0.0.1, nonsense"),
        ("DEPLOY_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("DEPLOY_PORT", "70000"),
        ("DEPLOY_JOB_MAX_ATTEMPTS", "0"),
        ("DEPLOY_RUNTIME_NODE_REGISTRY_PLACEMENT_STRATEGY", "random"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        load(DeploySettings, **{**ENVIRONMENT, name: value})


REGISTRY = {
    "DEPLOY_REGISTRY_CLEANUP_ENABLED": "true",
    "DEPLOY_REGISTRY_CLEANUP_BASE_URL": "harbor.example",
    "DEPLOY_REGISTRY_CLEANUP_USERNAME": "robot$funai",
    "DEPLOY_REGISTRY_CLEANUP_PASSWORD": "of-the-robot",
}


def test_the_documented_settings_of_the_registry_are_enough() -> None:
    settings = load(DeploySettings, **{**ENVIRONMENT, **REGISTRY})
    assert (settings.registry_kind, settings.registry_base_url) == ("harbor", "http://harbor.example")
    assert (settings.registry_project, settings.registry_login) == ("funaistudio", ("robot$funai", "of-the-robot"))
    assert "of-the-robot" in settings.secret_values() and not load(DeploySettings, **ENVIRONMENT).registry_base_url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEPLOY_REGISTRY_CLEANUP_BASE_URL", ""),
        ("DEPLOY_REGISTRY_CLEANUP_BASE_URL", "http://robot:of-the-url@harbor.example"),
        ("DEPLOY_REGISTRY_CLEANUP_PASSWORD", ""),
        ("DEPLOY_REGISTRY_CLEANUP_PASSWORD", "CHANGE_ME"),
        ("DEPLOY_REGISTRY_CLEANUP_USERNAME", ""),
        ("DEPLOY_REGISTRY_CLEANUP_PROJECT", "../library"),
        ("DEPLOY_REGISTRY_CLEANUP_KIND", "ftp"),
    ],
)
def test_a_registry_that_cannot_be_cleaned_like_this_stops_the_start(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name) as caught:
        load(DeploySettings, **{**ENVIRONMENT, **REGISTRY, name: value})
    assert "of-the-url" not in str(caught.value) and "of-the-robot" not in str(caught.value)


WEBHOOK = {"DEPLOY_WEBHOOK_URL": "http://127.0.0.1:8080/results?of=a", "DEPLOY_WEBHOOK_SECRET": "the-new-secret-of-it"}


def test_a_webhook_has_an_address_and_one_or_two_secrets_that_nobody_is_shown() -> None:
    given = {**WEBHOOK, "DEPLOY_WEBHOOK_SECRET": "the-new-secret-of-it, the-old-secret-of-it"}
    settings = load(DeploySettings, **{**ENVIRONMENT, **given})
    assert settings.webhook_url.get_secret_value() == WEBHOOK["DEPLOY_WEBHOOK_URL"]
    assert [each.get_secret_value() for each in settings.webhook_secrets] == [
        "the-new-secret-of-it",
        "the-old-secret-of-it",
    ]
    assert "the-old-secret-of-it" in settings.secret_values() and "of=a" not in repr(settings)
    assert not load(DeploySettings, **ENVIRONMENT).webhook_url


@pytest.mark.parametrize(("missing", "given"), [tuple(WEBHOOK), tuple(reversed(WEBHOOK))])
def test_half_a_webhook_stops_the_start(missing: str, given: str) -> None:
    with pytest.raises(Misconfigured, match=f"{missing} is not set; set it, or unset {given}"):
        load(DeploySettings, **{**ENVIRONMENT, **WEBHOOK, missing: ""})


@pytest.mark.parametrize("secret", ["CHANGE_ME", "short", TOKENS["api"]])
def test_a_placeholder_or_a_secret_of_another_role_stops_the_start(secret: str) -> None:
    with pytest.raises(Misconfigured, match="DEPLOY_WEBHOOK_SECRET") as caught:
        load(DeploySettings, **{**ENVIRONMENT, **WEBHOOK, "DEPLOY_WEBHOOK_SECRET": secret})
    assert secret not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://a/b", "http://user:word@a/b", "http://a/b#c", "http://a b/", "a/b", "http://"])
def test_a_webhook_is_a_plain_address(url: str) -> None:
    with pytest.raises(Misconfigured, match="DEPLOY_WEBHOOK_URL must be http") as caught:
        load(DeploySettings, **{**ENVIRONMENT, **WEBHOOK, "DEPLOY_WEBHOOK_URL": url})
    assert "word" not in str(caught.value)
