"""Settings of a workspace node."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from daemons.kit.settings import Networks, OptionalToken, Settings, Tokens, Words, size
from protocol.names import BaseUrl, HttpPath, NodeName


def _folder(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError("must be an absolute path")
    return value


def _pool(network: IPv4Network) -> IPv4Network:
    if not 8 <= network.prefixlen <= 24:
        raise ValueError("must be a network of /8 to /24; every workspace takes 16 of its addresses")
    return network


_URL: Final = r"^(https?://[!-~]{1,500})?$"

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

    preview_path_prefix: HttpPath = Field("/preview", alias="FUNAI_WORKSPACE_PREVIEWPATHPREFIX")
    preview_hold_seconds: float = Field(20.0, alias="FUNAI_WORKSPACE_PREVIEWHOLDSECONDS", ge=0, le=300)
    npm_registry: str = Field("", alias="FUNAI_WORKSPACE_NPMREGISTRY", pattern=_URL)
    pip_index: str = Field("", alias="FUNAI_WORKSPACE_PIPINDEX", pattern=_URL)
    npm_cache_megabytes: int = Field(2048, alias="FUNAI_WORKSPACE_NPMCACHEMAXMB", ge=16)
    starting_seconds: float = Field(300.0, alias="FUNAI_WORKSPACE_RUNSTARTINGTIMEOUTSECONDS", ge=30)
    logs_kept: int = Field(3, alias="FUNAI_WORKSPACE_RUNLOGKEEPPERTYPE", ge=1, le=100)

    idle_freeze_minutes: int = Field(10, alias="FUNAI_WORKSPACE_IDLESTOPRUNMINUTES", ge=0)
    idle_stop_minutes: int = Field(20, alias="FUNAI_WORKSPACE_IDLESTOPCONTAINERMINUTES", ge=0)

    api_base_url: BaseUrl | None = Field(None, alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL")
    api_token: OptionalToken = Field(SecretStr(""), alias="FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN")
    terminal_origins: Words = Field((), alias="FUNAI_WORKSPACE_TERMINAL_ORIGINS")
