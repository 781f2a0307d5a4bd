"""Settings of the API entry."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from daemons.kit.settings import Networks, OptionalToken, OptionalTokens, Settings, Tokens, Words
from protocol.names import BaseUrl, GitRef, ImageRef, Namespace, NodeName, RegistryHost

#: Whose the token of the settings is.
DEMO_USER: Final = 1

_ORIGIN: Final = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?")
#: As many bits as the digest has that signs with it.
_LEAST_JWT_SECRET: Final = 32

Optional = BeforeValidator(lambda value: value or None)


def _named(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    if not all(token for _, _, token in parts) or len({name for name, _, _ in parts}) < len(parts):
        raise ValueError("must be a comma-separated list of NODE=TOKEN, each node once")
    return tuple((name, token) for name, _, token in parts)


#: A token for each of some nodes.
NamedTokens = Annotated[tuple[tuple[NodeName, OptionalToken], ...], NoDecode, BeforeValidator(_named)]


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError("must be origins as browsers send them: https://console.example.com, with a port if need be")
    return value


def _issuer(value: str) -> str:
    known = urlsplit(value)
    plain = known.scheme == "http" and known.hostname in ("127.0.0.1", "::1", "localhost")
    if value and (not (known.scheme == "https" or plain) or not known.hostname or known.query or known.fragment):
        raise ValueError("must be an https address without query and fragment (http on this machine alone)")
    return value


def _long(tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(token.get_secret_value()) < _LEAST_JWT_SECRET for token in tokens):
        raise ValueError(f"must be secrets of at least {_LEAST_JWT_SECRET} characters")
    return tokens


#: Scheme, host and port, in small letters, and nothing else: what is compared to the letter.
Origins = Annotated[Words, AfterValidator(lambda values: tuple(map(_origin, values)))]


def _resolvers(value: object) -> object:
    """ADDRESS or ADDRESS:PORT with commas between, an IPv6 address with a port in brackets."""
    if not isinstance(value, str):
        return value
    found = []
    for text in filter(None, map(str.strip, value.split(","))):
        parted = text.count(":") == 1 or "]:" in text
        at, _, port = text.rpartition(":") if parted else (text, "", "53")
        try:
            found.append((str(ip_address(at.removeprefix("[").removesuffix("]"))), int(port)))
        except ValueError:
            raise ValueError("must be addresses of resolvers, ADDRESS or ADDRESS:PORT") from None
    return tuple(found)


#: Resolvers to ask instead of the machine's own.
Resolvers = Annotated[
    tuple[tuple[str, Annotated[int, Field(ge=1, le=65535)]], ...], NoDecode, BeforeValidator(_resolvers)
]
JwtSecrets = Annotated[OptionalTokens, AfterValidator(_long)]


class ApiSettings(Settings):
    """Environment of `python -m daemons.api`."""

    service: ClassVar[str] = "api"

    host: str = Field("127.0.0.1", alias="API_HOST")
    port: int = Field(8080, alias="API_PORT", ge=0, le=65535)
    db_url: SecretStr = Field(SecretStr("sqlite:///api.db"), alias="API_DB_URL")
    admin_tokens: Tokens = Field(alias="API_ADMIN_TOKEN")
    #: Where operators may call from, beside their token; empty: from anywhere. Whose X-Forwarded-For counts.
    admin_networks: Networks = Field(
        (), validation_alias=AliasChoices("API_ADMIN_ALLOWED_IPS", "FUNAI_ADMIN_ALLOWED_IPS")
    )
    trusted_proxies: Networks = Field((), alias="API_TRUSTED_PROXIES")
    user_tokens: Tokens = Field(alias="API_USER_TOKEN")

    #: What access tokens are signed with, all of them while one replaces another: the first signs. None: no logins.
    jwt_secrets: JwtSecrets = Field((), alias="API_JWT_SECRET")
    jwt_issuer: str = Field("fun-ai-studio", alias="API_JWT_ISSUER", min_length=1, max_length=255)
    access_seconds: int = Field(900, alias="API_ACCESS_TOKEN_SECONDS", ge=60, le=3600)
    #: How long a refresh token is good that nobody uses, and a session whatever is used.
    refresh_idle_seconds: int = Field(604_800, alias="API_REFRESH_TOKEN_SECONDS", ge=300, le=7_776_000)
    session_seconds: int = Field(2_592_000, alias="API_SESSION_SECONDS", ge=300, le=31_536_000)
    #: argon2id: memory of a hash, passes over it, lanes; OWASP's least is the least here. How many are made at once.
    password_memory_kib: int = Field(19_456, alias="API_PASSWORD_MEMORY_KIB", ge=19_456, le=2_097_152)
    password_passes: int = Field(2, alias="API_PASSWORD_PASSES", ge=2, le=64)
    password_lanes: int = Field(1, alias="API_PASSWORD_LANES", ge=1, le=64)
    password_hashes_at_once: int = Field(2, alias="API_PASSWORD_HASHES_AT_ONCE", ge=1, le=64)
    #: Wrong passwords for one account, logins from one address, expensive calls of one caller: at once, then a minute.
    login_failures: int = Field(10, alias="API_LOGIN_FAILURES", ge=1, le=1000)
    login_failures_per_minute: float = Field(1.0, alias="API_LOGIN_FAILURES_PER_MINUTE", gt=0, le=10_000)
    logins_of_address: int = Field(60, alias="API_LOGINS_OF_ADDRESS", ge=1, le=100_000)
    logins_of_address_per_minute: float = Field(20.0, alias="API_LOGINS_OF_ADDRESS_PER_MINUTE", gt=0, le=100_000)
    expensive_calls: int = Field(120, alias="API_EXPENSIVE_CALLS", ge=1, le=100_000)
    expensive_calls_per_minute: float = Field(60.0, alias="API_EXPENSIVE_CALLS_PER_MINUTE", gt=0, le=100_000)
    #: How often is asked whether those who hold terminals and streams open may go on; twice that at most they do.
    recheck_seconds: int = Field(5, alias="API_RECHECK_SECONDS", ge=1, le=60)
    #: Pages of which origins browsers let read answers; none: those of the API's own.
    cors_origins: Origins = Field((), alias="API_CORS_ORIGINS")

    #: Whose logins count besides our own (OpenID Connect), to the letter as it calls itself; empty: nobody else's.
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] = Field("", alias="API_OIDC_ISSUER", max_length=255)
    oidc_client_id: str = Field("", alias="API_OIDC_CLIENT_ID", max_length=255)
    oidc_client_secret: OptionalToken = Field(SecretStr(""), alias="API_OIDC_CLIENT_SECRET")
    #: Where the provider sends browsers back: the API's /api/fun-ai/auth/oidc/callback, or a page that asks it.
    oidc_redirect_url: Annotated[str, AfterValidator(_issuer)] = Field("", alias="API_OIDC_REDIRECT_URL")
    oidc_scopes: Words = Field((), alias="API_OIDC_SCOPES")
    oidc_algorithms: Words = Field(("RS256", "ES256"), alias="API_OIDC_ALGORITHMS")
    #: Whether everybody whom the provider knows gets an account, as a user.
    oidc_creates: bool = Field(False, alias="API_OIDC_AUTO_CREATE")
    #: The claim by whose values the provider makes operators and admins, at each login; empty: roles are given here.
    oidc_role_claim: str = Field("", alias="API_OIDC_ROLE_CLAIM")
    oidc_operators: Words = Field((), alias="API_OIDC_OPERATOR_VALUES")
    oidc_admins: Words = Field((), alias="API_OIDC_ADMIN_VALUES")

    deploy_url: BaseUrl = Field("http://127.0.0.1:7002", alias="DEPLOY_PROXY_BASE_URL")
    deploy_secret: Tokens = Field(
        validation_alias=AliasChoices("DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_PROXY_SHARED_SECRET")
    )

    #: What the API proves itself with where operators order something of the control plane: one of its
    #: DEPLOY_ADMIN_TOKEN, the first; none: they order nothing there by way of the API.
    deploy_admin_tokens: OptionalTokens = Field((), alias="API_DEPLOY_ADMIN_TOKEN")

    #: What deliveries of job results are signed with, all of them while one replaces another; none: they are refused.
    webhook_secrets: OptionalTokens = Field(
        (), validation_alias=AliasChoices("API_DEPLOY_WEBHOOK_SECRET", "DEPLOY_WEBHOOK_SECRET")
    )

    #: Who is asked what the DNS says of apps' own hosts; none: the machine's resolvers.
    dns_servers: Resolvers = Field((), alias="API_DNS_SERVERS")

    #: How long an answer to the deletion of an app waits at most for what the app has elsewhere; it is taken away
    #: without anybody who waits.
    deletion_wait_ms: int = Field(800, alias="FUNAI_APP_DELETE_CLEANUP_WAIT_MS", ge=0, le=10_000)

    git_host: str = Field("127.0.0.1", alias="DEPLOY_GIT_SSH_HOST")
    git_port: int = Field(2222, alias="DEPLOY_GIT_SSH_PORT", ge=1, le=65535)
    git_owner: str = Field("funai", validation_alias=AliasChoices("DEPLOY_GIT_REPO_OWNER", "GITEA_OWNER"))
    repository_template: str = Field(
        "u{userId}-app{appId}",
        validation_alias=AliasChoices("DEPLOY_GIT_REPO_NAME_TEMPLATE", "GITEA_REPO_NAME_TEMPLATE"),
    )
    git_ref: GitRef = Field("main", alias="DEPLOY_GIT_DEFAULT_REF")
    access_file: Annotated[Path | None, Optional] = Field(None, alias="GIT_ACCESS_FILE")
    #: Where repositories are removed: the folder that the git server knows by the same name.
    removals_dir: Annotated[Path | None, Optional] = Field(None, alias="GIT_REMOVALS_DIR")
    #: Where they are made.
    creations_dir: Annotated[Path | None, Optional] = Field(None, alias="GIT_CREATIONS_DIR")
    #: Where keys are lent to workspaces whose nodes ask for them: the same.
    loans_dir: Annotated[Path | None, Optional] = Field(None, alias="GIT_LOANS_DIR")
    #: What tellings of pushes are signed with, all of them while one replaces another; none: they are refused.
    push_secrets: OptionalTokens = Field(
        (), validation_alias=AliasChoices("API_GIT_WEBHOOK_SECRET", "GIT_WEBHOOK_SECRET")
    )
    #: Whether repositories on the git server of ours begin with files, too; and over which image their app is built.
    git_templates: bool = Field(False, alias="API_GIT_TEMPLATES")
    template_image: ImageRef = Field("node:22-alpine", alias="API_GIT_TEMPLATE_IMAGE")
    #: Repositories on Gitea in place of the git server of ours; its webhook is where Gitea reaches this API.
    gitea_enabled: bool = Field(False, alias="GITEA_ENABLED")
    gitea_url: Annotated[BaseUrl | None, Optional] = Field(None, alias="GITEA_BASE_URL")
    gitea_tokens: OptionalTokens = Field((), alias="GITEA_ADMIN_TOKEN")
    gitea_auto_init: bool = Field(True, alias="GITEA_AUTO_INIT")
    gitea_branch: GitRef = Field("main", alias="GITEA_DEFAULT_BRANCH")
    gitea_runner_team: str = Field("runner-readonly", alias="GITEA_RUNNER_TEAM", min_length=1)
    gitea_runner_bot: str = Field("runner-bot", alias="GITEA_RUNNER_BOT", min_length=1)
    gitea_workspace_team: str = Field("workspace-write", alias="GITEA_WORKSPACE_TEAM", min_length=1)
    gitea_workspace_bot: str = Field("workspace-bot", alias="GITEA_WORKSPACE_BOT", min_length=1)
    gitea_webhook_url: Annotated[BaseUrl | None, Optional] = Field(None, alias="GITEA_WEBHOOK_URL")
    bot_key_path: Annotated[Path | None, Optional] = Field(None, alias="RUNNER_GIT_PUBLIC_KEY_PATH")

    #: What calls to workspace nodes are signed with: the first of them; none: no node is called.
    workspace_secrets: OptionalTokens = Field(
        (),
        validation_alias=AliasChoices("WORKSPACE_NODE_INTERNAL_SHARED_SECRET", "WORKSPACE_NODE_PROXY_SHARED_SECRET"),
    )
    #: What nodes report themselves with, all of them; and those that have a token of their own: NODE=TOKEN,...
    workspace_node_tokens: OptionalTokens = Field((), alias="FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET")
    workspace_own_tokens: NamedTokens = Field((), alias="FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS")
    workspace_node_networks: Networks = Field((), alias="FUNAI_WORKSPACE_NODE_REGISTRY_ALLOWED_IPS")
    workspace_stale_seconds: int = Field(60, alias="FUNAI_WORKSPACE_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS", ge=5)
    workspace_disk_min_pct: float = Field(15.0, alias="FUNAI_WORKSPACE_NODE_REGISTRY_DISK_MIN_PCT", ge=0, le=100)
    #: How many runs a node carries; who asks for one more is told to come again. 0: not said.
    limits_enabled: bool = Field(False, alias="FUNAI_WORKSPACE_NODE_LIMITS_ENABLED")
    most_running: int = Field(0, alias="FUNAI_WORKSPACE_NODE_LIMITS_MAX_RUNNING_PER_NODE", ge=0, le=100_000)
    #: How many workspaces are on their way between nodes at once, and how long the node that one left keeps its files.
    workspace_moves_at_once: int = Field(2, alias="FUNAI_WORKSPACE_MOVES_AT_ONCE", ge=1, le=64)
    workspace_keep_seconds: int = Field(3600, alias="FUNAI_WORKSPACE_MOVES_KEEP_SECONDS", ge=0, le=2_592_000)
    #: What gateways show that ask for a user's node; none: those of this machine may ask.
    workspace_gateway_tokens: OptionalTokens = Field((), alias="FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN")

    registry: Annotated[RegistryHost | None, Optional] = Field(None, alias="DEPLOY_ACR_REGISTRY")
    namespace: Annotated[Namespace | None, Optional] = Field(None, alias="DEPLOY_ACR_NAMESPACE")
