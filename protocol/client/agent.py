"""Client of a runtime agent, ours or an existing one: bare JSON answers, `{"detail": ...}` errors."""

from collections.abc import Mapping
from typing import Final

from protocol.apps import (
    AppRef,
    AppStatus,
    AppStatusList,
    DeletedApp,
    DeployApp,
    DeployedApp,
    LocalImages,
    NodeContainers,
    StoppedApp,
    WarmedImage,
    WarmImage,
)
from protocol.client.transport import Transport
from protocol.nodes import NodeCollected

_DEPLOY_SECONDS: Final = 900.0
_STOP_SECONDS: Final = 120.0
_WARM_SECONDS: Final = 2.0


class AgentClient:
    """One agent. A deployment is answered when it is live or has failed, which takes as long as pull and start take."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def deploy(self, order: DeployApp) -> DeployedApp:
        """Raises Refused with the reason, exit code and log tail in its message when the app does not come up."""
        return await self.transport.bare("POST", "/agent/apps/deploy", DeployedApp, body=order, seconds=_DEPLOY_SECONDS)

    async def warm(self, order: WarmImage) -> WarmedImage:
        """Let the node fetch an image that it will be asked to deploy; existing agents refuse with 404."""
        return await self.transport.bare("POST", "/agent/images/warm", WarmedImage, body=order, seconds=_WARM_SECONDS)

    async def cool(self, user_id: str, app_id: str) -> WarmedImage:
        """It will not be deployed after all."""
        query: Mapping[str, str | int | None] = {"userId": user_id, "appId": app_id}
        return await self.transport.bare(
            "DELETE", "/agent/images/warm", WarmedImage, query=query, seconds=_WARM_SECONDS
        )

    async def collect(self) -> NodeCollected:
        """Have everything removed that nobody needs; existing agents refuse with 404."""
        return await self.transport.bare("POST", "/agent/disk/collect", NodeCollected)

    async def stop(self, order: AppRef) -> StoppedApp:
        """Stop the app."""
        return await self.transport.bare("POST", "/agent/apps/stop", StoppedApp, body=order, seconds=_STOP_SECONDS)

    async def delete(self, order: AppRef) -> DeletedApp:
        """Stop the app and remove its images."""
        return await self.transport.bare("POST", "/agent/apps/delete", DeletedApp, body=order, seconds=_STOP_SECONDS)

    async def status(self, user_id: str, app_id: str) -> AppStatus:
        """What the engine says of the app."""
        query: Mapping[str, str | int | None] = {"userId": user_id, "appId": app_id}
        return await self.transport.bare("GET", "/agent/apps/status", AppStatus, query=query)

    async def containers(self) -> NodeContainers:
        """Every container that the agent made."""
        return await self.transport.bare("GET", "/agent/apps/containers", NodeContainers)

    async def apps(self) -> AppStatusList:
        """How every app of the node stands."""
        return await self.transport.bare("GET", "/agent/apps", AppStatusList)

    async def images(self, user_id: str, app_id: str) -> LocalImages:
        """Which of the app's own images the node has."""
        query: Mapping[str, str | int | None] = {"userId": user_id, "appId": app_id}
        return await self.transport.bare("GET", "/agent/apps/images", LocalImages, query=query)
