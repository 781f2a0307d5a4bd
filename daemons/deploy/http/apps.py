"""Apps as a whole: stop, purge, clean up. What a node has not done yet is no error: it is pending, and will be done."""

from collections.abc import Sequence

from aiohttp import web

from daemons.deploy.domain.operations import words
from daemons.deploy.domain.views import operation_view
from daemons.deploy.http.requests import caller
from daemons.deploy.services.apps import Apps, Cleaned, Purged
from daemons.deploy.services.outbox import Attempt
from daemons.deploy.services.retention import RepositoryRemoval
from daemons.kit.bodies import read, reply
from protocol.apps import AppCleaned, AppCommand, AppPurged, AppStopped
from protocol.operations import OperationState, OperationView


class AppRoutes:
    """`/deploy/apps/stop|purge|cleanup`."""

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
        attempts = await self._apps.stop(order.user_id, order.app_id, caller(request))
        first = attempts[0]
        return reply(
            AppStopped(
                app_id=order.app_id,
                user_id=int(order.user_id),
                node_id=first.operation.node_id,
                agent_base_url=_address(first),
                runtime=dict(first.answer) if first.answer is not None else _failure(first),
                pending=_pending(attempts),
                operations=_views(attempts),
            )
        )

    async def purge(self, request: web.Request) -> web.Response:
        """Forget an app."""
        order = await read(request, AppCommand)
        return reply(_purged(order, await self._apps.purge(order.user_id, order.app_id, caller(request))))

    async def cleanup(self, request: web.Request) -> web.Response:
        """Delete an app on its node and forget it; the answer tells what became of each step."""
        order = await read(request, AppCommand)
        return reply(_cleaned(order, await self._apps.cleanup(order.user_id, order.app_id, caller(request))))


def _address(attempt: Attempt) -> str:
    return (attempt.node.agent_base_url if attempt.node else None) or ""


def _pending(attempts: Sequence[Attempt]) -> bool:
    return any(attempt.operation.state is OperationState.PENDING for attempt in attempts)


def _views(attempts: Sequence[Attempt]) -> tuple[OperationView, ...]:
    return tuple(operation_view(each.operation, each.operation.updated_at) for each in attempts)


def _failure(attempt: Attempt) -> dict[str, object]:
    pending = attempt.operation.state is OperationState.PENDING
    return {"success": False, "pending": pending, "error": words(attempt.operation)}


def _purged(order: AppCommand, purged: Purged) -> AppPurged:
    return AppPurged(
        app_id=order.app_id,
        user_id=int(order.user_id),
        deleted_jobs=purged.forgotten.jobs,
        deleted_app_runs=purged.forgotten.runs,
        deleted_placements=purged.forgotten.placements,
        pending=_pending(purged.attempts),
        operations=_views(purged.attempts),
    )


def _cleaned(order: AppCommand, cleaned: Cleaned) -> AppCleaned:
    runtime: dict[str, object] = {"skipped": True, "reason": "the app is on no runtime node"}
    if cleaned.attempts:
        first = next((each for each in cleaned.attempts if each.answer is None), cleaned.attempts[0])
        runtime = _failure(first)
        if first.answer is not None:
            runtime = {"success": True, "agentBaseUrl": _address(first), "response": dict(first.answer)}
    if cleaned.forgotten is not None:
        purge = _purged(order, Purged(cleaned.forgotten)).to_data()
    else:
        unfinished = [words(each.operation) for each in cleaned.attempts if not each.operation.state.final]
        purge = {"skipped": True, "reason": "; ".join(unfinished) or "a job of the app is going live"}
    return AppCleaned(
        user_id=order.user_id,
        app_id=order.app_id,
        image_tags=cleaned.images,
        cancelled_jobs=cleaned.cancelled,
        registry=_registry(cleaned.registry),
        runtime=runtime,
        purge=purge,
        pending=_pending(cleaned.attempts),
        operations=_views(cleaned.attempts),
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
