"""The registry as its administrators see it, and where secrets are put that it tells once."""

from collections.abc import Sequence
from typing import Protocol

from daemons.deploy.domain.robots import Credentials, GarbageSchedule, RegistryProject, Robot, RobotRole, WantedRobot


class RegistryProjects(Protocol):
    """A registry with projects and accounts; every method raises RegistryFailed."""

    async def make_project(self, name: str) -> bool:
        """Make a project that is not public; False if it is there already."""
        ...

    async def project(self, name: str) -> RegistryProject:
        """The project as it is."""
        ...

    async def robots(self, project: RegistryProject) -> Sequence[Robot]:
        """The accounts of programs in the project."""
        ...

    async def make_robot(self, project: str, wanted: WantedRobot) -> Credentials | None:
        """A new account that does not expire; None if somebody made it meanwhile."""
        ...

    async def mend_robot(self, project: str, robot: Robot, wanted: WantedRobot) -> None:
        """Give the account what is wanted, and nothing else; its secret stays."""
        ...

    async def renew_secret(self, robot: Robot) -> Credentials:
        """A new secret; the old one is refused from now on."""
        ...

    async def collection(self) -> GarbageSchedule | None:
        """When the space of what was deleted is freed; None for never."""
        ...

    async def schedule_collection(self, collection: GarbageSchedule) -> None:
        """Free it at these times."""
        ...


class SecretKeeper(Protocol):
    """Puts away what is told once."""

    def prepare(self) -> None:
        """Raises SecretsRefused if secrets could not be kept now."""
        ...

    def keep(self, name: str, role: RobotRole, credentials: Credentials) -> str:
        """Keep the secret and say where it is. Raises SecretsRefused."""
        ...


class SecretsRefused(Exception):
    """A secret cannot be put where it is to be."""
