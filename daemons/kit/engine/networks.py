"""Bridge networks with a fence around them, made with their first container and removed with their last."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.kit.engine import addresses
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.fences import Fence, chain
from daemons.kit.engine.flavour import Flavour

logger = logging.getLogger(__name__)

_TRIES: Final = 8
_NAMES: Final = 53
#: Longer than the pause between two looks at the fence.
_FRESH_SECONDS: Final = 45.0
_ROUTES: Final = Path("/proc/net/route")
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


class Firewall(Protocol):
    """The packet filter between containers and what they must not reach."""

    async def hold(self, fence: Fence) -> None:
        """Every rule is in place afterwards, whatever was there before. Raises EngineError."""
        ...

    async def release(self, fence: Fence) -> None:
        """None of the rules is left; those that were not there are no error. Raises EngineError."""
        ...


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """One network; its bridge's name and its addresses come from `seed`, and its labels include the owner's."""

    name: str
    seed: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Whose networks they are: `owner` are the labels of every network of the same owner, `node` sets its bridges
    apart from those of others on this machine. `pool` is where addresses are chosen from, because an engine's default
    pools end after about thirty networks; `advice` says what to do when it is used up."""

    node: str
    owner: Mapping[str, str]
    pool: IPv4Network
    advice: str


class FencedNetworks:
    """The networks of one owner on one engine."""

    def __init__(self, docker: Docker, place: Place, firewall: Firewall) -> None:
        self._docker = docker
        self._place = place
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

    async def make(self, spec: NetworkSpec) -> None:
        """The network is there, and fenced. Raises EngineError and DockerError."""
        await self.held()
        if await self._find(spec.name) is None:
            await self._make(spec)

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

    async def _make(self, spec: NetworkSpec) -> None:
        refused: set[IPv4Network] = set()
        for _ in range(_TRIES):
            subnet = await self._subnet(spec.name, refused)
            try:
                await self._create(spec, subnet)
                return
            except DockerError as error:
                if await self._find(spec.name) is not None:
                    return
                if not any(sign in error.message for sign in _TAKEN):
                    raise
                # Another engine of this machine was quicker.
                refused.add(subnet)
        raise EngineError(f"no free addresses were found for network {spec.name} in {_TRIES} tries; try again")

    async def _names(self) -> list[str]:
        filters = {"label": [f"{key}={value}" for key, value in self._place.owner.items()]}
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
            self._prefix = addresses.bridge_prefix(self._place.node, root)
        return self._prefix

    def _interfaces(self, prefix: str) -> tuple[str, ...]:
        return (f"{prefix}+",)

    async def _ours(self, name: str) -> bool:
        document = await self._find(name)
        labels = (document or {}).get("Labels") or {}
        return all(labels.get(key) == value for key, value in self._place.owner.items())

    async def _find(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._docker._query_json(f"networks/{name}")
        except DockerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    async def _create(self, spec: NetworkSpec, subnet: IPv4Network) -> None:
        bridge = addresses.bridge_name(await self._bridges(), spec.seed)
        await self._docker.networks.create(
            {
                "Name": spec.name,
                "CheckDuplicate": True,
                "Driver": "bridge",
                "EnableIPv6": False,
                "Options": {"com.docker.network.bridge.name": bridge},
                "IPAM": {"Driver": "default", "Config": [{"Subnet": str(subnet)}]},
                "Labels": dict(spec.labels),
            }
        )

    async def _subnet(self, seed: str, refused: set[IPv4Network]) -> IPv4Network:
        taken = [*refused, *addresses.routes(await asyncio.to_thread(_ROUTES.read_text))]
        for document in await self._docker.networks.list():
            for config in (document.get("IPAM") or {}).get("Config") or ():
                if "." in str(config.get("Subnet", "")):
                    taken.append(IPv4Network(config["Subnet"], strict=False))
        try:
            return addresses.free_subnet(self._place.pool, taken, seed)
        except addresses.NoAddresses as error:
            raise EngineError(f"{error}; {self._place.advice}") from error
