"""Statements about what replicas share."""

from collections.abc import Sequence

from daemons.deploy.domain.singletons import Holding
from daemons.kit.sql import Duplicate, Session


class SingletonStatements:
    """The port `SingletonRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def singletons(self) -> Sequence[Holding]:
        """All, by name."""
        return [
            Holding(row["name"], row["holder"], row["epoch"], row["held_since"], row["lease_expire_at"])
            for row in await self._session.rows("singletons")
        ]

    async def insert_singleton(self, holding: Holding) -> bool:
        """False when the name is there already."""
        try:
            await self._session.change("insert_singleton", **_columns(holding))
        except Duplicate:
            return False
        return True

    async def save_singleton(self, holding: Holding, was: Holding) -> bool:
        """Write holder, epoch and times if the row is still `was`."""
        changed = await self._session.change(
            "save_singleton",
            was_epoch=was.epoch,
            was_holder=was.holder,
            was_until=was.until,
            **_columns(holding),
        )
        return changed == 1

    async def release_singletons(self, holder: str) -> int:
        """End every lease of a holder now."""
        return await self._session.change("release_singletons", holder=holder)

    async def singleton_epoch(self, name: str, holder: str) -> int | None:
        """The epoch under which `holder` has the row, locked against a takeover."""
        row = await self._session.row("singleton_epoch", name=name, holder=holder)
        return None if row is None else int(row["epoch"])


def _columns(holding: Holding) -> dict[str, str | int]:
    return {
        "name": holding.name,
        "holder": holding.holder,
        "epoch": holding.epoch,
        "held_since": holding.since,
        "lease_expire_at": holding.until,
    }
