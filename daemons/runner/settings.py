"""The runner's settings; names and defaults are the documented ones."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from daemons.kit.settings import Settings, Tokens
from protocol.names import BaseUrl, GitHost, ImageRef, Labels, Namespace, Port, RegistryHost, RunnerId

_SECRET_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}=/[^\x00-\x1f\x7f]{1,255}")
_ARGUMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}=[^\x00-\x1f\x7f]{0,1024}")


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _arguments(values: tuple[str, ...]) -> tuple[str, ...]:
    if any(not _ARGUMENT.fullmatch(value) for value in values):
        raise ValueError("must be NAME=value, separated by commas, each NAME of letters, digits and '_'")
    return values


def _secret_files(values: tuple[str, ...]) -> tuple[str, ...]:
    if any(not _SECRET_FILE.fullmatch(value) for value in values):
        raise ValueError("must be NAME=/path/of/a/file, separated by commas")
    return values


#: Build arguments stand in an image's history, where everybody who has the image reads them: not for secrets.
BuildArguments = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_arguments)]
SecretFiles = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_secret_files)]
LabelList = Annotated[Labels, NoDecode, BeforeValidator(_split)]
GitHosts = Annotated[tuple[GitHost, ...], NoDecode, BeforeValidator(_split)]
HostList = Annotated[tuple[RegistryHost, ...], NoDecode, BeforeValidator(_split)]
Optional = BeforeValidator(lambda value: value or None)


class TemplateSettings(Settings):
    """What templates stand on, for repositories without a Dockerfile; `funai init` reads these alone."""

    service: ClassVar[str] = "runner"

    registry: RegistryHost | Annotated[str, Field(max_length=0)] = Field("", alias="ACR_REGISTRY")
    namespace: Namespace = Field("funaistudio", alias="ACR_NAMESPACE")
    node_image: ImageRef | None = Field(None, alias="RUNNER_NODE_IMAGE")
    python_image: ImageRef = Field("python:3.12-slim", alias="RUNNER_PYTHON_IMAGE")
    go_image: ImageRef = Field("golang:1.23-alpine", alias="RUNNER_GO_IMAGE")
    static_image: ImageRef = Field("busybox:1.36", alias="RUNNER_STATIC_IMAGE")

    @property
    def template_node_image(self) -> str:
        """The documented base image of the platform's registry; without a registry, one by its common name."""
        documented = f"{self.registry}/{self.namespace}/base-node:latest-curl1" if self.registry else "node:20-slim"
        return self.node_image or documented


