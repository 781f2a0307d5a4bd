"""Deploy, as the agent sees it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from daemons.agent.domain.collection import Kept
from daemons.agent.domain.report import Collected, Illness, NodeReport
from daemons.agent.ports import ControlPlaneError
from protocol import headers
from protocol.apps import ConfirmFence
from protocol.client.node import NodeClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.nodes import AppHealth, AppImages, DiskCollection, ImagesInUse, NodeHeartbeat, NodeVitals, UnwellApp

_SECONDS: Final = 3.0
_WORDS: Final = 256
_UNWELL, _REASON = 12, 160


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What this node is called and where it is found; without `labels` those stay that an operator gave it."""

    name: str
    agent_url: str
    gateway_url: str
    interval_seconds: float
    version: str
    labels: tuple[str, ...] | None = None


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

    async def heartbeat(self, report: NodeReport) -> None:
        """Raises ControlPlaneError."""
        try:
            async with asyncio.timeout(_SECONDS):
                await self._client.heartbeat(_beat(self._node, report))
        except (ClientError, TimeoutError) as error:
            raise ControlPlaneError(f"deploy: {str(error) or 'no answer in time'}") from error

    async def kept_images(self, app_ids: Sequence[str]) -> Mapping[str, Kept] | None:
        """None when this deploy knows no releases. Raises ControlPlaneError."""
        order = ImagesInUse(node_name=self._node.name, app_ids=tuple(app_ids))
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._client.images(order)
        except (ClientError, TimeoutError) as error:
            if isinstance(error, Refused) and error.status == HTTPStatus.NOT_FOUND:
                return None
            raise ControlPlaneError(f"deploy: {str(error) or 'no answer in time'}") from error
        return {app.app_id: _kept(app) for app in answer.apps if app.app_id in app_ids}


@asynccontextmanager
async def open_plane(url: str, token: str, node: NodeIdentity) -> AsyncIterator[DeployPlane]:
    """The control plane at a URL for the duration of the block."""
    async with Transport(url, {headers.NODE_TOKEN: token}, timeout=_SECONDS) as transport:
        yield DeployPlane(NodeClient(transport), node)


def _beat(node: NodeIdentity, report: NodeReport) -> NodeHeartbeat:
    disk = report.disk
    return NodeHeartbeat(
        node_name=node.name,
        agent_base_url=node.agent_url,
        gateway_base_url=node.gateway_url,
        disk_free_pct=disk.free_pct if disk else None,
        disk_free_bytes=disk.free_bytes if disk else None,
        disk_total_bytes=disk.total_bytes if disk else None,
        inodes_free_pct=disk.inodes_free_pct if disk else None,
        inodes_free=disk.inodes_free if disk else None,
        inodes_total=disk.inodes_total if disk else None,
        container_count=report.running,
        interval_seconds=node.interval_seconds,
        version=node.version,
        disk_level=report.level,
        disk_words=report.words[:_WORDS] or None,
        labels=node.labels,
        vitals=_vitals(report),
    )


def _vitals(report: NodeReport) -> NodeVitals:
    return NodeVitals(
        containers_total=report.containers,
        load1=report.load1,
        cpus=report.cpus,
        reserved_bytes=report.reserved_bytes,
        engine_version=_short(report.versions.get("engine")),
        gateway_version=_short(report.versions.get("gateway")),
        engine_problem=_short(report.problems.get("engine")),
        gateway_problem=_short(report.problems.get("gateway")),
        collection=_collection(report.collected) if report.collected else None,
        unwell=tuple(map(_unwell, (report.unwell or ())[:_UNWELL])),
        unwell_total=None if report.unwell is None else len(report.unwell),
    )


def _unwell(app: Illness) -> UnwellApp:
    return UnwellApp(
        app_id=app.app_id,
        health=AppHealth(app.condition),
        reason=app.reason[:_REASON],
        crashes=app.crashes,
        restart_at=None if app.restart_at is None else datetime.fromtimestamp(app.restart_at, UTC),
    )


def _collection(done: Collected) -> DiskCollection:
    return DiskCollection(
        number=done.number,
        at=done.at,
        freed_bytes=done.freed_bytes,
        images=done.images,
        logs=done.logs,
        problem=_short(done.problem),
    )


def _short(text: str | None) -> str | None:
    return text[:_WORDS] if text else None


def _kept(app: AppImages) -> Kept:
    return Kept(app.known, frozenset(app.kept), frozenset(app.recent))


class NoControlPlane:
    """There is no deploy: nothing to tell, nobody to ask."""

    async def confirm(self, app_id: str, fence: int) -> str | None:
        """Raises ControlPlaneError: nobody can say yes."""
        raise ControlPlaneError(f"no deploy is configured that could confirm attempt {fence} of app {app_id}")

    async def heartbeat(self, report: NodeReport) -> None:
        """Nothing."""

    async def kept_images(self, app_ids: Sequence[str]) -> Mapping[str, Kept] | None:
        """None: nobody keeps any."""
        return None
