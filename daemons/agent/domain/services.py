"""How an app's instance is made as a service of a swarm, and what its tasks' signs mean."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from daemons.agent.domain.containers import CAPABILITIES, ContainerSpec, Json, environment, labels, sysctls, tmpfs
from daemons.agent.domain.probing import ContainerState

#: Of tasks that will not change by themselves any more, and of those that run.
_SETTLED: Final = frozenset({"running", "complete", "failed", "rejected", "shutdown", "orphaned", "remove"})
_COMING: Final = frozenset({"new", "pending", "assigned", "accepted", "preparing", "ready", "starting"})
_STOP_GRACE_NANOSECONDS: Final = 30 * 10**9


def service_spec(
    spec: ContainerSpec,
    image: str,
    network: str,
    inherited: Iterable[str],
    constraints: Sequence[str],
    replicas: int,
) -> dict[str, Json]:
    """The body of the engine's create call (Docker Engine API 1.41, ServiceCreate), without tasks yet.

    One replica has the port that was chosen for it; several have one each that their machine chooses, because a port
    can be published once a machine.
    """
    return {
        "Name": spec.name,
        "Labels": dict(labels(spec)),
        "TaskTemplate": {
            "ContainerSpec": _container(spec, image, inherited),
            "Resources": {
                "Limits": {
                    "NanoCPUs": spec.limits.nano_cpus,
                    "MemoryBytes": spec.limits.memory_bytes,
                    "Pids": spec.limits.pids,
                }
            },
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": list(constraints)},
            "Networks": [{"Target": network}],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}},
            "ForceUpdate": 0,
        },
        "Mode": {"Replicated": {"Replicas": 0}},
        "UpdateConfig": {"Parallelism": 1, "Order": "start-first", "FailureAction": "pause"},
        "EndpointSpec": {
            "Mode": "dnsrr",
            "Ports": [_port(spec.container_port, spec.host_port if replicas == 1 else 0)],
        },
    }


def _port(target: int, published: int) -> dict[str, Json]:
    return {"Protocol": "tcp", "TargetPort": target, "PublishedPort": published, "PublishMode": "host"}


def _container(spec: ContainerSpec, image: str, inherited: Iterable[str]) -> dict[str, Json]:
    mounts: list[Json] = [
        {"Type": "tmpfs", "Target": folder, "TmpfsOptions": {"SizeBytes": spec.limits.tmpfs_bytes, "Mode": 0o1777}}
        for folder in tmpfs(spec)
    ]
    most = spec.limits.open_files
    return {
        "Image": image,
        "Labels": dict(labels(spec, inherited)),
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Init": True,
        "ReadOnly": spec.read_only,
        "Mounts": mounts,
        "StopGracePeriod": _STOP_GRACE_NANOSECONDS,
        "CapabilityDrop": ["ALL"],
        "CapabilityAdd": [f"CAP_{name}" for name in CAPABILITIES],
        "Sysctls": dict(sysctls()),
        "Ulimits": [{"Name": "nofile", "Soft": most, "Hard": most}],
        "Healthcheck": {"Test": ["NONE"]},
    }


def settled(tasks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the swarm has started or given up every one of them."""
    return bool(tasks) and all(task["Status"]["State"] in _SETTLED for task in tasks)


def task_state(tasks: Sequence[Mapping[str, Any]], oom_killed: bool) -> ContainerState:
    """What a service's tasks (newest first) say of the instance as a whole."""
    if not tasks:
        return ContainerState(running=False)
    running = [task for task in tasks if task["Status"]["State"] == "running"]
    newest = running[0] if running else tasks[0]
    status = newest["Status"]
    ports = (status.get("PortStatus") or {}).get("Ports") or ()
    return ContainerState(
        running=bool(running),
        exit_code=0 if running else int((status.get("ContainerStatus") or {}).get("ExitCode") or 0),
        oom_killed=oom_killed and not running,
        restarting=not running and status["State"] in _COMING,
        error="" if running else str(status.get("Err") or ""),
        image=str(newest["Spec"]["ContainerSpec"].get("Image") or ""),
        host_port=int(ports[0]["PublishedPort"]) if running and ports else None,
    )
