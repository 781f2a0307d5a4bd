"""The Docker Engine through aiodocker."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.adapters.networks import AppNetworks
from daemons.agent.domain.apps import named_by_us
from daemons.agent.domain.containers import APP_ID, MANAGED, NODE, USER_ID, ContainerSpec, engine_config
from daemons.agent.domain.images import LocalImage
from daemons.agent.domain.probing import ContainerState, Listener, listeners
from daemons.agent.ports import OwnContainer
from daemons.kit.engine.calls import absent, checked, checked_reference, words
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.flavour import Flavour
from protocol.names import image_registry

_PULLED: Final = re.compile(r"Digest: (sha256:[0-9a-f]{64})")
_BEING_REMOVED: Final = "is already in progress"
_QUICK_SECONDS: Final = 30.0
_SLOW_SECONDS: Final = 120.0
_PULL_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Login of one registry; sent to that registry alone."""

    registry: str
    username: str
    password: str = field(repr=False)


class DockerEngine:
    """One engine; of its containers only those of this node are ours, so that two nodes may share an engine."""

    def __init__(
        self, docker: Docker, node: str, networks: AppNetworks, credentials: Credentials | None = None
    ) -> None:
        self._docker = docker
        self._node = node
        self._networks = networks
        self._credentials = credentials
        self._flavour = Flavour(docker)

    async def ping(self) -> None:
        """Raises EngineError unless the engine answers."""
        async with words("answer", 2.0):
            if not await self._flavour.podman_version():
                await self._docker.system.info()

    async def version(self) -> str:
        """Raises EngineError."""
        async with words("say its version", _QUICK_SECONDS):
            return await self._flavour.podman_version() or str((await self._docker.version())["Version"])

    async def root_dir(self) -> str:
        """The folder where the engine keeps images and containers. Raises EngineError."""
        async with words("say where its data is", _QUICK_SECONDS):
            return str((await self._docker.system.info())["DockerRootDir"])

    async def pull(self, reference: str) -> str:
        """The id of what was pulled, by the digest that the registry answered. Raises EngineError."""
        digest = None
        async with words(f"pull {reference}", _PULL_SECONDS):
            pulling = self._docker.images.pull(checked_reference(reference), auth=self._auth(reference), stream=True)
            async for step in pulling:
                if found := _PULLED.match(str(step.get("status", ""))):
                    digest = found[1]
            named = digest is None and await self._flavour.podman()
        if named:
            # Podman tells no digest; the name is what it has just pulled.
            return await self._pulled(reference)
        if digest is None:
            raise EngineError(f"the engine ended the pull of {reference} without a digest; try again")
        repository = reference.partition("@")[0].removesuffix(f":{_tag(reference)}")
        return await self._pulled(f"{repository}@{digest}")

    async def _pulled(self, reference: str) -> str:
        found = await self.image_id(reference)
        if found is None:
            raise EngineError(f"the engine pulled {reference} but does not have it")
        return found

    async def image_id(self, reference: str) -> str | None:
        """Raises EngineError."""
        async with words(f"look at image {reference}", _QUICK_SECONDS):
            document = await absent(self._docker.images.inspect(_by_name(checked_reference(reference))))
        return str(document["Id"]) if document is not None else None

    async def images(self) -> Sequence[LocalImage]:
        """Raises EngineError."""
        async with words("list its images", _QUICK_SECONDS):
            documents = await self._docker.images.list()
        return [_local_image(document) for document in documents]

    async def remove_image(self, reference: str) -> None:
        """Raises EngineError."""
        async with words(f"remove image {reference}", _SLOW_SECONDS):
            await absent(self._docker.images.delete(checked_reference(reference)))

    async def create(self, spec: ContainerSpec) -> None:
        """In the app's own network, unless the specification names one. Raises EngineError."""
        async with words(f"create container {spec.name}", _SLOW_SECONDS):
            image = await self._docker.images.inspect(checked_reference(spec.image_id))
            labels = (image.get("Config") or {}).get("Labels") or {}
            network = spec.network or self._networks.name(spec)
            config = engine_config(spec, network, labels, await self._flavour.ulimits())
            async with self._networks.turn(network):
                if not spec.network:
                    await self._networks.ensure(spec)
                await self._docker.containers.create(config, name=checked(spec.name))

    async def start(self, name: str) -> None:
        """Raises EngineError, also while there is no fence around apps; PortTaken."""
        async with words(f"start container {name}", _SLOW_SECONDS):
            await self._networks.held()
            await self._docker.containers.container(checked(name)).start()

    async def state(self, name: str) -> ContainerState | None:
        """Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            document = await absent(self._docker.containers.container(checked(name)).show())
        return _state(document) if document is not None else None

    async def leave_down(self, name: str) -> None:
        """Raises EngineError."""
        policy = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}
        async with words(f"update container {name}", _QUICK_SECONDS):
            if await self._flavour.podman():
                # Podman 4.3 has no ContainerUpdate; a container of ours has no restart policy to begin with.
                await self._docker.containers.container(checked(name)).show()
                return
            # aiodocker has no method for ContainerUpdate.
            await self._docker._query_json(f"containers/{checked(name)}/update", "POST", data=policy)

    async def stop(self, name: str, grace_seconds: int) -> None:
        """Raises EngineError."""
        async with words(f"stop container {name}", grace_seconds + _SLOW_SECONDS):
            await absent(self._docker.containers.container(checked(name)).stop(t=grace_seconds))

    async def remove(self, name: str) -> None:
        """Done once the container is gone, also when another call is removing it already; its app's network goes with
        the last container in it. Raises EngineError."""
        container = self._docker.containers.container(checked(name))
        async with words(f"remove container {name}", _SLOW_SECONDS):
            document = await absent(container.show())
            try:
                await absent(container.delete(force=True, v=True))
            except DockerError as error:
                if error.status != HTTPStatus.CONFLICT or _BEING_REMOVED not in error.message:
                    raise
                await absent(container.wait(condition="removed"))
            for network in document["NetworkSettings"]["Networks"] if document is not None else ():
                async with self._networks.turn(network):
                    await self._networks.leave(network)

    async def locate(self, name: str) -> str:
        """The engine's own name, or id, of the container that an instance runs in."""
        return name

    async def isolate(self) -> None:
        """Raises EngineError."""
        async with words("isolate its apps", _QUICK_SECONDS):
            await self._networks.hold()

    async def tidy(self) -> None:
        """Raises EngineError."""
        async with words("remove networks without containers", _SLOW_SECONDS):
            await self._networks.tidy()

    async def release(self) -> bool:
        """Raises EngineError."""
        async with words("remove the rules around its apps", _QUICK_SECONDS):
            return await self._networks.release()

    async def logs(self, name: str, tail: int) -> str:
        """The engine rotates an app's output at 10 MB a file, which bounds what is read here. Raises EngineError."""
        async with words(f"read the output of container {name}", _QUICK_SECONDS):
            container = self._docker.containers.container(checked(name))
            return "".join(await absent(container.log(stdout=True, stderr=True, tail=tail)) or ())

    async def listeners(self, name: str) -> Sequence[Listener]:
        """Read from the container's own network namespace by way of its process on this node."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            document = await absent(self._docker.containers.container(checked(name)).show())
        pid = int(document["State"]["Pid"]) if document is not None else 0
        return await asyncio.to_thread(_read_listeners, pid) if pid > 0 else ()

    async def own(self) -> Sequence[OwnContainer]:
        """Raises EngineError."""
        filters = {"label": [f"{MANAGED}=1", f"{NODE}={self._node}"]}
        async with words("list its containers", _QUICK_SECONDS):
            found = await self._docker.containers.list(all=True, filters=filters)
        return [own for container in found if (own := _own(container._container)) is not None]

    async def layers(self, image_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """The ids of the unpacked layers of these images, the lowest first. Raises EngineError."""
        found = {}
        async with words("list the layers of its images", _SLOW_SECONDS):
            for image_id in image_ids:
                document = await absent(self._docker.images.inspect(checked_reference(image_id)))
                layers = (document.get("RootFS") or {}).get("Layers") if document is not None else None
                found[image_id] = tuple(str(layer) for layer in layers or ())
        return found

    async def images_in_use(self) -> frozenset[str]:
        """Ids of images that any container is made of. Raises EngineError."""
        async with words("list all containers", _QUICK_SECONDS):
            found = await self._docker.containers.list(all=True)
        return frozenset(str(container._container["ImageID"]) for container in found)

    async def log_file(self, name: str) -> tuple[str, str]:
        """The container's id and the path of its log; empty when it has none. Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            container = self._docker.containers.container(checked(await self.locate(name)))
            document = await absent(container.show()) or {}
        return str(document.get("Id") or ""), str(document.get("LogPath") or "")

    async def insecure(self, registry: str) -> bool:
        """Whether the engine speaks to the registry without TLS or without checking it. Raises EngineError."""
        async with words("tell its registries", _QUICK_SECONDS):
            known = (await self._docker.system.info()).get("RegistryConfig") or {}
        configured = (known.get("IndexConfigs") or {}).get(registry)
        if configured is not None:
            return not configured.get("Secure", True)
        try:
            address = ip_address(registry.partition(":")[0])
        except ValueError:
            return registry.partition(":")[0] == "localhost"
        return any(address in ip_network(cidr) for cidr in known.get("InsecureRegistryCIDRs") or ())

    def _auth(self, reference: str) -> Mapping[str, str] | None:
        known = self._credentials
        if known is None or image_registry(reference) != known.registry:
            return None
        return {"username": known.username, "password": known.password}


