"""What the API asks for itself, never for people: section A.10. A look changes nothing and counts as no use."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, read, reply
from daemons.kit.clock import Clock
from daemons.kit.openapi import Answers
from daemons.workspace.domain.idle import Patience
from daemons.workspace.domain.leavings import existing
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.http.callers import named
from daemons.workspace.services.leavings import Leavings
from daemons.workspace.services.runs import NoApp, Runs
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_upkeep import (
    ActivityView,
    AppCleared,
    BusyCount,
    CleanOrphans,
    OrphanKept,
    OrphansCleaned,
)
from protocol.workspaces import AppRef, PreviewRef

_BASE: Final = "/api/fun-ai/workspace/internal"
_LEFT: Final = "something is left; repeat the call"


class UpkeepRoutes:
    """Busy users, idle users, and what apps leave behind."""

    def __init__(
        self, workspaces: Workspaces, runs: Runs, leavings: Leavings, patience: Patience, clock: Clock
    ) -> None:
        self._workspaces = workspaces
        self._runs = runs
        self._leavings = leavings
        self._patience = patience
        self._clock = clock

    def table(self) -> list[web.RouteDef]:
        """For the API entry itself."""
        return [
            web.get(f"{_BASE}/run/busy-count", self.busy),
            web.get(f"{_BASE}/activity", self.activity),
            web.post(f"{_BASE}/maintenance/app-deleted", self.app_deleted),
            web.post(f"{_BASE}/cleanup-orphaned", self.clean),
        ]

    @Answers(BusyCount, refuses=(404,))
    async def busy(self, request: web.Request) -> web.Response:
        """Whose run lives in a container that is awake."""
        asked = named(request, PreviewRef)
        awake = {one.user_id for one in self._workspaces.known() if one.phase is Phase.RUNNING}
        busy = {run.user_id for run in self._runs.living()} & awake
        return reply(BusyCount(busy_count=len(busy), user_busy=asked.user_id in busy))

    @Answers(ActivityView, refuses=(404,))
    async def activity(self, request: web.Request) -> web.Response:
        """Of the user, or of whoever serves the app."""
        user_id = self._asked(named(request, PreviewRef))
        workspace, now = self._workspaces.find(user_id), int(self._clock.now().timestamp() * 1000)
        used = workspace.used_at_ms if workspace is not None and workspace.used_at_ms else None
        idle = max(0, now - used) if used is not None else None
        return reply(
            ActivityView(
                server_time_ms=now,
                user_id=user_id,
                last_active_at_ms=used,
                idle_ms=idle,
                idle_ms_monotonic=idle,
                idle_stop_run_minutes=self._patience.freeze_minutes,
                idle_stop_container_minutes=self._patience.stop_minutes,
            )
        )

    @Answers(AppCleared, refuses=(404,))
    async def app_deleted(self, request: web.Request) -> web.Response:
        """The app is gone, other apps of the user go on."""
        which = named(request, AppRef)
        cleared = await self._leavings.delete_app(which.user_id, which.app_id, which.epoch)
        return reply(
            AppCleared(
                user_id=which.user_id,
                app_id=which.app_id,
                complete=not cleared.problems,
                removed_folders=cleared.folders,
                removed_run_logs=cleared.logs,
                removed_uploads=cleared.uploads,
                removed_keys=cleared.keys,
                removed_databases=cleared.databases,
                quarantined=tuple(cleared.quarantined),
                problems=tuple(cleared.problems),
                message=_LEFT if cleared.problems else "ok",
            )
        )

    @Answers(OrphansCleaned, refuses=(409,))
    async def clean(self, request: web.Request) -> web.Response:
        """What no app owns any more is gone, but for what somebody uses."""
        asked = await read(request, CleanOrphans)
        now = int(self._clock.now().timestamp() * 1000)
        known = existing(asked.existing_app_ids, asked.as_of_ms, now, confirmed=asked.confirmed)
        cleaned = await self._leavings.clean(known, confirmed=asked.confirmed)
        return reply(
            OrphansCleaned(
                cleaned_app_dirs=cleaned.folders,
                cleaned_run_logs=cleaned.logs,
                cleaned_databases=cleaned.databases,
                kept=tuple(OrphanKept(user_id=user, app_id=app, reason=why) for user, app, why in cleaned.kept),
                quarantined=tuple(cleaned.quarantined),
                problems=tuple(cleaned.problems),
                message=_LEFT if cleaned.problems else "ok",
            )
        )

    def _asked(self, asked: PreviewRef) -> str:
        if asked.user_id is not None:
            return asked.user_id
        if asked.app_id is None:
            raise InvalidRequest("userId: must be given, or appId", ["userId"])
        run = self._runs.of_app(asked.app_id)
        if run is None:
            raise NoApp("nothing of this app runs on this node")
        return run.user_id
