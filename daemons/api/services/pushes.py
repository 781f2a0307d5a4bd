"""Pushes are deployed when the app's owner wants it: written down, then ordered like any other deployment.

One push of an app is of account, the newest: its row is the order. A delivery makes one job, however often it comes and
whoever dies in between, because its id is the key of the order.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from daemons.api.domain.access import NotFound, Subject
from daemons.api.domain.apps import App, AppLimit
from daemons.api.domain.deployments import Hosting, InvalidDeployment
from daemons.api.domain.pushes import Push, PushNotDeployable, PushRule, deployed, order, postponed, refused
from daemons.api.ports import AppBusy, AppStore, DeployPlane, KeyUsed, PlaneRefused, PlaneUnreachable, TooManyReaders
from daemons.api.ports.pushes import PushStore
from daemons.api.services.deployments import Deployments
from daemons.api.services.ownership import Ownership
from daemons.api.services.turns import Turns
from protocol.jobs import JobView, OnConflict
from protocol.pushes import GitPush, PushOutcome

logger = logging.getLogger(__name__)

#: For how long whoever dies keeps others from a push: longer than any attempt lasts.
_HOLD_MS: Final = 90_000
_KEPT_MS: Final = 90 * 24 * 3600 * 1000
_HISTORY: Final = 200
_LATER: Final = (PlaneUnreachable, AppBusy, TooManyReaders)
_NEVER: Final = (AppLimit, InvalidDeployment, PushNotDeployable, PlaneRefused)

PushesOfApp = tuple[App, PushRule, Push | None]


class Pushes:
    """Takes pushes, and has them deployed."""

    def __init__(
        self,
        store: PushStore,
        apps: AppStore,
        ownership: Ownership,
        plane: DeployPlane,
        deployments: Deployments,
        hosting: Hosting,
        *,
        hold_ms: int = _HOLD_MS,
    ) -> None:
        self._store = store
        self._apps = apps
        self._ownership = ownership
        self._plane = plane
        self._deployments = deployments
        self._hosting = hosting
        self._turns: Turns[Push] = Turns("push", lambda: store.claim(hold_ms), self._attempt)

    async def of(self, subject: Subject, app_id: str) -> PushesOfApp:
        """Which pushes of the app are deployed, and the newest. Raises NotFound."""
        app = await self._ownership.app(subject, app_id)
        return app, *await self._store.of_app(app.id)

    async def set_rule(
        self, subject: Subject, app_id: str, branches: Sequence[str] | None, *, enabled: bool
    ) -> PushesOfApp:
        """Change which are; without `branches` those stay. Raises NotFound."""
        app, rule, _ = await self.of(subject, app_id)
        after = replace(rule, enabled=enabled, branches=tuple(branches or rule.branches))
        await self._store.set_rule(app.id, after)
        said = {"app_id": app.id, "user_id": app.user_id, "enabled": enabled, "branches": list(after.branches)}
        logger.info("push_to_deploy_set", extra=said)
        return await self.of(subject, app_id)

    async def take(self, delivery: str, push: GitPush) -> PushOutcome:
        """Take a push, however often it is told. Raises DatabaseUnavailable: then it is to be told again."""
        named = self._hosting.app_of(push.repository.full_name)
        if named is None or push.branch is None:
            return PushOutcome.IGNORED
        user_id, app_id = named
        app = await self._apps.app(app_id)
        if app is None or app.user_id != user_id:
            return PushOutcome.IGNORED
        try:
            outcome = await self._store.take(app_id, delivery, push.branch, push.after)
        except NotFound:
            return PushOutcome.IGNORED
        said = {"app_id": app_id, "branch": push.branch, "commit": push.after, "became": outcome.value}
        logger.info("push_told", extra=said)
        if outcome is PushOutcome.QUEUED:
            self._turns.ask()
        return outcome

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._turns.run()

    async def tidy(self) -> None:
        """Forget which deliveries were taken months ago."""
        await self._store.forget(_KEPT_MS)

    async def _attempt(self, claimed: Push) -> None:
        try:
            after = deployed(claimed, await self._job_of(claimed))
        except _LATER as error:
            after = postponed(claimed, str(error), await self._store.now())
        except _NEVER as error:
            after = refused(claimed, str(error))
        except NotFound:
            # The app was deleted, and its row here with it.
            return
        said = {"app_id": after.app_id, "branch": after.branch, "commit": after.commit, "attempts": after.attempts}
        if not await self._store.save(after, claimed):
            logger.info("push_outdated", extra=said)
        elif after.problem is None:
            logger.info("push_deployed", extra={**said, "job_id": after.job_id})
        else:
            logger.warning("push_not_deployed", extra={**said, "problem": after.problem})

    async def _job_of(self, push: Push) -> str | None:
        """Raises NotFound, PushNotDeployable, AppLimit, InvalidDeployment, PlaneError."""
        app = await self._apps.app(push.app_id)
        if app is None:
            raise NotFound(f"there is no app {push.app_id}")
        rule, _ = await self._store.of_app(app.id)
        if not rule.covers(push.branch):
            raise PushNotDeployable("pushes to this branch are not deployed any more")
        jobs: Sequence[JobView] = (await self._plane.jobs_of([app.id], _HISTORY)).get(app.id, ())
        subject, key = Subject(app.user_id), f"push-{sha256(push.delivery.encode()).hexdigest()[:40]}"
        wanted = order(push.commit, jobs)
        try:
            job = await self._deployments.start(subject, str(app.id), wanted, key, on_conflict=OnConflict.SUPERSEDE)
        except KeyUsed:
            # An earlier attempt made the job, its answer was lost, and the app was deployed otherwise since.
            return None
        return job.id
