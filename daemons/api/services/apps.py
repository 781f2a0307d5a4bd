"""A user's apps, each with what its jobs say about it.

While the control plane does not answer, it is what was told last of each app, if of all of them something was told."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from daemons.api.domain.access import Subject
from daemons.api.domain.apps import App, Draft, Standing, at_rest_after_stop, remembered, standing
from daemons.api.domain.slugs import require_free
from daemons.api.ports import AppBusy, AppStore, DeployPlane, PlaneUnreachable, ResultStore
from daemons.api.services.attempts import attempts
from daemons.api.services.keys import KeyRing
from daemons.api.services.ownership import Ownership
from daemons.api.services.repositories import Repositories
from protocol.api import MOST_APPS, AppState

#: All that the control plane keeps of an app, also after a burst of orders that superseded each other.
_HISTORY = 200
_DEPLOYED = (AppState.DEPLOYING, AppState.READY, AppState.FAILED)

AppWithStanding = tuple[App, Standing]


class Apps:
    """Create, change, list, look up."""

    def __init__(
        self,
        store: AppStore,
        plane: DeployPlane,
        ownership: Ownership,
        keys: KeyRing,
        results: ResultStore,
        repositories: Repositories,
    ) -> None:
        self._store = store
        self._plane = plane
        self._ownership = ownership
        self._keys = keys
        self._results = results
        self._repositories = repositories

    async def create(self, subject: Subject, draft: Draft, idempotency_key: str | None) -> AppWithStanding:
        """A new app, whose repository its owner may push to as soon as this answers; with a git server of others, as
        soon as that has set it up.

        Raises AppLimit, NameTaken, AccessUnwritten (the app is there; repeat with the same idempotency key).
        """
        app = await self._store.create(subject.user_id, draft, idempotency_key, MOST_APPS)
        self._repositories.ask()
        await self._keys.publish()
        return app, Standing(AppState.CREATED)

    async def update(self, subject: Subject, app_id: str, draft: Draft) -> AppWithStanding:
        """Change what the draft names. Raises NotFound, NameTaken, SlugTaken, SlugReserved, AppBusy while a deployment
        goes on, PlaneError."""
        require_free(draft.slug or "")
        app, state = await self.one(subject, app_id)
        if state.status is AppState.DEPLOYING:
            raise AppBusy(f"app {app.id} is being deployed; change it when that is over")
        return await self._store.update(app, draft), state

    async def one(self, subject: Subject, app_id: str) -> AppWithStanding:
        """One app. Raises NotFound, PlaneError."""
        app = await self._ownership.app(subject, app_id)
        return (await self._with_standing([app]))[0]

    async def standing_of(self, app: App) -> Standing:
        """What the app's jobs say about it. Raises PlaneError."""
        return (await self._with_standing([app]))[0][1]

    async def of(self, subject: Subject) -> Sequence[AppWithStanding]:
        """All the subject's apps, oldest first. Raises PlaneError."""
        return await self._with_standing(await self._store.of_user(subject.user_id))

    async def deployed(self, subject: Subject, app_id: str | None) -> Sequence[AppWithStanding]:
        """Those that are deploying, ready or failed; of one app when it is named. Raises NotFound, PlaneError."""
        found = [await self.one(subject, app_id)] if app_id is not None else await self.of(subject)
        return [(app, state) for app, state in found if state.status in _DEPLOYED]

    async def every(self) -> Sequence[AppWithStanding]:
        """All apps of all users, for operators. Raises PlaneError."""
        return await self._with_standing(await self._store.every())

    async def ids(self) -> Sequence[int]:
        """The ids of all apps."""
        return [app.id for app in await self._store.every()]

    async def _with_standing(self, apps: Sequence[App]) -> Sequence[AppWithStanding]:
        try:
            jobs = await self._plane.jobs_of([app.id for app in apps], _HISTORY)
        except PlaneUnreachable:
            told = await self._results.results_of([app.id for app in apps])
            if not all(app.id in told for app in apps):
                raise
            return [(app, remembered(app, told[app.id])) for app in apps]
        found = [(app, standing(app, attempts(jobs.get(app.id, ())))) for app in apps]
        if not any(at_rest_after_stop(app, state) for app, state in found):
            return found
        owners = {app.user_id for app in apps}
        unfinished = await self._plane.unfinished(owners.pop() if len(owners) == 1 else None)
        return [(app, _told(app, state, unfinished)) for app, state in found]


def _told(app: App, state: Standing, unfinished: Collection[int]) -> Standing:
    return replace(state, stop_pending=True) if app.id in unfinished and at_rest_after_stop(app, state) else state
