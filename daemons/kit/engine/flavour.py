"""What speaks the Docker Engine API on the other side: Docker itself, or Podman's compatible service."""

import resource
from typing import Final

from aiodocker import Docker

_PROCESSES: Final = 32768


class Flavour:
    """Asked once; an engine does not change into another while the agent runs."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._podman: bool | None = None

    async def podman(self) -> bool:
        """Whether it is Podman. Raises DockerError."""
        if self._podman is None:
            self._podman = bool(await self.podman_version())
        return self._podman

    async def podman_version(self) -> str:
        """Podman's version, which every ping of it says; empty for Docker. Raises DockerError.

        Asked for all about itself, Podman 4.3 asks the package manager of its machine: seconds when that is busy.
        """
        async with self._docker._query("_ping", versioned_api=False) as response:
            return response.headers.get("Libpod-API-Version", "")

    async def ulimits(self) -> dict[str, int]:
        """Limits to name beside the app's own. Raises DockerError.

        Podman gives a container 1,048,576 processes a user unless told otherwise, and fails to start it where its
        service itself may have fewer (Podman 4.3 gives itself 32,768).
        """
        if not await self.podman():
            return {}
        most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        return {"nproc": _PROCESSES if most == resource.RLIM_INFINITY else min(most, _PROCESSES)}
