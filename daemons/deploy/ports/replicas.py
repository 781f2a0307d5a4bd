"""Rows that replicas share: who does the work that only one of them does."""

from collections.abc import Sequence
from typing import Protocol

from daemons.deploy.domain.singletons import Holding


class SingletonRows(Protocol):
    """Table `fun_ai_deploy_singleton`."""

    async def singletons(self) -> Sequence[Holding]:
        """All, by name."""
        ...

    async def insert_singleton(self, holding: Holding) -> bool:
        """False when the name is there already."""
        ...

    async def save_singleton(self, holding: Holding, was: Holding) -> bool:
        """Write holder, epoch and times if the row is still `was`; False when another replica was faster."""
        ...

    async def release_singletons(self, holder: str) -> int:
        """End every lease of a holder now; how many."""
        ...

    async def singleton_epoch(self, name: str, holder: str) -> int | None:
        """The epoch under which `holder` has the row, which stays so until the transaction ends; None when another
        has it."""
        ...
