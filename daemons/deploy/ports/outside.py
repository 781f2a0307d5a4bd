"""Other programs that the control plane calls."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.images import PushedImage
from daemons.deploy.domain.strays import Container
from protocol.nodes import NodeCollected


class Agent(Protocol):
    """Runtime agents, by their base URL."""

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        ...

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        ...

    async def containers(self, base_url: str) -> Sequence[Container]:
        """Every container that the node's agent made. Raises AgentFailed."""
        ...

    async def collect(self, base_url: str) -> NodeCollected:
        """Have the node remove everything that nobody needs. Raises AgentFailed."""
        ...

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        """Every reference of the app's own images that the node has. Raises AgentFailed."""
        ...


class AgentFailed(Exception):
    """An agent refused or could not be reached; `reason` is the slug of an agent that refused and gave one."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ImageRegistry(Protocol):
    """The registry that images are pushed to; every method raises RegistryFailed.

    A repository is named without the registry's host.
    """

    async def has(self, repository: str, digest: str) -> bool:
        """Whether the image can be pulled by its digest."""
        ...

    async def delete(self, repository: str, digest: str) -> None:
        """Remove one image and every tag of it; an absent one is no error."""
        ...

    async def delete_repository(self, repository: str) -> None:
        """Remove every tagged image of a repository; an absent one is no error."""
        ...

    async def pushed(self, repository: str) -> Sequence[PushedImage]:
        """The images of a repository, the newest push first; none where the registry does not tell what was pushed
        when."""
        ...


class RegistryFailed(Exception):
    """The registry refused or could not be reached."""
