"""The API's registry of workspace nodes over HTTP, and the disk of this machine."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from daemons.workspace.ports.registry import RegistryError
from protocol.client.transport import ClientError, Transport
from protocol.client.workspace_admin import WorkspaceRegistryClient
from protocol.workspace_nodes import WorkspaceNodeHeartbeat


class HttpRegistry:
    """The port `Registry`."""

    def __init__(self, client: WorkspaceRegistryClient) -> None:
        self._client = client

    async def heartbeat(self, beat: WorkspaceNodeHeartbeat) -> None:
        """Raises RegistryError."""
        try:
            await self._client.heartbeat(beat)
        except ClientError as error:
            raise RegistryError(str(error)) from error


async def open_registry(url: str, token: Mapping[str, str], stack: AsyncExitStack) -> HttpRegistry:
    """The registry at that address; its connections are closed with the stack."""
    return HttpRegistry(WorkspaceRegistryClient(await stack.enter_async_context(Transport(url, token))))


class LocalMachine:
    """The port `Machine`. With users' file systems in images it is the disk of these that fills."""

    def __init__(self, folder: Path, quota: str) -> None:
        self._folder = folder
        self.quota = quota

    async def disk(self) -> tuple[int, int] | None:
        """Bytes free and in all, without those that the file system keeps for root: as the agent counts, and df."""
        return await asyncio.to_thread(self._disk)

    def _disk(self) -> tuple[int, int] | None:
        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            found = os.statvfs(folder)
        except OSError:
            return None
        usable = found.f_blocks - found.f_bfree + found.f_bavail
        return found.f_bavail * found.f_frsize, usable * found.f_frsize
