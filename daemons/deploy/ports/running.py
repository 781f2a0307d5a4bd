"""What agents tell of the apps that run on their nodes."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from daemons.kit.lines import Line
from protocol.running import AppOutputQuery, AppStatsQuery, NodeStats
from protocol.shell import ShellQuery


class AgentRefused(Exception):
    """An agent does not have the app, or has too many readers of it: `busy`; or the app is not up: `down`."""

    def __init__(self, message: str, *, busy: bool = False, down: bool = False) -> None:
        super().__init__(message)
        self.busy = busy
        self.down = down


class RunningApps(Protocol):
    """Runtime agents, by their base URL. What is raised names no address: operators see it."""

    def output(self, base_url: str, asked: AppOutputQuery) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """An app's output as server-sent events, verbatim, no faster than it is read. Entering it raises AgentFailed
        and AgentRefused, reading it AgentFailed."""
        ...

    def shell(self, base_url: str, asked: ShellQuery) -> AbstractAsyncContextManager[Line]:
        """A line that carries one shell. Entering it raises AgentFailed and AgentRefused."""
        ...

    async def stats(self, base_url: str, asked: AppStatsQuery) -> NodeStats:
        """What one app, or every app, of a node uses. Raises AgentFailed and AgentRefused."""
        ...
