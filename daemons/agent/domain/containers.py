"""The one place that decides how an app's container is made: hardened and limited, whatever its image says.

Source of the rules: the platform's security checklist for user containers (few capabilities, no new privileges, bounded
memory, processors, processes, files and logs, reachable from this node only).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: A value of a JSON document.
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

MANAGED: Final = "funai.managed"
APP_ID: Final = "funai.app-id"
USER_ID: Final = "funai.user-id"
NODE: Final = "funai.node"

#: All that a process with user 0 of the container may do beyond an ordinary one. Each is what ordinary images do before
#: they give up being root, and acts on the container's own files and processes alone. Not here, though engines give
#: them by default: raw sockets, device nodes, chroot, file capabilities, the audit log.
CAPABILITIES: Final = (
    "CHOWN",  # entry points that give data folders to the user they change to; nginx refuses to start without it
    "DAC_OVERRIDE",  # ... and write into folders that already belong to that user
    "FOWNER",  # ... and set the mode of such files
    "SETGID",  # su, gosu and servers that drop to a user of their own
    "SETUID",
    "KILL",  # init (user 0) passes SIGTERM on to such a process; without it every stop is a kill
    "NET_BIND_SERVICE",  # programs whose file asks for it (Caddy) cannot be executed at all without it
)
#: Ports below 1024 are free for every user: a container's network is its own.
_SYSCTLS: Final = {"net.ipv4.ip_unprivileged_port_start": "0"}
#: Apps die before the daemons of the node when its memory ends.
_OOM_SCORE: Final = 500
_NONE: Final[Mapping[str, int]] = {}
_TMPFS: Final = "rw,nosuid,nodev,mode=1777,size={}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one app may use: bytes of memory (swap included), billionths of a CPU, processes, open files, and bytes of
    each folder in memory that an app with a read-only root has."""

    memory_bytes: int = 512 * 1024**2
    nano_cpus: int = 10**9
    pids: int = 256
    open_files: int = 16384
    tmpfs_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container to be made; `image_id` is what runs, `image` is how it was asked for."""

    name: str
    node: str
    user_id: str
    app_id: str
    fence: int
    image: str
    image_id: str
    container_port: int
    host_port: int
    limits: Limits = field(default_factory=Limits)
    network: str = ""
    router_labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_only: bool = False


def labels(spec: ContainerSpec, inherited: Iterable[str] = ()) -> dict[str, str]:
    """The container's labels. Those that its image carries (`inherited` are their names) are emptied.

    Routers, updaters and schedulers beside us act on the labels of any container; an image must not speak to them.
    """
    return {
        **dict.fromkeys(inherited, ""),
        MANAGED: "1",
        NODE: spec.node,
        APP_ID: spec.app_id,
        USER_ID: spec.user_id,
        "funai.fence": str(spec.fence),
        "funai.image": spec.image,
        # An image may carry router labels; a Traefik beside us must not read them.
        **(spec.router_labels or {"traefik.enable": "false"}),
    }


def engine_config(
    spec: ContainerSpec, network: str, inherited: Iterable[str] = (), ulimits: Mapping[str, int] = _NONE
) -> dict[str, Json]:
    """The body of the engine's create call (Docker Engine API 1.41, ContainerCreate).

    Without a restart policy: the agent starts again what crashed, so that every crash is seen as what it is. An image's
    own health check would run as often as it likes, so there is none: the agent probes.
    """
    port = f"{spec.container_port}/tcp"
    return {
        "Image": spec.image_id,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "ExposedPorts": {port: {}},
        "Labels": labels(spec, inherited),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(spec, port, network, ulimits),
    }


def environment(spec: ContainerSpec) -> Mapping[str, str]:
    """The app's own, and the port it is to listen on, which is not its to choose."""
    return {**spec.environment, "PORT": str(spec.container_port)}


def sysctls() -> Mapping[str, str]:
    """Settings of the container's own network."""
    return _SYSCTLS


def tmpfs(spec: ContainerSpec) -> dict[str, str]:
    """Folders in memory for who may not write elsewhere; what is in them counts as the app's memory."""
    if not spec.read_only:
        return {}
    return {folder: _TMPFS.format(spec.limits.tmpfs_bytes) for folder in ("/tmp", "/run", "/var/tmp")}  # noqa: S108


def _host_config(spec: ContainerSpec, port: str, network: str, ulimits: Mapping[str, int]) -> dict[str, Json]:
    bounds = {"nofile": spec.limits.open_files, **ulimits}
    return {
        "NetworkMode": network,
        "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": str(spec.host_port)}]},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "CapDrop": ["ALL"],
        "CapAdd": list(CAPABILITIES),
        "Sysctls": _SYSCTLS,
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "Init": True,
        "IpcMode": "private",
        "PublishAllPorts": False,
        "ReadonlyRootfs": spec.read_only,
        "Tmpfs": tmpfs(spec),
        "OomScoreAdj": _OOM_SCORE,
        "Memory": spec.limits.memory_bytes,
        "MemorySwap": spec.limits.memory_bytes,
        "NanoCpus": spec.limits.nano_cpus,
        "PidsLimit": spec.limits.pids,
        "Ulimits": [{"Name": name, "Soft": most, "Hard": most} for name, most in bounds.items()],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }
