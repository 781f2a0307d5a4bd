"""A bridge network for each app, made with its first container and removed with its last."""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import IPv4Network
from typing import Final

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.domain.containers import APP_ID, MANAGED, NODE, USER_ID, ContainerSpec
from daemons.agent.domain.networks import network_name
from daemons.kit.engine.networks import FencedNetworks, Firewall, NetworkSpec, Place

logger = logging.getLogger(__name__)

_FORGETTING_TRIES: Final = 100
_FORGETTING_SECONDS: Final = 0.1
_ADVICE: Final = "widen RUNTIME_APP_SUBNETS"
#: The interface by which tasks of a swarm reach their machine and the world; the engine keeps them apart on it.
GATEWAY_BRIDGE: Final = "docker_gwbridge"


class AppNetworks(FencedNetworks):
    """The networks of one node's apps, with addresses from a pool of the platform's own."""

    def __init__(self, docker: Docker, node: str, pool: IPv4Network, firewall: Firewall) -> None:
        super().__init__(docker, Place(node, {MANAGED: "1", NODE: node}, pool, _ADVICE), firewall)
        self._node = node

    def name(self, spec: ContainerSpec) -> str:
        """The name of the app's network."""
        return network_name(self._node, spec.user_id, spec.app_id)

    async def ensure(self, spec: ContainerSpec) -> None:
        """The app's network is there, and fenced. Raises EngineError and DockerError."""
        await self.make(NetworkSpec(self.name(spec), f"{spec.user_id}/{spec.app_id}", self._labels(spec)))

    def _labels(self, spec: ContainerSpec) -> Mapping[str, str]:
        return {MANAGED: "1", NODE: self._node, APP_ID: spec.app_id, USER_ID: spec.user_id}


class OverlayNetworks(AppNetworks):
    """The same over all machines of a swarm, which chooses the addresses itself (its default address pool)."""

    def _interfaces(self, prefix: str) -> tuple[str, ...]:
        return (GATEWAY_BRIDGE,)

    async def _make(self, spec: NetworkSpec) -> None:
        await self._docker.networks.create(
            {"Name": spec.name, "CheckDuplicate": True, "Driver": "overlay", "Labels": dict(spec.labels)}
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
