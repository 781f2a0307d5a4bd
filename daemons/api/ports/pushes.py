"""What pushes that are deployed need: a record of them."""

from typing import Protocol

from daemons.api.domain.pushes import Push, PushRule
from protocol.pushes import PushOutcome


class PushStore(Protocol):
    """Table `fun_ai_app_push`, one row per app, and `fun_ai_git_delivery`, what was told."""

    async def of_app(self, app_id: int) -> tuple[PushRule, Push | None]:
        """Which pushes of the app are deployed, and the newest of them."""
        ...

    async def set_rule(self, app_id: int, rule: PushRule) -> None:
        """Change which are, and have the repository looked at again. Raises NotFound when the app is gone."""
        ...

    async def take(self, app_id: int, delivery: str, branch: str, commit: str) -> PushOutcome:
        """Write a push down in place of the one before, unless this delivery was taken before or nobody asked for it.
        Raises NotFound when the app is gone."""
        ...

    async def claim(self, hold_ms: int) -> Push | None:
        """One that is due; nobody else gets it, nor a newer one of its app, for so long."""
        ...

    async def save(self, push: Push, claimed: Push) -> bool:
        """Write an attempt down and let go; whether there is no newer push, and nobody else claimed it meanwhile."""
        ...

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        ...

    async def forget(self, age_ms: int) -> int:
        """Forget which deliveries were taken so long ago; how many."""
        ...
