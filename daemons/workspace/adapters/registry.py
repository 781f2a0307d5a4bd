"""The API over HTTP, with its registry of workspace nodes, and the disk of this machine."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from daemons.workspace.adapters.borrowed_keys import BorrowedKeys
from daemons.workspace.adapters.repository_keys import GitServer
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


@dataclass(frozen=True, slots=True)
class Api:
    """The API entry, as it knows the node that has its token."""

    transport: Transport

    @property
    def registry(self) -> HttpRegistry:
        """Where the node reports."""
        return HttpRegistry(WorkspaceRegistryClient(self.transport))

    def keys(self, server: GitServer, known_hosts: Path) -> BorrowedKeys:
        """Keys that it lends."""
        return BorrowedKeys(server, known_hosts, self.transport)


async def open_api(url: str, token: Mapping[str, str], stack: AsyncExitStack) -> Api:
    """The API at that address; its connections are closed with the stack."""
    return Api(await stack.enter_async_context(Transport(url, token)))


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
