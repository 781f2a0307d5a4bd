"""Settings of the control plane."""

import re
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from daemons.kit.settings import Misconfigured, Networks, OptionalTokens, Settings, Words
from protocol.names import BaseUrl, Namespace

Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[int, Field(ge=1)]
_URL: Final = TypeAdapter[str](BaseUrl)
_WEBHOOK: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[/?][!-\"$-~]*)?")


def _registry_url(value: object) -> object:
    """The documented setting may leave out the scheme, which is http then."""
    if not isinstance(value, str) or not value.strip():
        return value
    text = value.strip()
    try:
        return _URL.validate_python(text if "://" in text else f"http://{text}")
    except ValidationError:
        raise ValueError("must be http(s)://host[:port] without user, query or fragment") from None


RegistryUrl = Annotated[str, BeforeValidator(_registry_url)]


def _webhook_url(value: object) -> object:
    """An address without user and fragment. It may have a query with a secret in it, so nobody shows it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str) or not text.strip():
        return SecretStr("")
    text = text.strip()
    if not _WEBHOOK.fullmatch(text):
        raise ValueError("must be http(s)://host[:port]/path without user and fragment")
    return SecretStr(text)


WebhookUrl = Annotated[SecretStr, BeforeValidator(_webhook_url)]


class DeploySettings(Settings):
    """The environment of the control plane. A role that is switched on must have a token of its own."""

    service: ClassVar[str] = "deploy"

    host: str = Field("127.0.0.1", alias="DEPLOY_HOST")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(7002, alias="DEPLOY_PORT")
    db_url: SecretStr = Field(SecretStr("sqlite:///deploy.db"), alias="DEPLOY_DB_URL")
    trusted_proxies: Networks = Field((), alias="DEPLOY_TRUSTED_PROXIES")

    admin_enabled: bool = Field(True, alias="DEPLOY_ADMIN_ENABLED")
    admin_tokens: OptionalTokens = Field((), alias="DEPLOY_ADMIN_TOKEN")
    admin_networks: Networks = Field((), alias="DEPLOY_ADMIN_ALLOWED_IPS")

    api_enabled: bool = Field(True, alias="DEPLOY_PROXY_AUTH_ENABLED")
    api_tokens: OptionalTokens = Field((), alias="DEPLOY_PROXY_AUTH_SHARED_SECRET")
    api_networks: Networks = Field((), alias="DEPLOY_PROXY_AUTH_ALLOWED_IPS")

    runner_enabled: bool = Field(True, alias="DEPLOY_RUNNER_AUTH_ENABLED")
    runner_tokens: OptionalTokens = Field((), alias="DEPLOY_RUNNER_TOKEN")
    runner_stale_seconds: Seconds = Field(90, alias="DEPLOY_RUNNER_REGISTRY_HEARTBEAT_STALE_SECONDS")

    node_enabled: bool = Field(True, alias="DEPLOY_RUNTIME_NODE_REGISTRY_ENABLED")
    node_token: OptionalTokens = Field((), alias="DEPLOY_NODE_TOKEN")
    node_shared_secret: OptionalTokens = Field((), alias="DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET")
    node_networks: Networks = Field((), alias="DEPLOY_RUNTIME_NODE_REGISTRY_ALLOWED_IPS")
    node_stale_seconds: Seconds = Field(45, alias="DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS")
    node_group_seconds: Annotated[float, Field(ge=0, le=5)] = Field(1.0, alias="DEPLOY_NODE_HEARTBEAT_GROUP_SECONDS")
    placement_strategy: Literal["disk-aware", "hash"] = Field(
        "disk-aware", alias="DEPLOY_RUNTIME_NODE_REGISTRY_PLACEMENT_STRATEGY"
    )
    disk_min_pct: Percent = Field(15.0, alias="DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_MIN_PCT")
    disk_drain_pct: Percent = Field(25.0, alias="DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_DRAIN_PCT")

    #: What gateways show that ask which node has an app; without one nobody may ask.
    gateway_tokens: OptionalTokens = Field((), alias="DEPLOY_GATEWAY_TOKEN")
    gateway_networks: Networks = Field((), alias="DEPLOY_GATEWAY_ALLOWED_IPS")
    #: Where other gateways find those of nodes, on the hosts of the agents; 0: at the address each of them says.
    runtime_gateway_port: Annotated[int, Field(ge=0, le=65535)] = Field(0, alias="DEPLOY_RUNTIME_GATEWAY_PORT")

    agent_token: OptionalTokens = Field((), alias="RUNTIME_AGENT_TOKEN")
    deploy_agent_token: OptionalTokens = Field((), alias="DEPLOY_RUNTIME_AGENT_TOKEN")
    #: Empty means the private networks.
    agent_networks: Networks = Field((), alias="DEPLOY_AGENT_ADDRESSES")
    agent_names: Words = Field((), alias="DEPLOY_AGENT_NAMES")
    agent_timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, alias="DEPLOY_RUNTIME_AGENT_TIMEOUT_SECONDS")

    max_running_seconds: Annotated[int, Field(ge=0)] = Field(0, alias="DEPLOY_JOB_MAX_RUNNING_SECONDS")
    failover_seconds: Annotated[int, Field(ge=0)] = Field(0, alias="DEPLOY_FAILOVER_SECONDS")
    failover_nodes: Annotated[int, Field(ge=1, le=100)] = Field(1, alias="DEPLOY_FAILOVER_NODES")

    #: Where jobs may clone from, `host` or `host:port`, separated by commas; empty leaves it to the runners.
    git_hosts: Words = Field((), alias="DEPLOY_GIT_HOSTS")

    max_attempts: Seconds = Field(3, alias="DEPLOY_JOB_MAX_ATTEMPTS")
    #: How long a job waits for the runner that built its app last and still has the layers; 0 switches it off.
    warm_runner_seconds: Annotated[float, Field(ge=0, le=60)] = Field(2.0, alias="DEPLOY_WARM_RUNNER_SECONDS")

    #: How long the logs of ended jobs are kept, and how many MiB all of them may take as they are stored, compressed;
    #: the oldest go first. 0 means no limit.
    log_kept_days: Annotated[int, Field(ge=0, le=36_500)] = Field(30, alias="DEPLOY_LOG_KEPT_DAYS")
    log_total_mib: Annotated[int, Field(ge=0, le=2**33)] = Field(2048, alias="DEPLOY_LOG_TOTAL_MIB")
    event_retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(14, alias="DEPLOY_EVENT_RETENTION_DAYS")

    #: Where the results of jobs are sent, and the secrets they are signed with, all of them while one replaces another.
    webhook_url: WebhookUrl = Field(SecretStr(""), alias="DEPLOY_WEBHOOK_URL")
    webhook_secrets: OptionalTokens = Field((), alias="DEPLOY_WEBHOOK_SECRET")

    registry_cleanup_enabled: bool = Field(False, alias="DEPLOY_REGISTRY_CLEANUP_ENABLED")
    registry_kind: Literal["harbor", "registry"] = Field("harbor", alias="DEPLOY_REGISTRY_CLEANUP_KIND")
    registry_base_url: RegistryUrl = Field("", alias="DEPLOY_REGISTRY_CLEANUP_BASE_URL")
    registry_project: Namespace = Field("funaistudio", alias="DEPLOY_REGISTRY_CLEANUP_PROJECT")
    registry_username: str = Field("", alias="DEPLOY_REGISTRY_CLEANUP_USERNAME")
    registry_password: SecretStr = Field(SecretStr(""), alias="DEPLOY_REGISTRY_CLEANUP_PASSWORD")
    registry_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        10.0, alias="DEPLOY_REGISTRY_CLEANUP_TIMEOUT_SECONDS"
    )

    @property
    def registry_login(self) -> tuple[str, str] | None:
        """User name and password for the registry; None asks it without."""
        password = self.registry_password.get_secret_value()
        return (self.registry_username, password) if self.registry_username and password else None

    @property
    def node_tokens(self) -> tuple[SecretStr, ...]:
        """Live tokens of runtime agents, under either name."""
        return self.node_token + self.node_shared_secret

    @property
    def agent_tokens(self) -> tuple[SecretStr, ...]:
        """What runtime agents are called with, under either name; the first is sent."""
        return self.deploy_agent_token + self.agent_token

    @model_validator(mode="after")
    def _every_role_has_a_token_of_its_own(self) -> Self:
        needed = {
            "DEPLOY_ADMIN_TOKEN": (self.admin_enabled, self.admin_tokens),
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": (self.api_enabled, self.api_tokens),
            "DEPLOY_RUNNER_TOKEN": (self.runner_enabled, self.runner_tokens),
            "DEPLOY_NODE_TOKEN": (self.node_enabled, self.node_tokens),
        }
        self.require(**{name: tokens for name, (enabled, tokens) in needed.items() if enabled})
        self.distinct(
            **{name: tokens for name, (_, tokens) in needed.items()},
            RUNTIME_AGENT_TOKEN=self.agent_tokens,
            DEPLOY_GATEWAY_TOKEN=self.gateway_tokens,
            DEPLOY_WEBHOOK_SECRET=self.webhook_secrets,
        )
        return self

    @model_validator(mode="after")
    def _a_webhook_has_an_address_and_a_secret(self) -> Self:
        if bool(self.webhook_url) is not bool(self.webhook_secrets):
            missing, given = "DEPLOY_WEBHOOK_SECRET", "DEPLOY_WEBHOOK_URL"
            if not self.webhook_url:
                missing, given = given, missing
            raise Misconfigured(f"{self.service} cannot start:\n  {missing} is not set; set it, or unset {given}")
        return self

    @model_validator(mode="after")
    def _what_cleans_the_registry_is_complete(self) -> Self:
        problems = []
        if self.registry_cleanup_enabled and not self.registry_base_url:
            problems.append("DEPLOY_REGISTRY_CLEANUP_BASE_URL is not set; set it to http(s)://host[:port]")
        if self.registry_cleanup_enabled and self.registry_kind == "harbor" and self.registry_login is None:
            problems.append(
                "DEPLOY_REGISTRY_CLEANUP_USERNAME and DEPLOY_REGISTRY_CLEANUP_PASSWORD must be set for Harbor"
            )
        if self.registry_password.get_secret_value().startswith("CHANGE_ME"):
            problems.append("DEPLOY_REGISTRY_CLEANUP_PASSWORD still holds a placeholder; set the account's password")
        if problems:
            raise Misconfigured(f"{self.service} cannot start:\n" + "\n".join(f"  {line}" for line in problems))
        return self
