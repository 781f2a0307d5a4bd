"""Settings of the runtime agent."""

import re
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from daemons.kit.settings import Misconfigured, OptionalToken, Password, Settings, Tokens, size
from protocol.names import Labels, RegistryHost

_LINE: Final = re.compile(
    r"(?P<pct>[0-9]{1,2}(?:[.][0-9]+)?)%(?:/(?P<size>[0-9]+[bkmg]?))?(?:/(?P<inodes>[0-9]{1,15}))?"
)
_MOST_PCT: Final = 80
_NO_BOUND: Final = 2**62
_CONSTRAINT: Final = re.compile(r"(node|engine)[.][A-Za-z0-9._-]{1,100} ?[!=]= ?[A-Za-z0-9._/-]{1,100}")
_RANGE: Final = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


def _nano_cpus(value: object) -> object:
    """CPUs as Docker writes them: 0.5 is half of one."""
    if not isinstance(value, str):
        return value
    try:
        return int(Decimal(value.strip()) * 10**9)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError("must be a number of CPUs such as 0.5 or 2") from None


def _ports(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _RANGE.fullmatch(value.strip())
    if not found or not 1024 <= int(found[1]) <= int(found[2]) <= 65535:
        raise ValueError("must be a range of ports such as 20000-29999, from 1024 to 65535")
    return int(found[1]), int(found[2])


def _hosts(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _labels(value: object) -> object:
    return _hosts(value) or None


def _line(value: object) -> object:
    """A watermark: `PERCENT%`, `PERCENT%/SIZE` or `PERCENT%/SIZE/INODES`, such as 15%/20g/1000000."""
    if not isinstance(value, str):
        return value
    found = _LINE.fullmatch(value.strip())
    if not found or not 0 < float(found["pct"]) <= _MOST_PCT:
        raise ValueError(
            f"must be a share that stays free and the most that it may come to, such as 15%/20g or 15%/20g/1000000 "
            f"(inodes), of at most {_MOST_PCT} %"
        )
    most = size(found["size"]) if found["size"] else _NO_BOUND
    return float(found["pct"]), most, int(found["inodes"] or _NO_BOUND)


#: Percent of bytes and of inodes that stay free, and the most bytes and inodes that this may come to.
DiskLine = Annotated[tuple[float, int, int], NoDecode, BeforeValidator(_line)]
#: Hosts of registries, each with its port if it has one.
RegistryHosts = Annotated[tuple[RegistryHost, ...], NoDecode, BeforeValidator(_hosts)]


#: By commas; nothing is the same as none said.
NodeLabels = Annotated[Labels | None, NoDecode, BeforeValidator(_labels)]


#: Digits and an underscore after them: no two apps can come to the same name.
_TEMPLATE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}\{userId\}_[A-Za-z0-9_]{0,15}\{appId\}")


def _template(value: str) -> str:
    if not _TEMPLATE.fullmatch(value):
        raise ValueError("must be letters, digits and '_' around {userId}_ and {appId}, such as db_u{userId}_a{appId}")
    return value


_HOST: Final = r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)?$"


#: An IP address, in brackets where it needs them, and a port.
_ADMIN: Final = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}$"


