"""The one place that decides how an app's container is made: hardened and limited, whatever its image says.

Source of the rules: the platform's security checklist for user containers (no capabilities, no new privileges, bounded
memory, processors, processes, files and logs, reachable from this node only).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: A value of a JSON document.
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

MANAGED: Final = "funai.managed"
APP_ID: Final = "funai.app-id"
USER_ID: Final = "funai.user-id"
NODE: Final = "funai.node"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one app may use: bytes of memory (swap included), billionths of a CPU, processes, open files."""

    memory_bytes: int = 512 * 1024**2
    nano_cpus: int = 10**9
    pids: int = 256
    open_files: int = 16384


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


def engine_config(spec: ContainerSpec) -> dict[str, Json]:
    """The body of the engine's create call (Docker Engine API 1.41, ContainerCreate).

    Without a restart policy: the agent starts again what crashed, so that every crash is seen as what it is.
    """
    port = f"{spec.container_port}/tcp"
    return {
        "Image": spec.image_id,
        "Env": [f"{name}={value}" for name, value in _environment(spec).items()],
        "ExposedPorts": {port: {}},
        "Labels": {
            MANAGED: "1",
            NODE: spec.node,
            APP_ID: spec.app_id,
            USER_ID: spec.user_id,
            "funai.fence": str(spec.fence),
            "funai.image": spec.image,
            # An image may carry router labels; a Traefik beside us must not read them.
            **(spec.router_labels or {"traefik.enable": "false"}),
        },
        "HostConfig": _host_config(spec, port),
    }


def _environment(spec: ContainerSpec) -> Mapping[str, str]:
    """The app's own, and the port it is to listen on, which is not its to choose."""
    return {**spec.environment, "PORT": str(spec.container_port)}


def _host_config(spec: ContainerSpec, port: str) -> dict[str, Json]:
    return {
        "NetworkMode": spec.network or "default",
        "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": str(spec.host_port)}]},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Privileged": False,
        "Init": True,
        "IpcMode": "private",
        "PublishAllPorts": False,
        "ReadonlyRootfs": False,
        "Memory": spec.limits.memory_bytes,
        "MemorySwap": spec.limits.memory_bytes,
        "NanoCpus": spec.limits.nano_cpus,
        "PidsLimit": spec.limits.pids,
        "Ulimits": [{"Name": "nofile", "Soft": spec.limits.open_files, "Hard": spec.limits.open_files}],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }
