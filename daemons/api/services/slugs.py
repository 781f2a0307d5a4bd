"""Slugs: whether an app may have one, and where those lead who come by one."""

from dataclasses import dataclass
from typing import Final

from daemons.api.domain.access import Subject
from daemons.api.domain.slugs import Unavailable, refusal
from daemons.api.ports import AppStore
from daemons.api.services.apps import Apps
from daemons.api.services.ownership import Ownership
from daemons.kit.clock import Clock

#: Visitors are anybody: what the control plane said is good for so long, and of so many apps.
_GOOD_SECONDS: Final = 2.0
_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Way:
    """Where a slug leads: an app, and whether a version of it is meant to run."""

    app_id: int
    published: bool


class Slugs:
    """Asked by owners and by visitors."""

    def __init__(self, store: AppStore, apps: Apps, ownership: Ownership, clock: Clock) -> None:
        self._store = store
        self._apps = apps
        self._ownership = ownership
        self._clock = clock
        self._known: dict[int, tuple[float, bool]] = {}

    async def check(self, subject: Subject, slug: str, app_id: str | None) -> Unavailable | None:
        """Why the app, or any new one, cannot have the slug now; None if it can. Raises NotFound."""
        app = await self._ownership.app(subject, app_id) if app_id is not None else None
        if (why := refusal(slug)) is not None:
            return why
        holder = await self._store.slug_holder(slug)
        return None if holder is None or (app is not None and holder == app.id) else Unavailable.TAKEN

    async def way(self, slug: str) -> Way | None:
        """None when no app has it, or has it no more. Raises PlaneError."""
        if refusal(slug) is not None:
            return None
        holder = await self._store.slug_holder(slug)
        app = await self._store.app(holder) if holder is not None else None
        if app is None:
            return None
        now = self._clock.now().timestamp()
        known = self._known.get(app.id)
        if known is None or not 0 <= now - known[0] < _GOOD_SECONDS:
            # While a newer version is being deployed, the one before goes on serving.
            known = now, (await self._apps.standing_of(app)).url is not None
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[app.id] = known
        return Way(app.id, known[1])
