"""What the rollout needs of what the platform gives every app."""

from typing import Protocol

from daemons.kit.mongo.ports import Given


class Environment(Protocol):
    """What the platform adds to an app's variables."""

    async def given(self, user_id: str, app_id: str) -> Given:
        """What a container that is about to be made gets. Raises AccountError."""
        ...


class NoEnvironment:
    """Nothing."""

    async def given(self, user_id: str, app_id: str) -> Given:
        return Given()