def _by_name(reference: str) -> str:
    """Engines take a bare word for the beginning of an image's id, too, which could be the image of anybody's app; with
    a tag it is a name."""
    return reference if {":", "@"} & set(reference.rpartition("/")[2]) else f"{reference}:latest"


def _state(document: Mapping[str, Any]) -> ContainerState:
    state = document["State"]
    return ContainerState(
        running=bool(state.get("Running")),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        restarting=bool(state.get("Restarting")),
        restarts=int(document.get("RestartCount") or 0),
        error=str(state.get("Error") or ""),
        image=str(document["Config"].get("Image") or ""),
        host_port=_published(document),
        kept=document["HostConfig"].get("RestartPolicy", {}).get("Name", "no") not in ("", "no"),
    )


def _published(document: Mapping[str, Any]) -> int | None:
    for bindings in (document.get("NetworkSettings", {}).get("Ports") or {}).values():
        for binding in bindings or ():
            if binding.get("HostIp") == "127.0.0.1":
                return int(binding["HostPort"])
    return None


def _own(document: Mapping[str, Any]) -> OwnContainer | None:
    labels = document.get("Labels") or {}
    user_id, app_id = str(labels.get(USER_ID, "")), str(labels.get(APP_ID, ""))
    for name in document.get("Names") or ():
        plain = str(name).removeprefix("/")
        if named_by_us(plain, user_id, app_id):
            return OwnContainer(plain, user_id, app_id, document.get("State") == "running")
    return None


def _local_image(document: Mapping[str, Any]) -> LocalImage:
    labels = document.get("Labels") or {}
    owner = (str(labels.get(USER_ID, "")), str(labels.get(APP_ID, ""))) if labels.get(MANAGED) == "1" else None
    created, size = int(document.get("Created") or 0), int(document.get("Size") or 0)
    return LocalImage(str(document["Id"]), _references(document), created, size, owner)


def _references(document: Mapping[str, Any]) -> tuple[str, ...]:
    names = (document.get("RepoTags") or []) + (document.get("RepoDigests") or [])
    return tuple(str(name) for name in names if "<none>" not in name)


def _read_listeners(pid: int) -> tuple[Listener, ...]:
    found: tuple[Listener, ...] = ()
    for table in ("tcp", "tcp6"):
        try:
            found += listeners(Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii"))
        except OSError:
            # Another machine's engine, or not ours to see: the advice is then given without it.
            continue
    return found


def _tag(reference: str) -> str:
    tail = reference.partition("@")[0].rpartition("/")[2]
    return tail.partition(":")[2]
