"""Databases that apps have while they are worked on, as the services see them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from daemons.workspace.domain.leavings import Leaving


class DatabaseLeft(Exception):
    """An app's database could not be taken away; the message says why, and holds no secret."""


class Environment(Protocol):
    """What the platform tells an app's programs besides where they are."""

    async def variables(self, user_id: str, app_id: str) -> Mapping[str, str]:
        """For a program that is about to be started. Raises AccountError."""
        ...


class NoEnvironment:
    """Nothing."""

    async def variables(self, user_id: str, app_id: str) -> Mapping[str, str]:
        return {}


class AppDatabases(Protocol):
    """What apps leave behind in a database server. Both raise AccountError."""

    async def made(self) -> Mapping[str, Sequence[Leaving]]:
        """By user, the apps that have a database."""
        ...

    async def take_away(self, user_id: str, app_id: str) -> bool:
        """Account and data are gone; false when they were not this user's. May be repeated. Raises DatabaseLeft."""
        ...