class RunnerSettings(TemplateSettings):
    """Read once at start."""

    host: str = Field("127.0.0.1", alias="RUNNER_HOST")
    port: Port = Field(7003, alias="RUNNER_PORT")
    deploy_url: BaseUrl = Field("http://127.0.0.1:7002", alias="DEPLOY_BASE_URL")
    runner_token: Tokens = Field(alias="DEPLOY_RUNNER_TOKEN")
    agent_token: Tokens = Field(alias="RUNTIME_AGENT_TOKEN")
    runner_id: RunnerId = Field("runner-01", alias="RUNNER_ID")
    slots: Annotated[int, Field(ge=1, le=64)] = Field(2, alias="RUNNER_SLOTS")
    #: What this runner offers to jobs that require it, separated by commas: "gpu, arm64".
    labels: LabelList = Field((), alias="RUNNER_LABELS")
    lease_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(30, alias="JOB_LEASE_SECONDS")
    poll_seconds: Annotated[float, Field(gt=0, le=30)] = Field(3, alias="POLL_SECONDS")
    drain_seconds: Annotated[float, Field(ge=0, le=7200)] = Field(600, alias="RUNNER_DRAIN_SECONDS")
    git_key: Path = Field(Path("/opt/fun-ai-studio/keys/gitea/runner_bot_ed25519"), alias="GIT_SSH_KEY_PATH")
    git_known_hosts: Path = Field(Path("/opt/fun-ai-studio/keys/gitea/known_hosts"), alias="GIT_KNOWN_HOSTS_PATH")
    #: Where jobs may clone from, `host` or `host:port`, separated by commas; empty: from hosts with a known key.
    git_hosts: GitHosts = Field((), alias="RUNNER_GIT_HOSTS")
    #: A folder with keys of single repositories, as HOST_PORT/OWNER/NAME; the others are read with the bot's key.
    git_own_keys: Annotated[Path | None, Optional] = Field(None, alias="RUNNER_GIT_KEYS")
    git_seconds: Annotated[float, Field(gt=0, le=7200)] = Field(600, alias="RUNNER_GIT_SECONDS")
    #: The most that a repository's files may be, and what is transferred of it.
    git_most_mb: Annotated[int, Field(ge=1, le=1_000_000)] = Field(2048, alias="RUNNER_GIT_MOST_MB")
    #: How much is kept of repositories between jobs, in RUNNER_WORKDIR; 0 keeps nothing.
    git_cache_mb: Annotated[int, Field(ge=0, le=10_000_000)] = Field(10_240, alias="RUNNER_GIT_CACHE_MB")
    #: With less free than this where the builder keeps layers, in percent, those of former builds go; 0: never. It is
    #: above the line at which an agent on the same disk takes no new apps, because these layers only save time.
    cache_tidy_pct: Annotated[float, Field(ge=0, le=80)] = Field(30, alias="RUNNER_CACHE_TIDY_PCT")
    #: With so many GB free they stay, whatever the share.
    cache_enough_gb: Annotated[int, Field(ge=0, le=1_000_000)] = Field(60, alias="RUNNER_CACHE_ENOUGH_GB")
    workdir: Path = Field(Path("/data/funai/runner/workdir"), alias="RUNNER_WORKDIR")
    #: With less than so much percent of a disk free that builds fill, no job is claimed, until so much is free again.
    disk_stop_pct: Annotated[float, Field(ge=0, le=100)] = Field(10, alias="RUNNER_DISK_STOP_PCT")
    disk_resume_pct: Annotated[float, Field(ge=0, le=100)] = Field(15, alias="RUNNER_DISK_RESUME_PCT")
    #: Where so many GiB are free, percentages do not count.
    disk_enough_gb: Annotated[int, Field(ge=0, le=1_000_000)] = Field(20, alias="RUNNER_DISK_ENOUGH_GB")
    docker_host: str = Field("unix:///var/run/docker.sock", alias="DOCKER_HOST")
    #: Documented default: true. Without a registry, base images may exist in the shared engine only, and a pull
    #: would fail the build, so the default follows the registry.
    build_pull: bool | None = Field(None, alias="RUNNER_DOCKER_BUILD_PULL")
    build_memory: Annotated[str, Field(pattern=r"^([0-9]{1,12}[bkmgBKMG]?)?$")] = Field(
        "2g", alias="RUNNER_BUILD_MEMORY"
    )
    registry_username: str = Field("", alias="REGISTRY_USERNAME")
    registry_password: SecretStr = Field(SecretStr(""), alias="REGISTRY_PASSWORD")
    acr_username: str = Field("", alias="ACR_USERNAME")
    acr_password: SecretStr = Field(SecretStr(""), alias="ACR_PASSWORD")
    #: Registries that are spoken to in plain HTTP, besides those on this machine; an engine has a list of its own.
    plain_http: HostList = Field((), alias="RUNNER_PLAIN_HTTP_REGISTRIES")
    npm_registry: str = Field("", alias="NPM_REGISTRY")
    #: More build arguments for every build, such as PIP_INDEX_URL or GOPROXY: "NAME=value, NAME=value".
    build_args: BuildArguments = Field((), alias="RUNNER_BUILD_ARGS")
    #: Files that instructions may mount as secrets (RUN --mount=type=secret,id=NAME), with buildah: "NAME=/path".
    build_secrets: SecretFiles = Field((), alias="RUNNER_BUILD_SECRETS")
    #: What builds: "engine", "buildah", or by what is there.
    builder: Literal["auto", "engine", "buildah"] = Field("auto", alias="RUNNER_BUILDER")
    #: Processes one build of buildah's may have at a time; 0: no bound.
    build_processes: Annotated[int, Field(ge=0, le=1_000_000)] = Field(4096, alias="RUNNER_BUILD_PIDS")
    #: Processors one build may use; 0: as many as there are.
    build_cpus: Annotated[float, Field(ge=0, le=1024)] = Field(0, alias="RUNNER_BUILD_CPUS")
    build_seconds: Annotated[int, Field(ge=10, le=86_400)] = Field(1800, alias="RUNNER_BUILD_SECONDS")
    #: What the instructions of a Dockerfile can reach: everything the builder reaches, or nothing. Base images are
    #: fetched either way.
    build_network: Literal["default", "none"] = Field("default", alias="RUNNER_BUILD_NETWORK")

    #: The most that is kept of a job's log, but for its end, and how long and how much waits for the control plane.
    log_most_mb: Annotated[int, Field(ge=1, le=60)] = Field(16, alias="RUNNER_LOG_MOST_MB")
    log_kept_hours: Annotated[float, Field(gt=0, le=24 * 365)] = Field(24, alias="RUNNER_LOG_KEPT_HOURS")
    log_kept_mb: Annotated[int, Field(ge=1, le=10_000_000)] = Field(1024, alias="RUNNER_LOG_KEPT_MB")

    @model_validator(mode="after")
    def _credentials_name_their_registry(self) -> Self:
        """A job may name a registry of its own; credentials must never be sent to any but the one they are for."""
        if self.username and not self.registry:
            raise ValueError("REGISTRY_USERNAME is set without ACR_REGISTRY; set ACR_REGISTRY to the host it is for")
        return self

    @model_validator(mode="after")
    def _claims_again_above_the_line_where_it_stops(self) -> Self:
        if self.disk_resume_pct < self.disk_stop_pct:
            raise ValueError("RUNNER_DISK_RESUME_PCT is below RUNNER_DISK_STOP_PCT; it must not be")
        return self

    @property
    def pull(self) -> bool:
        """Whether a build looks for newer base images."""
        return bool(self.registry) if self.build_pull is None else self.build_pull

    @property
    def build_memory_bytes(self) -> int:
        """What one instruction of a build may use, in bytes; 0 when RUNNER_BUILD_MEMORY is empty: no limit."""
        number, unit = self.build_memory.rstrip("bkmgBKMG"), self.build_memory[-1:].lower()
        return int(number or 0) * {"k": 1024, "m": 1024**2, "g": 1024**3}.get(unit, 1)

    @property
    def build_arguments(self) -> dict[str, str]:
        """The build arguments of every build."""
        given = dict(argument.split("=", 1) for argument in self.build_args)
        return {"NPM_REGISTRY": self.npm_registry, **given} if self.npm_registry else given

    @property
    def secret_files(self) -> dict[str, Path]:
        """The files of build secrets by name."""
        return {name: Path(path) for name, path in (value.split("=", 1) for value in self.build_secrets)}

    @property
    def username(self) -> str:
        """The registry account; the documented older name is the fallback."""
        return self.registry_username or self.acr_username

    @property
    def password(self) -> str:
        """Its password."""
        return self.registry_password.get_secret_value() or self.acr_password.get_secret_value()
