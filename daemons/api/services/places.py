"""At most three apps of a user deploy or run at a time.

A place is a mark on the app's row, taken under a lock of the user's row, so that the limit holds between any number of
API processes. A place is given back when the app is stopped; places of apps that turned out not to run (the
deployment failed or was cancelled) are found by asking the control plane, only when somebody needs one.
"""

from contextlib import suppress

from daemons.api.domain.access import NotFound
from daemons.api.domain.apps import FRESH_PLACE_MS, App, AppLimit, live
from daemons.api.ports import AppStore, DeployPlane
from daemons.api.services.attempts import attempts
from protocol.api import MOST_APPS, MOST_LIVE_APPS

#: All that the control plane keeps of an app, also after a burst of orders that superseded each other.
_HISTORY = 200


class Places:
    """Takes and gives back places."""

    def __init__(self, apps: AppStore, plane: DeployPlane) -> None:
        self._apps = apps
        self._plane = plane

    async def take(self, app: App) -> int:
        """A place for the app, epoch milliseconds. Raises AppLimit that names the apps in the way, PlaneError."""
        taken_at = await self._apps.take_place(app, MOST_LIVE_APPS)
        if taken_at is None and await self._clear(app):
            taken_at = await self._apps.take_place(app, MOST_LIVE_APPS)
        if taken_at is None:
            others = ", ".join(str(other.id) for other in await self._holders(app))
            raise AppLimit(
                f"{MOST_LIVE_APPS} apps are deploying or running, or were seconds ago ({others}); stop one first"
            )
        return taken_at

    async def count(self, app: App) -> None:
        """An app that was deployed at the control plane itself, without asking here, holds a place from then on,
        although that may be one too many."""
        if app.live_since is None:
            with suppress(NotFound):
                await self._apps.take_place(app, MOST_APPS)

    async def leave(self, app: App, taken_at: int) -> None:
        """Give back a place that was taken for nothing, unless the app had it before."""
        if app.live_since is None:
            await self._apps.leave_place(app.id, taken_at)

    async def settle(self, app: App) -> None:
        """Give the place of a stopped app back, unless a job of it is active or came in meanwhile."""
        if app.live_since is not None and not await self._is_live(app):
            await self._apps.leave_place(app.id, app.live_since)

    async def reconsider(self, app: App) -> None:
        """Give back the place of an app whose job ended, if no version of it runs and no job is on its way. Raises
        PlaneError."""
        taken_at = app.live_since
        if taken_at is None or taken_at >= await self._apps.now() - FRESH_PLACE_MS:
            return
        if not await self._is_live(app):
            await self._apps.leave_place(app.id, taken_at)

    async def _clear(self, app: App) -> bool:
        """Give back the places of the user's apps that do not run; whether there were any."""
        now = await self._apps.now()
        cleared = False
        for other in await self._holders(app):
            taken_at = other.live_since
            if taken_at is not None and taken_at < now - FRESH_PLACE_MS and not await self._is_live(other):
                cleared = await self._apps.leave_place(other.id, taken_at) or cleared
        return cleared

    async def _holders(self, app: App) -> list[App]:
        return [other for other in await self._apps.of_user(app.user_id) if other.live_since is not None]

    async def _is_live(self, app: App) -> bool:
        jobs = await self._plane.jobs_of([app.id], _HISTORY)
        return live(app, attempts(jobs.get(app.id, ())))
