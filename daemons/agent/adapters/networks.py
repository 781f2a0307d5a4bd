"""A bridge network for each app, made with its first container and removed with its last."""

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.adapters.flavour import Flavour
from daemons.agent.domain import networks
from daemons.agent.domain.containers import APP_ID, MANAGED, NODE, USER_ID, ContainerSpec
from daemons.agent.domain.isolation import Fence, chain
from daemons.agent.ports import EngineError, Firewall

logger = logging.getLogger(__name__)

_TRIES: Final = 8
_FORGETTING_TRIES: Final = 100
_FORGETTING_SECONDS: Final = 0.1
_NAMES: Final = 53
#: Longer than the pause between two looks at the fence (services/isolation.py).
_FRESH_SECONDS: Final = 45.0
_ROUTES: Final = Path("/proc/net/route")
#: The interface by which tasks of a swarm reach their machine and the world; the engine keeps them apart on it.
GATEWAY_BRIDGE: Final = "docker_gwbridge"
#: What engines answer when another network has the addresses or the bridge's name already, and Podman when a bridge
#: went while it looked through them all.
_TAKEN: Final = (
    "overlaps",
    "already used",
    "already being used",
    "already in use",
    "conflicts",
    "no such network interface",
)


class AppNetworks:
    """The networks of one node's apps, with addresses from a pool of the platform's own.

    An engine's default pools end after about thirty networks, so the addresses are chosen here.
    """

    def __init__(self, docker: Docker, node: str, pool: IPv4Network, firewall: Firewall) -> None:
        self._docker = docker
        self._node = node
        self._pool = pool
        self._firewall = firewall
        self._flavour = Flavour(docker)
        self._prefix = ""
        self._held_at: float | None = None
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, name: str) -> asyncio.Lock:
        """Held while the network must not come or go."""
        lock = self._turns.get(name)
        if lock is None:
            lock = self._turns[name] = asyncio.Lock()
        return lock

    def name(self, spec: ContainerSpec) -> str:
        """The name of the app's network."""
        return networks.network_name(self._node, spec.user_id, spec.app_id)

    async def ensure(self, spec: ContainerSpec) -> None:
        """The app's network is there, and fenced. Raises EngineError and DockerError."""
        await self.held()
        name = self.name(spec)
        if await self._find(name) is not None:
            return
        await self._make(spec, name)

    async def _make(self, spec: ContainerSpec, name: str) -> None:
        refused: set[IPv4Network] = set()
        for _ in range(_TRIES):
            subnet = await self._subnet(name, refused)
            try:
                await self._create(spec, name, subnet)
                return
            except DockerError as error:
                if await self._find(name) is not None:
                    return
                if not any(sign in error.message for sign in _TAKEN):
                    raise
                # Another engine of this machine was quicker.
                refused.add(subnet)
        raise EngineError(f"no free addresses were found for network {name} in {_TRIES} tries; try again")

    async def leave(self, name: str) -> None:
        """Remove the network unless a container, running or not, still belongs to it. Raises DockerError."""
        if not await self._ours(name) or await self._docker.containers.list(all=True, filters={"network": [name]}):
            return
        try:
            async with self._docker._query(f"networks/{name}", method="DELETE"):
                return
        except DockerError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT):
                raise
            logger.info("a network is still in use", extra={"network": name, "error": error.message})

    async def tidy(self) -> None:
        """Remove those that a crash left without containers. Raises DockerError."""
        for name in await self._names():
            async with self.turn(name):
                await self.leave(name)

    async def hold(self) -> None:
        """The fence around all of them stands. Raises EngineError and DockerError."""
        fence = await self._fence()
        try:
            await self._firewall.hold(fence)
        except EngineError:
            self._held_at = None
            raise
        self._held_at = time.monotonic()

    async def held(self) -> None:
        """The fence stood a moment ago, or does now: a machine that starts again has none. Raises as `hold`.

        Putting it up takes as long as a fifth of a container's start.
        """
        if self._held_at is None or time.monotonic() - self._held_at > _FRESH_SECONDS:
            await self.hold()

    async def release(self) -> bool:
        """Take the fence down when no network is left inside; whether it is. Raises EngineError and DockerError."""
        await self.tidy()
        if await self._names():
            return False
        self._held_at = None
        await self._firewall.release(await self._fence())
        return True

    async def _names(self) -> list[str]:
        filters = {"label": [f"{MANAGED}=1", f"{NODE}={self._node}"]}
        return [str(document["Name"]) for document in await self._docker.networks.list(filters=filters)]

    async def _fence(self) -> Fence:
        prefix = await self._bridges()
        # Podman's name server listens on the bridge; Docker's is inside the container.
        services = (_NAMES,) if await self._flavour.podman() else ()
        return Fence(chain(prefix), self._interfaces(prefix), services)

    async def _bridges(self) -> str:
        """What the names of bridges begin with."""
        if not self._prefix:
            root = str((await self._docker.system.info())["DockerRootDir"])
            self._prefix = networks.bridge_prefix(self._node, root)
        return self._prefix

    def _interfaces(self, prefix: str) -> tuple[str, ...]:
        return (f"{prefix}+",)

    async def _ours(self, name: str) -> bool:
        document = await self._find(name)
        labels = (document or {}).get("Labels") or {}
        return labels.get(MANAGED) == "1" and labels.get(NODE) == self._node

    async def _find(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._docker._query_json(f"networks/{name}")
        except DockerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    async def _create(self, spec: ContainerSpec, name: str, subnet: IPv4Network) -> None:
        bridge = networks.bridge_name(await self._bridges(), spec.user_id, spec.app_id)
        await self._docker.networks.create(
            {
                "Name": name,
                "CheckDuplicate": True,
                "Driver": "bridge",
                "EnableIPv6": False,
                "Options": {"com.docker.network.bridge.name": bridge},
                "IPAM": {"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
                "Labels": self._labels(spec),
            }
        )

    def _labels(self, spec: ContainerSpec) -> dict[str, str]:
        return {MANAGED: "1", NODE: self._node, APP_ID: spec.app_id, USER_ID: spec.user_id}

    async def _subnet(self, seed: str, refused: set[IPv4Network]) -> IPv4Network:
        taken = [*refused, *networks.routes(await asyncio.to_thread(_ROUTES.read_text))]
        for document in await self._docker.networks.list():
            for config in (document.get("IPAM") or {}).get("Config") or ():
                if "." in str(config.get("Subnet", "")):
                    taken.append(IPv4Network(config["Subnet"], strict=False))
        try:
            return networks.free_subnet(self._pool, taken, seed)
        except networks.NoAddresses as error:
            raise EngineError(str(error)) from error


class OverlayNetworks(AppNetworks):
    """The same over all machines of a swarm, which chooses the addresses itself (its default address pool)."""

    def _interfaces(self, prefix: str) -> tuple[str, ...]:
        return (GATEWAY_BRIDGE,)

    async def _make(self, spec: ContainerSpec, name: str) -> None:
        await self._docker.networks.create(
            {"Name": name, "CheckDuplicate": True, "Driver": "overlay", "Labels": self._labels(spec)}
        )

    async def leave(self, name: str) -> None:
        """Remove the network unless a service still belongs to it. Raises DockerError."""
        document = await self._find(name)
        if document is None or not await self._ours(name):
            return
        services = await self._docker.services.list()
        targets = [one for service in services for one in service["Spec"]["TaskTemplate"].get("Networks") or ()]
        if any(one["Target"] in (name, document["Id"]) for one in targets):
            return
        # The swarm forgets a removed service's tasks a moment later.
        for attempt in range(1, _FORGETTING_TRIES + 1):
            try:
                async with self._docker._query(f"networks/{name}", method="DELETE"):
                    break
            except DockerError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    break
                problem = error.message
            await asyncio.sleep(_FORGETTING_SECONDS)
            if attempt == _FORGETTING_TRIES:
                logger.info("a network is still in use", extra={"network": name, "error": problem})
