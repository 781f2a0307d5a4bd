"""Apps as a whole: stop, purge, clean up. What a node has not done yet is no error: it is pending, and will be done."""

from collections.abc import Sequence

from aiohttp import web

from daemons.deploy.domain.operations import words
from daemons.deploy.domain.views import app_view, operation_view
from daemons.deploy.http.requests import app_in_path, caller
from daemons.deploy.ports import AppFilter
from daemons.deploy.services.apps import Apps, Cleaned, Purged
from daemons.deploy.services.catalogue import Catalogue
from daemons.deploy.services.outbox import Attempt
from daemons.deploy.services.retention import RepositoryRemoval
from daemons.kit.bodies import expected, number, query, read, reply
from daemons.kit.openapi import Answers
from protocol.apps import AppCleaned, AppCommand, AppPage, AppPurged, AppStopped, AppView
from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.nodes import NodeNumber
from protocol.operations import OperationState, OperationView


class _AppQuery(Wire):
    user_id: UserId | None = None
    node_id: NodeNumber | None = None
    cursor: AppId | None = None


class AppRoutes:
    """`/deploy/apps`, `/deploy/apps/{app_id}` and `/deploy/apps/stop|purge|cleanup`."""

    def __init__(self, apps: Apps, catalogue: Catalogue) -> None:
        self._apps = apps
        self._catalogue = catalogue

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/deploy/apps", self.page),
            web.get("/deploy/apps/{app_id}", self.one),
            web.post("/deploy/apps/stop", self.stop),
            web.post("/deploy/apps/purge", self.purge),
            web.post("/deploy/apps/cleanup", self.cleanup),
        ]

    @Answers(AppPage)
    async def page(self, request: web.Request) -> web.Response:
        """A page of apps, by id."""
        asked = query(request, _AppQuery)
        limit = number(request, "limit", default=50, low=1, high=200)
        found = await self._catalogue.page(AppFilter(asked.user_id, asked.node_id), asked.cursor or "", limit)
        items = tuple(app_view(facts, found.now) for facts in found.items)
        return reply(AppPage(items=items, next_cursor=items[-1].app_id if found.more else None))

    @Answers(AppView, refuses=(404,))
    async def one(self, request: web.Request) -> web.Response:
        """One app."""
        found = await self._catalogue.one(app_in_path(request))
        return reply(app_view(found.items[0], found.now))

    @Answers(AppStopped, refuses=(404, 409))
    async def stop(self, request: web.Request) -> web.Response:
        """Stop an app on its node."""
        order = await read(request, AppCommand)
        attempts = await self._apps.stop(order.user_id, order.app_id, caller(request), expected(request))
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

    @Answers(AppPurged, refuses=(409,))
    async def purge(self, request: web.Request) -> web.Response:
        """Forget an app."""
        order = await read(request, AppCommand)
        return reply(_purged(order, await self._apps.purge(order.user_id, order.app_id, caller(request))))

    @Answers(AppCleaned, refuses=(409,))
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
