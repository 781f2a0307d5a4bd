"""Keeps users' caches of packages as small as they may be; what was used least of late goes first."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from daemons.kit.clock import Clock
from daemons.kit.tasks import every
from daemons.workspace.domain.files import FileError
from daemons.workspace.domain.packages import NPM, PIP, size_of, superfluous
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.ports import HomeError
from daemons.workspace.ports.packages import CacheFiles
from daemons.workspace.services.workspaces import Workspaces

logger = logging.getLogger(__name__)

_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class CacheState:
    """Bytes of each cache when it was looked at last, and bytes that went since the node began."""

    sizes: Mapping[str, int]
    at_ms: int
    pruned_bytes: int = 0


@dataclass(slots=True)
class Caches:
    """The caches of workspaces that are awake; `limits` are bytes for each folder of caches."""

    workspaces: Workspaces
    files: CacheFiles
    limits: Mapping[str, int]
    clock: Clock
    _states: dict[str, CacheState] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever."""
        await every(_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Look at each once. What fails for one user is tried again with the next look."""
        for workspace in self.workspaces.known():
            if workspace.phase is Phase.RUNNING:
                try:
                    await self.prune(workspace.user_id)
                except (FileError, HomeError) as error:
                    said = {"user_id": workspace.user_id, "error": str(error)}
                    logger.warning("caches of packages could not be looked at", extra=said)

    async def prune(self, user_id: str) -> CacheState:
        """No cache of the user's is larger than it may be, but for what is new. Raises HomeError, FileError."""
        before = self._states.get(user_id, CacheState({}, 0))
        now, sizes, pruned = int(self.clock.now().timestamp() * 1000), {}, 0
        for folder, most in self.limits.items():
            files = await self.files.files(user_id, folder)
            going = superfluous(files, most, now)
            gone = await self.files.remove(user_id, going) if going else 0
            sizes[folder], pruned = size_of(files) - gone, pruned + gone
        state = replace(before, sizes=sizes, at_ms=now, pruned_bytes=before.pruned_bytes + pruned)
        self._states[user_id] = state
        return state

    def state(self, user_id: str) -> CacheState | None:
        """As it was seen last; None before the first look."""
        return self._states.get(user_id)


def limits(npm_megabytes: int, pip_megabytes: int) -> Mapping[str, int]:
    """Bytes for each folder of caches."""
    return {NPM: npm_megabytes * 1024**2, PIP: pip_megabytes * 1024**2}
