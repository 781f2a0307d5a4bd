"""One app with everything that its owner sees of it, for operators."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.api.domain.access import NotFound, acted_for, number_of
from daemons.api.domain.apps import App, Standing
from daemons.api.domain.deletions import Deletion
from daemons.api.domain.domains import Claim
from daemons.api.domain.pushes import Push, PushRule
from daemons.api.ports import AppStore
from daemons.api.ports.deletions import DeletionStore
from daemons.api.ports.domains import DomainStore
from daemons.api.ports.pushes import PushStore
from daemons.api.services.apps import Apps


@dataclass(frozen=True, slots=True)
class Records:
    """Where each part of it is written down."""

    apps: AppStore
    domains: DomainStore
    pushes: PushStore
    deletions: DeletionStore


@dataclass(frozen=True, slots=True)
class Known:
    """An app that is there."""

    app: App
    standing: Standing
    claims: Sequence[Claim]
    rule: PushRule
    push: Push | None


class AppDetails:
    """Reads, and changes nothing."""

    def __init__(self, records: Records, apps: Apps) -> None:
        self._records = records
        self._apps = apps

    async def of(self, app_id: str, named: str | None) -> Known | Deletion:
        """The app, or how its deletion goes. Raises NotFound, also for an app that is not the named user's, and
        PlaneError."""
        found, number = None, number_of(app_id)
        if number is not None:
            found = await self._records.apps.app(number) or await self._records.deletions.find(number)
        if found is None:
            raise NotFound(f"there is no app {app_id}")
        acted_for(app_id, found.user_id, named)
        return await self._known(found) if isinstance(found, App) else found

    async def _known(self, app: App) -> Known:
        claims = await self._records.domains.of_app(app.id)
        rule, push = await self._records.pushes.of_app(app.id)
        return Known(app, await self._apps.standing_of(app), claims, rule, push)
