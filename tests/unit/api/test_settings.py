"""Settings of the API entry: documented names, and what keeps it from starting."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from daemons.api.adapters.git_loans import FolderLoans
from daemons.api.adapters.gitea import GiteaHost
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.adapters.passwords import Hardness
from daemons.api.app import build, hosting_of, policy_of, repository_parts
from daemons.api.composition.accounts import AccountParts, account_parts, provider_of
from daemons.api.domain.accounts import Lives
from daemons.api.domain.deployments import Hosting, InvalidDeployment, check_image
from daemons.api.domain.rates import LoginRates, Rate
from daemons.api.settings import ApiSettings
from daemons.kit.settings import Misconfigured, load

GOOD = {
    "API_ADMIN_TOKEN": "admin-token-0123456789",
    "API_USER_TOKEN": "user-token-0123456789",
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": "deploy-secret-0123456789",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_documented_older_name_of_the_secret_is_taken(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("DEPLOY_PROXY_AUTH_SHARED_SECRET")
    environment.setenv("DEPLOY_PROXY_SHARED_SECRET", "another-secret-0123456789")
    assert load(ApiSettings).deploy_secret[0].get_secret_value() == "another-secret-0123456789"


def test_empty_optional_values_mean_none(environment: pytest.MonkeyPatch) -> None:
    for name in ("GIT_ACCESS_FILE", "RUNNER_GIT_PUBLIC_KEY_PATH", "DEPLOY_ACR_REGISTRY", "DEPLOY_ACR_NAMESPACE"):
        environment.setenv(name, "")
    settings = load(ApiSettings)
    assert (settings.access_file, settings.bot_key_path, settings.registry, settings.namespace) == (None,) * 4


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", ["", "short", "CHANGE_ME_STRONG_SECRET_0123456789"])
def test_weak_secrets_do_not_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=name) as refused:
        load(ApiSettings)
    assert not value or value not in str(refused.value)


async def test_roles_do_not_share_a_token(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("API_USER_TOKEN", GOOD["API_ADMIN_TOKEN"])
    with pytest.raises(Misconfigured, match="same token"):
        await build(load(ApiSettings))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEPLOY_GIT_REPO_NAME_TEMPLATE", "app"),
        ("DEPLOY_GIT_REPO_NAME_TEMPLATE", "{userId}/../{appId}"),
        ("DEPLOY_GIT_REPO_OWNER", "Fun AI"),
        ("DEPLOY_GIT_SSH_HOST", "host name"),
    ],
)
def test_repository_names_must_make_a_url(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=name):
        hosting_of(load(ApiSettings))


async def test_the_application_opens_and_closes_its_database(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("API_DB_URL", f"sqlite:///{tmp_path}/api.db")
    environment.setenv("GIT_ACCESS_FILE", f"{tmp_path}/git/access.json")
    for _ in range(2):
        runner = web.AppRunner(await build(load(ApiSettings)))
        await runner.setup()
        assert (tmp_path / "git" / "access.json").read_text() == '{"keys":[]}\n'
        await runner.cleanup()


def test_hosting_names_repositories() -> None:
    hosting = Hosting("git.example.org", 22, "team", "a{appId}-of-{userId}")
    assert hosting.repository_url(7, 20001) == "ssh://git@git.example.org:22/team/a20001-of-7.git"


@pytest.mark.parametrize(
    "image", [None, "busybox:1.36", "r.example.org:5000/ns/u1-app20001:latest", "ns/u1-app20001", "u1-app"]
)
def test_ones_own_and_public_images_may_run(image: str | None) -> None:
    check_image(image, 1, 20001)


@pytest.mark.parametrize(
    "image",
    [
        "ns/u1-app20002",
        "r/u1-app7x:1",
        "ns/u2-app20001:latest",
        "ab",
        "0" * 64,
        "r.example.org:5000/ns/u2-app3@sha256:" + "a" * 64,
    ],
)
def test_other_apps_images_may_not(image: str) -> None:
    with pytest.raises(InvalidDeployment, match="image: "):
        check_image(image, 1, 20001)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_JWT_SECRET", "too-short-for-a-signature-01234"),
        ("API_JWT_SECRET", "CHANGE_ME_TO_SOMETHING_LONGER_0123456789"),
        ("API_PASSWORD_MEMORY_KIB", "19455"),
        ("API_PASSWORD_PASSES", "1"),
        ("API_PASSWORD_LANES", "0"),
        ("API_LOGIN_FAILURES_PER_MINUTE", "0"),
        ("API_CORS_ORIGINS", "*"),
        ("API_CORS_ORIGINS", "null"),
        ("API_CORS_ORIGINS", "https://a.example.org,https://*.example.org"),
        ("API_CORS_ORIGINS", "https://a.example.org/"),
        ("API_CORS_ORIGINS", "https://A.example.org"),
        ("API_CORS_ORIGINS", "a.example.org"),
    ],
)
def test_what_would_make_accounts_weaker_does_not_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=name) as refused:
        load(ApiSettings)
    assert "SOMETHING" not in str(refused.value)


def test_settings_of_accounts_reach_what_they_set(environment: pytest.MonkeyPatch) -> None:
    given = {
        "API_JWT_SECRET": f"{'a' * 32},{'b' * 32}",
        "API_JWT_ISSUER": "https://api.example.org",
        "API_ACCESS_TOKEN_SECONDS": "60",
        "API_REFRESH_TOKEN_SECONDS": "301",
        "API_SESSION_SECONDS": "302",
        "API_PASSWORD_MEMORY_KIB": "20000",
        "API_PASSWORD_PASSES": "3",
        "API_PASSWORD_LANES": "4",
        "API_PASSWORD_HASHES_AT_ONCE": "5",
        "API_LOGIN_FAILURES": "6",
        "API_LOGIN_FAILURES_PER_MINUTE": "0.5",
        "API_LOGINS_OF_ADDRESS": "7",
        "API_LOGINS_OF_ADDRESS_PER_MINUTE": "8",
        "API_EXPENSIVE_CALLS": "9",
        "API_EXPENSIVE_CALLS_PER_MINUTE": "10",
        "API_CORS_ORIGINS": "https://a.example.org, http://127.0.0.1:5173",
    }
    for name, value in given.items():
        environment.setenv(name, value)
    assert account_parts(load(ApiSettings)) == AccountParts(
        ("a" * 32, "b" * 32),
        "https://api.example.org",
        Hardness(20_000, 3, 4, 5),
        Lives(60, 301, 302),
        LoginRates(Rate(6, 0.5), Rate(7, 8)),
        Rate(9, 10),
        ("https://a.example.org", "http://127.0.0.1:5173"),
    )


def test_without_settings_accounts_are_as_the_documentation_says(environment: pytest.MonkeyPatch) -> None:
    assert account_parts(load(ApiSettings)) == AccountParts()


def _gitea(environment: pytest.MonkeyPatch, **given: str) -> ApiSettings:
    known = {
        "GITEA_ENABLED": "true",
        "GITEA_BASE_URL": "http://gitea.example.org:3000/",
        "GITEA_ADMIN_TOKEN": "0123456789abcdef0123456789abcdef01234567",
        "GITEA_OWNER": "studio",
        "GITEA_REPO_NAME_TEMPLATE": "a{appId}-of-{userId}",
        "GITEA_RUNNER_BOT": "builder",
        "GITEA_WEBHOOK_URL": "http://api.example.org/api/fun-ai/webhooks/git",
        "API_GIT_WEBHOOK_SECRET": "git-webhook-secret-0123456789",
        "API_GIT_TEMPLATE_IMAGE": "registry.example.org/funaistudio/base-node:1",
    }
    for name, value in (known | given).items():
        environment.setenv(name, value)
    return load(ApiSettings)


async def test_gitea_is_set_up_by_its_documented_names(environment: pytest.MonkeyPatch) -> None:
    settings = _gitea(environment)
    assert hosting_of(settings).repository(7, 20001) == "studio/a20001-of-7"
    async with AsyncExitStack() as stack:
        parts = repository_parts(settings, stack)
    assert isinstance(parts.host, GiteaHost) and list(parts.push_secrets) == ["git-webhook-secret-0123456789"]
    assert "FROM ${BASE_IMAGE}" in parts.files["Dockerfile"]
    assert "ARG BASE_IMAGE=registry.example.org/funaistudio/base-node:1\n" in parts.files["Dockerfile"]
    assert isinstance(parts.keys, GiteaKeys)
    assert "token" not in repr(parts) and "0123456789abcdef" not in repr(parts)


async def test_without_auto_init_repositories_begin_empty(environment: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        assert repository_parts(_gitea(environment, GITEA_AUTO_INIT="false"), stack).files == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITEA_BASE_URL", ""),
        ("GITEA_ADMIN_TOKEN", ""),
        ("GITEA_ADMIN_TOKEN", "CHANGE_ME_STRONG_SECRET_0123456789"),
        ("GITEA_ADMIN_TOKEN", "short"),
        ("API_GIT_WEBHOOK_SECRET", ""),
        ("API_GIT_WEBHOOK_SECRET", "CHANGE_ME"),
        ("GITEA_WEBHOOK_URL", "gitea"),
    ],
)
async def test_gitea_does_not_start_half_configured(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(Misconfigured, match=name):
            repository_parts(_gitea(environment, **{name: value}), stack)


async def test_the_git_server_of_ours_begins_repositories_with_files_if_it_is_told(
    environment: pytest.MonkeyPatch,
) -> None:
    async with AsyncExitStack() as stack:
        assert repository_parts(load(ApiSettings), stack).files == {}
        environment.setenv("API_GIT_TEMPLATES", "true")
        files = repository_parts(load(ApiSettings), stack).files
    assert sorted(files) == [".dockerignore", ".gitignore", "Dockerfile"]
    instructions = [line for line in files["Dockerfile"].splitlines() if not line.startswith("#")]
    # What fails, fails the image; no registry's settings are copied in or written.
    assert not [line for line in instructions if "|| true" in line or "npmrc" in line or line.endswith("; exit 0")]
    assert "RUN npm run build --if-present" in instructions
    assert all(".npmrc" in files[name].splitlines() for name in (".dockerignore", ".gitignore"))


async def test_the_git_server_of_ours_lends_keys_where_its_folder_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        assert repository_parts(load(ApiSettings), stack).keys is None
        environment.setenv("GIT_LOANS_DIR", str(tmp_path / "loans"))
        assert isinstance(repository_parts(load(ApiSettings), stack).keys, FolderLoans)


def test_a_limit_of_runs_says_how_many(environment: pytest.MonkeyPatch) -> None:
    number = "FUNAI_WORKSPACE_NODE_LIMITS_MAX_RUNNING_PER_NODE"
    environment.setenv(number, "30")
    assert policy_of(load(ApiSettings)).most_running is None
    environment.setenv("FUNAI_WORKSPACE_NODE_LIMITS_ENABLED", "true")
    assert policy_of(load(ApiSettings)).most_running == 30
    environment.setenv(number, "0")
    with pytest.raises(Misconfigured, match=number):
        policy_of(load(ApiSettings))


PROVIDER = {
    "API_JWT_SECRET": "jwt-secret-of-the-tests-0123456789",
    "API_OIDC_ISSUER": "https://id.example.com/realms/studio",
    "API_OIDC_CLIENT_ID": "fun-ai-studio",
    "API_OIDC_REDIRECT_URL": "https://studio.example.com/api/fun-ai/auth/oidc/callback",
}


def test_a_provider_of_logins_is_believed_as_far_as_it_is_said(environment: pytest.MonkeyPatch) -> None:
    assert provider_of(load(ApiSettings)) is None
    for name, value in PROVIDER.items():
        environment.setenv(name, value)
    known = provider_of(load(ApiSettings))
    assert known is not None
    assert (known.creates, known.role_claim, known.scopes) == (False, None, ("openid",))
    assert known.algorithms == {"RS256", "ES256"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_OIDC_ISSUER", "http://id.example.com"),
        ("API_OIDC_ISSUER", "https://id.example.com?x=1"),
        ("API_OIDC_ISSUER", "id.example.com"),
        ("API_OIDC_REDIRECT_URL", "http://studio.example.com/"),
        ("API_OIDC_REDIRECT_URL", ""),
        ("API_OIDC_CLIENT_ID", ""),
        ("API_JWT_SECRET", ""),
        ("API_OIDC_ALGORITHMS", "HS256"),
        ("API_OIDC_ALGORITHMS", "RS256,none"),
        ("API_OIDC_ALGORITHMS", ""),
        ("API_OIDC_ADMIN_VALUES", "studio-admins"),
    ],
)
def test_half_a_provider_does_not_start(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    for known, usual in PROVIDER.items():
        environment.setenv(known, usual)
    environment.setenv(name, value)
    with pytest.raises(Misconfigured, match=r"API_"):
        provider_of(load(ApiSettings))


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", ()),
        ("10.0.0.2", (("10.0.0.2", 53),)),
        ("10.0.0.2:5353, [::1]:54,::1", (("10.0.0.2", 5353), ("::1", 54), ("::1", 53))),
    ],
)
def test_resolvers_are_addresses_and_ports(text: str, servers: tuple[tuple[str, int], ...]) -> None:
    assert load(ApiSettings, **{**GOOD, "API_DNS_SERVERS": text}).dns_servers == servers


@pytest.mark.parametrize("text", ["dns.example", "10.0.0.2:0", "10.0.0.2:99999", "10.0.0.2:x"])
def test_a_resolver_by_a_name_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="API_DNS_SERVERS"):
        load(ApiSettings, **{**GOOD, "API_DNS_SERVERS": text})
