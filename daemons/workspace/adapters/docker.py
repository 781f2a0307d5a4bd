"""Users' containers on a Docker Engine, through aiodocker."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Network
from typing import Any, Final

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.kit.engine.calls import absent, checked, checked_reference, words
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.flavour import Flavour
from daemons.kit.engine.networks import FencedNetworks, Firewall, NetworkSpec, Place
from daemons.workspace.domain.containers import MAKING, NODE, USER_ID, ContainerSpec, engine_config, owner_labels
from daemons.workspace.domain.workspaces import Seen
from daemons.workspace.ports import ContainerState

logger = logging.getLogger(__name__)

_QUICK_SECONDS: Final = 30.0
_SLOW_SECONDS: Final = 120.0
_PULL_SECONDS: Final = 900.0
_ADVICE: Final = "widen FUNAI_WORKSPACE_SUBNETS"
_SEEN: Final[Mapping[str, Seen]] = {
    "created": Seen.CREATED,
    "running": Seen.RUNNING,
    "restarting": Seen.RUNNING,
    "paused": Seen.PAUSED,
}
_ABSENT: Final = ContainerState(Seen.ABSENT, "", 0, "")


def networks(docker: Docker, node: str, pool: IPv4Network, firewall: Firewall) -> FencedNetworks:
    """The networks of the node's workspaces, one for each."""
    return FencedNetworks(docker, Place(f"workspace {node}", owner_labels(node), pool, _ADVICE), firewall)


@dataclass(frozen=True, slots=True)
class Account:
    """Who pulls the image of workspaces."""

    username: str
    password: str = field(repr=False)


class DockerContainers:
    """The ports `Containers` and `Images` over one engine."""

    def __init__(self, docker: Docker, node: str, fenced: FencedNetworks, account: Account | None = None) -> None:
        """`account` is of the registry that the one image comes from, and is shown to no other."""
        self._docker = docker
        self._account = account
        self._node = node
        self._networks = fenced
        self._flavour = Flavour(docker)

    async def ping(self) -> None:
        """Raises EngineError unless the engine answers."""
        async with words("answer", 2.0):
            await self._docker.system.info()

    async def create(self, spec: ContainerSpec) -> None:
        """Raises EngineError. One that is left from a crash gives way."""
        name = checked(spec.name)
        network = NetworkSpec(name, spec.user_id, {**owner_labels(self._node), USER_ID: spec.user_id})
        async with words(f"create container {name}", _SLOW_SECONDS):
            image = await self._docker.images.inspect(checked_reference(spec.image))
            inherited = (image.get("Config") or {}).get("Labels") or {}
            config = engine_config(spec, network.name, inherited, await self._flavour.ulimits())
            async with self._networks.turn(network.name):
                await self._networks.make(network)
                await self._docker.containers.create(config, name=name)

    async def start(self, name: str) -> None:
        """Raises EngineError, also while there is no fence around workspaces; PortTaken."""
        async with words(f"start container {name}", _SLOW_SECONDS):
            await self._networks.held()
            await self._docker.containers.container(checked(name)).start()

    async def stop(self, name: str, grace_seconds: int) -> None:
        """Raises EngineError."""
        async with words(f"stop container {name}", grace_seconds + _SLOW_SECONDS):
            await absent(self._docker.containers.container(checked(name)).stop(t=grace_seconds))

    async def pause(self, name: str) -> None:
        """Raises EngineError."""
        async with words(f"freeze container {name}", _QUICK_SECONDS):
            await self._docker.containers.container(checked(name)).pause()

    async def unpause(self, name: str) -> None:
        """Raises EngineError."""
        async with words(f"wake container {name}", _QUICK_SECONDS):
            await self._docker.containers.container(checked(name)).unpause()

    async def remove(self, name: str) -> None:
        """Raises EngineError."""
        container = self._docker.containers.container(checked(name))
        async with words(f"remove container {name}", _SLOW_SECONDS):
            try:
                await absent(container.delete(force=True, v=True))
            except DockerError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
                await absent(container.wait(condition="removed"))
            async with self._networks.turn(name):
                await self._networks.leave(name)

    async def state(self, name: str) -> ContainerState:
        """Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            document = await absent(self._docker.containers.container(checked(name)).show())
        if document is None:
            return _ABSENT
        owner = (document["Config"].get("Labels") or {}).get(NODE)
        if owner != self._node:
            raise EngineError(f"container {name} is not of this node ({self._node}) but of {owner or 'somebody else'}")
        return _state(document)

    async def present(self, reference: str) -> bool:
        """Raises EngineError."""
        async with words(f"look at image {reference}", _QUICK_SECONDS):
            return await absent(self._docker.images.inspect(checked_reference(reference))) is not None

    async def pull(self, reference: str) -> None:
        """Raises EngineError."""
        async with words(f"pull {reference}", _PULL_SECONDS):
            known = self._account
            auth = {"username": known.username, "password": known.password} if known else None
            await self._docker.images.pull(checked_reference(reference), auth=auth)


def _state(document: Mapping[str, Any]) -> ContainerState:
    state = document["State"]
    return ContainerState(
        _SEEN.get(str(state.get("Status")), Seen.EXITED),
        str((document["Config"].get("Labels") or {}).get(MAKING) or ""),
        int(state.get("Pid") or 0),
        str(document["Id"]),
    )
