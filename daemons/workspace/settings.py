"""Settings of a workspace node."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, model_validator

from daemons.kit.settings import Misconfigured, Networks, OptionalToken, Password, Settings, Tokens, Words, size
from protocol.names import BaseUrl, HttpPath, NodeName


def _folder(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError("must be an absolute path")
    return value


def _pool(network: IPv4Network) -> IPv4Network:
    if not 8 <= network.prefixlen <= 24:
        raise ValueError("must be a network of /8 to /24; every workspace takes 16 of its addresses")
    return network


_HOST: Final = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
#: One repository for each app: both names are in it.
_REPOSITORY_NAME: Final = r"^[a-z0-9_.-]{0,20}\{userId\}[a-z_.-][a-z0-9_.-]{0,19}\{appId\}[a-z0-9_.-]{0,20}$"
_URL: Final = r"^(https?://[!-~]{1,500})?$"
_NO_HOST_OR_ONE: Final = r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)?$"

Folder = Annotated[Path, AfterValidator(_folder)]
#: Bytes, as Docker writes them: 512m, 2g, or a plain number.
Size = Annotated[int, BeforeValidator(size)]


class WorkspaceSettings(Settings):
    """Documented properties (`funai.workspace.hostRoot`, `workspace-node.internal.shared-secret`, ...) hold as
    variables: upper case, with underscores for dots and hyphens."""

    service: ClassVar[str] = "workspace"

    host: str = Field("127.0.0.1", alias="WORKSPACE_HOST")
    port: int = Field(7001, alias="WORKSPACE_PORT", ge=1, le=65535)
    node_name: NodeName = Field("ws-node-01", alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_NAME")

    host_root: Folder = Field(Path("/data/funai/workspaces"), alias="FUNAI_WORKSPACE_HOSTROOT")
    #: What users cannot write: states, locks and images of their file systems.
    state_root: Folder = Field(Path("/data/funai/workspace-node"), alias="FUNAI_WORKSPACE_STATEROOT")
    docker_host: str | None = Field(None, alias="DOCKER_HOST")
    image: str = Field("", alias="FUNAI_WORKSPACE_IMAGE")
    image_pull_policy: Literal["IF_NOT_PRESENT", "ALWAYS", "NEVER"] = Field(
        "IF_NOT_PRESENT", alias="FUNAI_WORKSPACE_IMAGEPULLPOLICY"
    )
    #: Who pulls the image; where a registry is named, from that one alone.
    registry_url: str = Field("", validation_alias=AliasChoices("REGISTRY_URL", "ACR_REGISTRY"))
    registry_username: str = Field(
        "",
        validation_alias=AliasChoices("FUNAI_WORKSPACE_REGISTRYUSERNAME", "REGISTRY_USERNAME", "ACR_USERNAME"),
    )
    registry_password: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("FUNAI_WORKSPACE_REGISTRYPASSWORD", "REGISTRY_PASSWORD", "ACR_PASSWORD"),
    )
    timezone: str = Field("", alias="FUNAI_WORKSPACE_CONTAINERTIMEZONE", pattern=r"^[A-Za-z0-9_+/-]{0,64}$")
    container_port: int = Field(5173, alias="FUNAI_WORKSPACE_CONTAINERPORT", ge=1024, le=65535)
    host_port_base: int = Field(20000, alias="FUNAI_WORKSPACE_HOSTPORTBASE", ge=1024, le=65535)
    host_port_count: int = Field(2000, alias="FUNAI_WORKSPACE_HOSTPORTSCANSIZE", ge=1, le=20000)
    name_prefix: Literal["ws-u-"] = Field("ws-u-", alias="FUNAI_WORKSPACE_CONTAINERNAMEPREFIX")

    memory_bytes: Size = Field(2 * 1024**3, alias="FUNAI_WORKSPACE_DOCKERMEMORY", ge=64 * 1024**2)
    cpus: float = Field(1.0, alias="FUNAI_WORKSPACE_DOCKERCPUS", gt=0, le=1024)
    pids: int = Field(512, alias="FUNAI_WORKSPACE_PIDSLIMIT", ge=32, le=32768)
    open_files: int = Field(16384, alias="FUNAI_WORKSPACE_OPENFILES", ge=1024, le=1048576)
    tmp_bytes: Size = Field(256 * 1024**2, alias="FUNAI_WORKSPACE_TMPSIZE", ge=1024**2)
    disk_bytes: Size = Field(10 * 1024**3, alias="FUNAI_WORKSPACE_DISKQUOTA", ge=16 * 1024**2)
    quota: Literal["auto", "project", "image", "soft"] = Field("auto", alias="FUNAI_WORKSPACE_QUOTA")
    uid: int = Field(1000, alias="FUNAI_WORKSPACE_UID", ge=1, le=2**31)
    subnets: Annotated[IPv4Network, AfterValidator(_pool)] = Field(
        IPv4Network("10.223.0.0/16"), alias="FUNAI_WORKSPACE_SUBNETS"
    )
    #: A form's file; a file that is the body itself, and one that is uploaded in parts.
    form_bytes: Size = Field(200 * 1024**2, alias="FUNAI_WORKSPACE_UPLOAD_FORMBYTES", ge=1024**2)
    upload_bytes: Size = Field(10 * 1024**3, alias="FUNAI_WORKSPACE_UPLOAD_BYTES", ge=1024**2)
    firewall: bool = Field(True, alias="FUNAI_WORKSPACE_FIREWALL")

    shared_secrets: Tokens = Field(alias="WORKSPACE_NODE_INTERNAL_SHARED_SECRET")
    max_skew_seconds: int = Field(60, alias="WORKSPACE_NODE_INTERNAL_MAX_SKEW_SECONDS", ge=5, le=3600)
    allowed_source: Networks = Field((), alias="WORKSPACE_NODE_INTERNAL_ALLOWED_SOURCE_IP")
    gateway_tokens: Tokens = Field(alias="FUNAI_WORKSPACE_NGINXAUTHTOKEN")
    preview_base_url: BaseUrl = Field("http://127.0.0.1:8088", alias="FUNAI_WORKSPACE_PREVIEWBASEURL")
    #: Where each preview has a host of its own: https://preview.example.com for {appId}.preview.example.com.
    preview_host_url: BaseUrl | None = Field(None, alias="FUNAI_WORKSPACE_PREVIEWHOSTURL")
    preview_path_prefix: HttpPath = Field("/preview", alias="FUNAI_WORKSPACE_PREVIEWPATHPREFIX")
    preview_hold_seconds: float = Field(20.0, alias="FUNAI_WORKSPACE_PREVIEWHOLDSECONDS", ge=0, le=300)
    npm_registry: str = Field("", alias="FUNAI_WORKSPACE_NPMREGISTRY", pattern=_URL)
    pip_index: str = Field("", alias="FUNAI_WORKSPACE_PIPINDEX", pattern=_URL)
    http_proxy: str = Field("", alias="FUNAI_WORKSPACE_HTTPPROXY", pattern=_URL)
    https_proxy: str = Field("", alias="FUNAI_WORKSPACE_HTTPSPROXY", pattern=_URL)
    no_proxy: Words = Field((), alias="FUNAI_WORKSPACE_NOPROXY")
    #: Of one user, for all apps together.
    npm_cache_megabytes: int = Field(2048, alias="FUNAI_WORKSPACE_NPMCACHEMAXMB", ge=1)
    pip_cache_megabytes: int = Field(1024, alias="FUNAI_WORKSPACE_PIPCACHEMAXMB", ge=1)
    starting_seconds: float = Field(300.0, alias="FUNAI_WORKSPACE_RUNSTARTINGTIMEOUTSECONDS", ge=30)
    logs_kept: int = Field(3, alias="FUNAI_WORKSPACE_RUNLOGKEEPPERTYPE", ge=1, le=100)

    #: Bytes that the log of one run keeps; the oldest go first.
    log_bytes: Size = Field(16 * 1024**2, alias="FUNAI_WORKSPACE_RUNLOGMAXBYTES", ge=1024**2)

    test_seconds: int = Field(30, alias="FUNAI_WORKSPACE_TESTDEFAULTTIMEOUTSECONDS", ge=1, le=3600)
    test_most_seconds: int = Field(300, alias="FUNAI_WORKSPACE_TESTMAXTIMEOUTSECONDS", ge=1, le=3600)
    test_bytes: Size = Field(10 * 1024**2, alias="FUNAI_WORKSPACE_TESTMAXOUTPUTSIZEBYTES", ge=1024)

    git_enabled: bool = Field(False, alias="FUNAI_WORKSPACE_GIT_ENABLED")
    git_user: str = Field("git", alias="FUNAI_WORKSPACE_GIT_SSH_USER", pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    git_host: str = Field("127.0.0.1", alias="FUNAI_WORKSPACE_GIT_SSH_HOST", pattern=_HOST)
    git_port: int = Field(2222, alias="FUNAI_WORKSPACE_GIT_SSH_PORT", ge=1, le=65535)
    git_owner: str = Field("funai", alias="FUNAI_WORKSPACE_GIT_REPO_OWNER", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    git_template: str = Field(
        "u{userId}-app{appId}", alias="FUNAI_WORKSPACE_GIT_REPO_NAME_TEMPLATE", pattern=_REPOSITORY_NAME
    )
    #: Whose host key is right: lines as OpenSSH's known_hosts has them.
    git_known_hosts: Folder = Field(
        Path("/opt/fun-ai-studio/keys/gitea/known_hosts"), alias="FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH"
    )
    #: Who lends keys: the folder of the git server of ours, or the API, for Gitea and where the folder is not here.
    git_keys: Literal["folder", "api"] = Field("folder", alias="FUNAI_WORKSPACE_GIT_KEYS")
    #: Where keys are lent: the folder that the git server knows as GIT_LOANS_DIR.
    git_loans_dir: Folder = Field(Path("/var/lib/funai/git/loans"), alias="FUNAI_WORKSPACE_GIT_LOANS_DIR")
    git_seconds: float = Field(120.0, alias="FUNAI_WORKSPACE_GIT_TIMEOUTSECONDS", gt=0, le=3600)

    #: A MongoDB in which apps that are worked on have a database each; off unless it is switched on.
    mongo_enabled: bool = Field(False, alias="FUNAI_WORKSPACE_MONGO_ENABLED")
    mongo_host: str = Field("", pattern=_NO_HOST_OR_ONE, alias="FUNAI_WORKSPACE_MONGO_HOST")
    mongo_port: int = Field(27017, ge=1, le=65535, alias="FUNAI_WORKSPACE_MONGO_PORT")
    #: The same as containers reach it, where it has another name there.
    mongo_container_host: str = Field("", pattern=_NO_HOST_OR_ONE, alias="FUNAI_WORKSPACE_MONGO_CONTAINERHOST")
    mongo_tls: bool = Field(False, alias="FUNAI_WORKSPACE_MONGO_TLS")
    #: Who may administer users and databases there; no container is told of it.
    mongo_username: str = Field("", alias="FUNAI_WORKSPACE_MONGO_USERNAME")
    mongo_password: Password = Field(SecretStr(""), alias="FUNAI_WORKSPACE_MONGO_PASSWORD")
    mongo_auth_source: str = Field("admin", pattern=r"^[A-Za-z0-9_-]{1,63}$", alias="FUNAI_WORKSPACE_MONGO_AUTHSOURCE")
    mongo_prefix: str = Field(
        "db_", pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$", alias="FUNAI_WORKSPACE_MONGO_DBNAMEPREFIX"
    )
    #: How long the server may keep a start or a deletion waiting.
    mongo_seconds: float = Field(3.0, gt=0, le=60, alias="FUNAI_WORKSPACE_MONGO_TIMEOUTSECONDS")

    idle_freeze_minutes: int = Field(10, alias="FUNAI_WORKSPACE_IDLESTOPRUNMINUTES", ge=0)
    idle_stop_minutes: int = Field(20, alias="FUNAI_WORKSPACE_IDLESTOPCONTAINERMINUTES", ge=0)

    #: Where the node registers itself; without an address it does not.
    registry_enabled: bool = Field(True, alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_ENABLED")
    api_base_url: BaseUrl | None = Field(None, alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL")
    api_token: OptionalToken = Field(SecretStr(""), alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN")
    #: Where gateways and the API find this node.
    nginx_base_url: BaseUrl = Field("http://127.0.0.1", alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NGINX_BASE_URL")
    node_api_base_url: BaseUrl = Field(
        "http://127.0.0.1:7001", alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_API_BASE_URL"
    )
    beat_seconds: int = Field(15, alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_INTERVAL_SECONDS", ge=1, le=3600)
    terminal_origins: Words = Field((), alias="FUNAI_WORKSPACE_TERMINAL_ORIGINS")

    @model_validator(mode="after")
    def _who_borrows_knows_whom_to_ask(self) -> Self:
        named = {
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL": self.api_base_url,
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN": self.api_token.get_secret_value(),
        }
        borrows = self.git_enabled and self.git_keys == "api"
        if borrows and (missing := [name for name, value in named.items() if not value]):
            raise Misconfigured(
                f"workspace cannot start: FUNAI_WORKSPACE_GIT_KEYS is api, but {', '.join(missing)} not set; name the "
                "API and show it a token of this node's own, or let FUNAI_WORKSPACE_GIT_KEYS be folder"
            )
        return self

    @model_validator(mode="after")
    def _databases_have_a_server_and_an_administrator(self) -> Self:
        named = {
            "FUNAI_WORKSPACE_MONGO_HOST": self.mongo_host,
            "FUNAI_WORKSPACE_MONGO_USERNAME": self.mongo_username,
            "FUNAI_WORKSPACE_MONGO_PASSWORD": self.mongo_password.get_secret_value(),
        }
        if self.mongo_enabled and (missing := [name for name, value in named.items() if not value]):
            raise Misconfigured(
                f"workspace cannot start: FUNAI_WORKSPACE_MONGO_ENABLED is true, but {', '.join(missing)} not set; "
                "name the server and an account that may make others, so that no app has another's, or switch it off"
            )
        return self
