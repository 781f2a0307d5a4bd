"""Databases of apps, as the agents of their nodes show them."""

from typing import Protocol

from daemons.deploy.ports.outside import AgentFailed
from protocol.databases import DatabaseRef, Question


class AgentSilent(AgentFailed):
    """An agent was asked and does not say what became of it: it may have been done."""


class AppDatabases(Protocol):
    """Runtime agents, by their base URL. What is raised names no address: the app's owner sees it."""

    async def ask(self, base_url: str, app: DatabaseRef, question: Question) -> bytes:
        """The answer as it came: JSON in an envelope, of bounded size and within bounded time. Raises AgentFailed when
        nothing was done, AgentSilent; QueryRefused and NoSeat of the kit with the agent's words."""
        ...