def _reach(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = []
    for part in filter(None, (part.strip() for part in value.split(","))):
        network, _, port = part.partition(":")
        if port and not (port.isdecimal() and 1 <= int(port) <= 65535):
            raise ValueError("must be addresses such as 10.0.0.5, 10.0.0.0/24 or 10.0.0.5:27017, separated by commas")
        found.append((IPv4Network(network), int(port) if port else None))
    return tuple(found)


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(IPv4Network(part.strip()) for part in value.split(",") if part.strip())


def _constraints(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not all(_CONSTRAINT.fullmatch(part) for part in parts):
        raise ValueError("must be constraints such as node.labels.apps==yes, separated by commas")
    return parts


def _pool(network: IPv4Network) -> IPv4Network:
    if not 8 <= network.prefixlen <= 24:
        raise ValueError("must be a network of /8 to /24; every app takes 16 of its addresses")
    return network


class AgentSettings(Settings):
    """What the agent reads from its environment."""

    service: ClassVar[str] = "agent"

    host: str = Field("0.0.0.0", alias="RUNTIME_AGENT_HOST")
    port: int = Field(7005, ge=1, le=65535, alias="RUNTIME_AGENT_PORT")
    tokens: Tokens = Field(alias="RUNTIME_AGENT_TOKEN")

    node_name: str = Field(
        "rt-node-01", pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$", alias="RUNTIME_NODE_NAME"
    )
    agent_url: str = Field("", alias="RUNTIME_NODE_AGENT_BASE_URL")
    gateway_url: str = Field("", alias="RUNTIME_NODE_GATEWAY_BASE_URL")
    deploy_url: str = Field("", alias="DEPLOY_BASE_URL")
    node_token: OptionalToken = Field(SecretStr(""), alias="DEPLOY_NODE_TOKEN")
    #: Replace those that an operator gave the node; unset, they stay.
    labels: NodeLabels = Field(None, alias="RUNTIME_NODE_LABELS")
    heartbeat_seconds: float = Field(10, gt=0, le=3600, alias="DEPLOY_HEARTBEAT_SECONDS")

    engine: Literal["docker", "swarm"] = Field("docker", alias="RUNTIME_ENGINE")
    swarm_constraints: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_constraints)] = Field(
        (), alias="RUNTIME_SWARM_CONSTRAINTS"
    )
    docker_host: str = Field("unix:///var/run/docker.sock", alias="DOCKER_HOST")
    data_dir: Path = Field(Path("agent"), alias="RUNTIME_DATA_DIR")
    gateway_driver: Literal["haproxy", "nginx", "traefik"] = Field("haproxy", alias="RUNTIME_GATEWAY_DRIVER")
    nginx_folder: Path = Field(Path("gateway/nginx"), alias="RUNTIME_NGINX_FOLDER")
    nginx_admin: str = Field("127.0.0.1:7006", pattern=_ADMIN, alias="RUNTIME_NGINX_ADMIN")
    traefik_file: Path = Field(Path("gateway/traefik/funai.yml"), alias="RUNTIME_TRAEFIK_FILE")
    traefik_settle_seconds: float = Field(5, ge=0, le=300, alias="RUNTIME_TRAEFIK_SETTLE_SECONDS")
    gateway_map: Path = Field(Path("gateway/routes.map"), alias="RUNTIME_GATEWAY_MAP")
    gateway_socket: Path = Field(Path("gateway/admin.sock"), alias="RUNTIME_GATEWAY_SOCKET")
    access_log_bytes: Annotated[int, BeforeValidator(size)] = Field(
        8 * 1024**2, ge=64 * 1024, alias="RUNTIME_ACCESS_LOG_BYTES"
    )
    access_log_days: int = Field(14, ge=1, le=3650, alias="RUNTIME_ACCESS_LOG_DAYS")
    require_fence: bool = Field(True, alias="RUNTIME_REQUIRE_FENCE")
    start_seconds: float = Field(60, gt=0, le=600, alias="RUNTIME_START_SECONDS")
    drain_seconds: float = Field(30, ge=0, le=3600, alias="RUNTIME_DRAIN_SECONDS")
    stream_drain_seconds: float = Field(120, ge=0, le=86400, alias="RUNTIME_STREAM_DRAIN_SECONDS")

    watch_seconds: float = Field(10, ge=0, le=3600, alias="RUNTIME_WATCH_SECONDS")

    shells: int = Field(8, ge=0, le=1000, alias="RUNTIME_SHELLS")
    shell_idle_seconds: float = Field(900, gt=0, le=86_400, alias="RUNTIME_SHELL_IDLE_SECONDS")
    shell_seconds: float = Field(4 * 3600, gt=0, le=86_400, alias="RUNTIME_SHELL_SECONDS")

    network: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$", alias="RUNTIME_DOCKER_NETWORK")
    nano_cpus: Annotated[int, BeforeValidator(_nano_cpus)] = Field(10**9, ge=10**7, alias="RUNTIME_APP_CPUS")
    memory_bytes: Annotated[int, BeforeValidator(size)] = Field(
        512 * 1024**2, ge=6 * 1024**2, alias="RUNTIME_APP_MEMORY"
    )
    pids_limit: int = Field(256, ge=8, le=100_000, alias="RUNTIME_APP_PIDS_LIMIT")
    most_nano_cpus: Annotated[int, BeforeValidator(_nano_cpus)] = Field(
        4 * 10**9, ge=10**7, alias="RUNTIME_APP_CPUS_MAX"
    )
    most_memory_bytes: Annotated[int, BeforeValidator(size)] = Field(
        2 * 1024**3, ge=6 * 1024**2, alias="RUNTIME_APP_MEMORY_MAX"
    )
    most_pids: int = Field(1024, ge=8, le=100_000, alias="RUNTIME_APP_PIDS_LIMIT_MAX")
    app_ports: Annotated[tuple[int, int], NoDecode, BeforeValidator(_ports)] = Field(
        (20000, 29999), alias="RUNTIME_APP_PORTS"
    )

    app_subnets: Annotated[IPv4Network, AfterValidator(_pool)] = Field(
        IPv4Network("10.222.0.0/16"), alias="RUNTIME_APP_SUBNETS"
    )
    app_firewall: bool = Field(True, alias="RUNTIME_APP_FIREWALL")
    app_reach: Annotated[tuple[tuple[IPv4Network, int | None], ...], NoDecode, BeforeValidator(_reach)] = Field(
        (), alias="RUNTIME_APP_REACH"
    )
    app_denied: Annotated[tuple[IPv4Network, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (), alias="RUNTIME_APP_DENIED"
    )

    registry_url: str = Field("", alias="REGISTRY_URL")
    registry_username: str = Field("", alias="REGISTRY_USERNAME")
    registry_password: SecretStr = Field(SecretStr(""), alias="REGISTRY_PASSWORD")

    #: An empty list admits every registry.
    registries: RegistryHosts = Field((), alias="RUNTIME_REGISTRIES")

    disk_no_new_apps: DiskLine = Field((25, 50 * 1024**3, 2_000_000), alias="RUNTIME_DISK_NO_NEW_APPS")
    disk_no_pulls: DiskLine = Field((15, 20 * 1024**3, 1_000_000), alias="RUNTIME_DISK_NO_PULLS")
    disk_stops_only: DiskLine = Field((7, 5 * 1024**3, 200_000), alias="RUNTIME_DISK_STOPS_ONLY")
    pull_expansion: float = Field(4, ge=1, le=20, alias="RUNTIME_PULL_EXPANSION")

    mongo_host: str = Field("", pattern=_HOST, alias="RUNTIME_MONGO_HOST")
    mongo_port: int = Field(27017, ge=1, le=65535, alias="RUNTIME_MONGO_PORT")
    mongo_app_host: str = Field("", pattern=_HOST, alias="RUNTIME_MONGO_APP_HOST")
    mongo_tls: bool = Field(False, alias="RUNTIME_MONGO_TLS")
    mongo_username: str = Field("", alias="RUNTIME_MONGO_USERNAME")
    mongo_password: Password = Field(SecretStr(""), alias="RUNTIME_MONGO_PASSWORD")
    mongo_auth_source: str = Field("admin", pattern=r"^[A-Za-z0-9_-]{1,63}$", alias="RUNTIME_MONGO_AUTH_SOURCE")
    mongo_template: Annotated[str, AfterValidator(_template)] = Field(
        "db_u{userId}_a{appId}", alias="RUNTIME_MONGO_DB_TEMPLATE"
    )
    mongo_mark: bool = Field(True, alias="RUNTIME_MONGO_PRECREATE")
    mongo_seconds: float = Field(3, gt=0, le=60, alias="RUNTIME_MONGO_PRECREATE_TIMEOUT_SECONDS")
    mongo_drop: bool = Field(False, alias="RUNTIME_MONGO_DROP_ON_DELETE")

    @property
    def disk_lines(self) -> tuple[tuple[float, int, int], ...]:
        """The three lines; one that names no bound is bound by the one before."""
        lines = [self.disk_no_new_apps]
        for pct, *bounds in (self.disk_no_pulls, self.disk_stops_only):
            size, inodes = (min(own, most) for own, most in zip(bounds, lines[-1][1:], strict=True))
            lines.append((pct, size, inodes))
        return tuple(lines)

    @property
    def confirms(self) -> bool:
        """Whether there is a deploy to ask before a switch."""
        return bool(self.deploy_url and self.node_token.get_secret_value())

    @property
    def reports(self) -> bool:
        """Whether there is a deploy to report to, and it can be told where this node is."""
        return bool(self.confirms and self.agent_url and self.gateway_url)

    @model_validator(mode="after")
    def _watermarks_are_in_order(self) -> Self:
        for before, line in pairwise((self.disk_no_new_apps, self.disk_no_pulls, self.disk_stops_only)):
            above = any(own != _NO_BOUND and own > most for own, most in zip(line[1:], before[1:], strict=True))
            if line[0] >= before[0] or above:
                raise Misconfigured(
                    "agent cannot start: RUNTIME_DISK_NO_NEW_APPS, RUNTIME_DISK_NO_PULLS and RUNTIME_DISK_STOPS_ONLY "
                    "must each ask for less free room than the one before, in percent, bytes and inodes"
                )
        return self

    @model_validator(mode="after")
    def _fences_can_be_confirmed(self) -> Self:
        if self.require_fence and not self.confirms:
            raise Misconfigured(
                "agent cannot start: RUNTIME_REQUIRE_FENCE is true, so DEPLOY_BASE_URL and DEPLOY_NODE_TOKEN must be "
                "set; set them, or RUNTIME_REQUIRE_FENCE=false to admit callers that send no fence"
            )
        return self

    @model_validator(mode="after")
    def _a_user_has_a_password(self) -> Self:
        if bool(self.mongo_username) != bool(self.mongo_password.get_secret_value()):
            raise Misconfigured(
                "agent cannot start: RUNTIME_MONGO_USERNAME and RUNTIME_MONGO_PASSWORD go together; set both or neither"
            )
        return self
