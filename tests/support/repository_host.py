"""A host of repositories in memory, for tests of what stands on it: the same contract suite runs against all."""

from collections.abc import Mapping

from daemons.api.ports.repositories import RepositoryTrouble


class MemoryHost:
    """Holds the files of each; while `failing`, nothing is done."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, str]] = {}
        self.announced: set[str] = set()
        self.admitted: set[str] = set()
        self.failing = 0

    async def create(self, repository: str, files: Mapping[str, str]) -> None:
        """It begins with the files unless it was there."""
        self._fail()
        self.repositories.setdefault(repository, dict(files))

    async def admit_bots(self, repository: str) -> None:
        """Remembered."""
        self._fail()
        self.admitted.add(repository)

    async def announce(self, repository: str) -> None:
        """Remembered."""
        self._fail()
        self.announced.add(repository)

    async def remove(self, repository: str) -> None:
        """It is gone, with what was remembered."""
        self._fail()
        self.repositories.pop(repository, None)
        self.announced.discard(repository)
        self.admitted.discard(repository)

    def _fail(self) -> None:
        if self.failing:
            self.failing -= 1
            raise RepositoryTrouble("the host is away")
