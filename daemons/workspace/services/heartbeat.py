"""Tells the API, again and again, that this node is there and how much it does. Nothing waits for that."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports.registry import Machine, Registry, RegistryError
from protocol.workspace_nodes import WorkspaceNodeHeartbeat

logger = logging.getLogger(__name__)

_LEAST_SECONDS: Final = 5
#: Until the API knows the node, nobody can be sent to it.
_UNKNOWN_SECONDS: Final = 0.5
#: Nodes that started together do not report together.
_JITTER: Final = 0.1
_RUNNING: Final = (Phase.RUNNING, Phase.STARTING, Phase.STOPPING)


@dataclass(frozen=True, slots=True)
class Self:
    """What the node calls itself."""

    name: str
    nginx_base_url: str
    api_base_url: str
    version: str
    interval_seconds: int


class Known(Protocol):
    """The node's workspaces."""

    def known(self) -> Sequence[Workspace]:
        """As the node remembers them."""
        ...


class Unknown(Exception):
    """The API has not heard of this node yet; the message says why."""


class Heartbeat:
    """One beat every `interval_seconds`, five at least; two a second until the first is heard."""

    def __init__(self, registry: Registry, workspaces: Known, machine: Machine, node: Self) -> None:
        self._registry = registry
        self._workspaces = workspaces
        self._machine = machine
        self._node = node
        self._seconds = max(_LEAST_SECONDS, node.interval_seconds)
        self._problem: str | None = None
        self._known = False

    async def check(self) -> None:
        """The API has heard of this node. Raises Unknown. What comes later is no reason to send it no work."""
        if not self._known:
            raise Unknown(f"the API has not heard of this node yet: {self._problem or 'it was not asked'}")

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.beat()
            seconds = self._seconds if self._known else _UNKNOWN_SECONDS
            await asyncio.sleep(seconds * (1 + _JITTER * (2 * random.random() - 1)))  # noqa: S311

    async def beat(self) -> None:
        """Report once. A failure is logged when it begins, changes and ends."""
        problem = None
        try:
            await self._registry.heartbeat(await self.report())
            self._known = True
        except RegistryError as error:
            problem = str(error)
        if problem != self._problem and problem is not None:
            logger.warning("the API was not told of this node; it is tried again", extra={"error": problem})
        elif problem != self._problem:
            logger.info("the API hears of this node again")
        self._problem = problem

    async def report(self) -> WorkspaceNodeHeartbeat:
        """The node as it is."""
        node, disk, counted = self._node, await self._machine.disk(), _counted(self._workspaces.known())
        return WorkspaceNodeHeartbeat(
            node_name=node.name,
            nginx_base_url=node.nginx_base_url,
            api_base_url=node.api_base_url,
            version=node.version,
            interval_seconds=self._seconds,
            containers_running=sum(counted[phase] for phase in _RUNNING),
            containers_frozen=counted[Phase.FROZEN],
            containers_stopped=counted[Phase.STOPPED],
            disk_free_bytes=disk[0] if disk else None,
            disk_total_bytes=disk[1] if disk else None,
            quota=self._machine.quota,
        )


def _counted(known: Sequence[Workspace]) -> Counter[Phase]:
    return Counter(workspace.phase for workspace in known)
