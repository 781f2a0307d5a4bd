"""The one place that decides how a user's container is made: hardened and limited, whatever its image says.

It has no capability at all, and its root is read-only: what a user writes goes to their own file system, which ends
where its quota does, or to folders in memory. No restart policy: the node decides what runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

#: A value of a JSON document.
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

MANAGED: Final = "funai.managed"
KIND: Final = "funai.kind"
NODE: Final = "funai.node"
USER_ID: Final = "funai.user-id"
EPOCH: Final = "funai.epoch"
#: What the container was made of: one that was made otherwise is made anew when it starts next.
MAKING: Final = "funai.making"
WORKSPACE: Final = "workspace"
#: Where a user's files are inside, and where the node's own are.
WORKDIR: Final = "/workspace"
GATES: Final = "/run/funai"
#: Users' programs die before the daemons of the node when its memory ends, and before apps.
_OOM_SCORE: Final = 600
_TMPFS: Final = "rw,nosuid,nodev,mode=1777,size={}"
#: A busybox has no `sleep infinity`.
_FOREVER: Final = "2147483647"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one workspace may use: bytes of memory (swap included), CPUs, processes, open files, and bytes of each
    folder in memory."""

    memory_bytes: int
    cpus: float
    pids: int
    open_files: int
    tmp_bytes: int


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container to be made. `home` and `gates` are folders of the node."""

    user_id: str
    name: str
    node: str
    epoch: int
    image: str
    host_port: int
    container_port: int
    home: str
    gates: str
    uid: int
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def owner_labels(node: str) -> dict[str, str]:
    """What every container and network of the node's workspaces carries."""
    return {MANAGED: "1", KIND: WORKSPACE, NODE: node}


def labels(spec: ContainerSpec, inherited: Iterable[str] = ()) -> dict[str, str]:
    """The container's labels; those that its image carries (`inherited`) are emptied, because routers and updaters
    beside us act on the labels of any container."""
    own = {USER_ID: spec.user_id, EPOCH: str(spec.epoch), MAKING: making(spec), "traefik.enable": "false"}
    return {**dict.fromkeys(inherited, ""), **owner_labels(spec.node), **own}


def making(spec: ContainerSpec) -> str:
    """What tells containers apart that were made differently; the epoch is no difference."""
    return sha256(repr(replace(spec, epoch=0)).encode() + repr(sorted(spec.environment.items())).encode()).hexdigest()[
        :16
    ]


def engine_config(
    spec: ContainerSpec, network: str, inherited: Iterable[str] = (), ulimits: Mapping[str, int] | None = None
) -> dict[str, Json]:
    """The body of the engine's create call (Docker Engine API 1.41, ContainerCreate)."""
    port = f"{spec.container_port}/tcp"
    return {
        "Image": spec.image,
        "User": f"{spec.uid}:{spec.uid}",
        "WorkingDir": WORKDIR,
        "Entrypoint": ["sleep"],
        "Cmd": [_FOREVER],
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "ExposedPorts": {port: {}},
        "Labels": labels(spec, inherited),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(spec, port, network, ulimits or {}),
    }


def _host_config(spec: ContainerSpec, port: str, network: str, ulimits: Mapping[str, int]) -> dict[str, Json]:
    limits = spec.limits
    bounds = {"nofile": limits.open_files, **ulimits}
    return {
        "NetworkMode": network,
        "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": str(spec.host_port)}]},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "Binds": [f"{spec.home}:{WORKDIR}:rw", f"{spec.gates}:{GATES}:ro"],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "Init": True,
        "IpcMode": "private",
        "PublishAllPorts": False,
        "ReadonlyRootfs": True,
        "Tmpfs": {folder: _TMPFS.format(limits.tmp_bytes) for folder in ("/tmp", "/run", "/var/tmp")},  # noqa: S108
        "OomScoreAdj": _OOM_SCORE,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": int(limits.cpus * 10**9),
        "PidsLimit": limits.pids,
        "Ulimits": [{"Name": name, "Soft": most, "Hard": most} for name, most in bounds.items()],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
    }
