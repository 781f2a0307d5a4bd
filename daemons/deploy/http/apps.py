"""Apps as a whole: stop, purge, clean up."""

from aiohttp import web

from daemons.deploy.http.requests import caller
from daemons.deploy.services.apps import Apps, Cleaned, Purged, Stopped
from daemons.deploy.services.retention import RepositoryRemoval
from daemons.kit.bodies import read, reply
from protocol.apps import AppCleaned, AppCommand, AppPurged, AppStopped


class AppRoutes:
    """`/deploy/apps`."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/deploy/apps/stop", self.stop),
            web.post("/deploy/apps/purge", self.purge),
            web.post("/deploy/apps/cleanup", self.cleanup),
        ]

    async def stop(self, request: web.Request) -> web.Response:
        """Stop an app on its node."""
        order = await read(request, AppCommand)
        stopped = await self._apps.stop(order.user_id, order.app_id, caller(request))
        return reply(
            AppStopped(
                app_id=order.app_id,
                user_id=int(order.user_id),
                node_id=stopped.node.id,
                agent_base_url=stopped.agent_base_url,
                runtime=dict(stopped.runtime),
            )
        )

    async def purge(self, request: web.Request) -> web.Response:
        """Forget an app."""
        order = await read(request, AppCommand)
        return reply(_purged(order, await self._apps.purge(order.app_id, caller(request))))

    async def cleanup(self, request: web.Request) -> web.Response:
        """Delete an app on its node and forget it; the answer tells what became of each step."""
        order = await read(request, AppCommand)
        return reply(_cleaned(order, await self._apps.cleanup(order.user_id, order.app_id, caller(request))))


def _purged(order: AppCommand, purged: Purged) -> AppPurged:
    return AppPurged(
        app_id=order.app_id,
        user_id=int(order.user_id),
        deleted_jobs=purged.jobs,
        deleted_app_runs=purged.runs,
        deleted_placements=purged.placements,
    )


def _cleaned(order: AppCommand, cleaned: Cleaned) -> AppCleaned:
    runtime: dict[str, object]
    match cleaned.deleted:
        case Stopped() as deleted:
            runtime = {"success": True, "agentBaseUrl": deleted.agent_base_url, "response": dict(deleted.runtime)}
        case str() as problem:
            runtime = {"success": False, "error": problem}
        case None:
            runtime = {"skipped": True, "reason": "the app is on no runtime node"}
    purge: dict[str, object]
    match cleaned.purged:
        case Purged() as purged:
            purge = _purged(order, purged).to_data()
        case str() as problem:
            purge = {"skipped": True, "reason": problem}
    return AppCleaned(
        user_id=order.user_id,
        app_id=order.app_id,
        image_tags=cleaned.images,
        cancelled_jobs=cleaned.cancelled,
        registry=_registry(cleaned.registry),
        runtime=runtime,
        purge=purge,
    )


def _registry(removal: RepositoryRemoval | str | None) -> dict[str, object]:
    match removal:
        case None:
            return {"enabled": False}
        case str() as problem:
            return {"enabled": True, "skipped": True, "reason": problem}
        case RepositoryRemoval(repository=repository, problem=None):
            return {"enabled": True, "deleted": [], "failed": [], "repoDeleted": [repository], "repoFailed": []}
        case RepositoryRemoval():
            failed = [{"repository": removal.repository, "error": removal.problem}]
            return {"enabled": True, "deleted": [], "failed": [], "repoDeleted": [], "repoFailed": failed}
