"""Deploy, as the agent sees it."""

import asyncio
from dataclasses import dataclass
from typing import Final

from daemons.agent.ports import ControlPlaneError, DiskFigures
from protocol.apps import ConfirmFence
from protocol.client.deploy import NodeClient
from protocol.client.transport import ClientError
from protocol.nodes import NodeHeartbeat

_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What this node is called and where it is found."""

    name: str
    agent_url: str
    gateway_url: str
    interval_seconds: float
    version: str


class DeployPlane:
    """The control plane over HTTP, each call within three seconds."""

    def __init__(self, client: NodeClient, node: NodeIdentity) -> None:
        self._client = client
        self._node = node

    async def confirm(self, app_id: str, fence: int) -> str | None:
        """None for yes. Raises ControlPlaneError for silence and for an answer that is neither yes nor no."""
        order = ConfirmFence(app_id=app_id, fence=fence, node_name=self._node.name)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._client.confirm_fence(order)
        except (ClientError, TimeoutError) as error:
            raise ControlPlaneError(f"deploy: {str(error) or 'no answer in time'}") from error
        return None if answer.holds else answer.reason or "a newer attempt or a cancel came first"

    async def heartbeat(self, disk: DiskFigures | None, containers: int | None) -> None:
        """Raises ControlPlaneError."""
        beat = NodeHeartbeat(
            node_name=self._node.name,
            agent_base_url=self._node.agent_url,
            gateway_base_url=self._node.gateway_url,
            disk_free_pct=disk.free_pct if disk else None,
            disk_free_bytes=disk.free_bytes if disk else None,
            disk_total_bytes=disk.total_bytes if disk else None,
            inodes_free_pct=disk.inodes_free_pct if disk else None,
            inodes_free=disk.inodes_free if disk else None,
            inodes_total=disk.inodes_total if disk else None,
            container_count=containers,
            interval_seconds=self._node.interval_seconds,
            version=self._node.version,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                await self._client.heartbeat(beat)
        except (ClientError, TimeoutError) as error:
            raise ControlPlaneError(f"deploy: {str(error) or 'no answer in time'}") from error


class NoControlPlane:
    """There is no deploy: nothing to tell, nobody to ask."""

    async def confirm(self, app_id: str, fence: int) -> str | None:
        """Raises ControlPlaneError: nobody can say yes."""
        raise ControlPlaneError(f"no deploy is configured that could confirm attempt {fence} of app {app_id}")

    async def heartbeat(self, disk: DiskFigures | None, containers: int | None) -> None:
        """Nothing."""
