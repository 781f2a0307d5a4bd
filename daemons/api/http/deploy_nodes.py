"""Runtime nodes, runners, jobs and drains of the deploy control plane, for operators: section B.7 of the contract, and
what its page needs besides.

Each call is checked here, asked of the control plane with the API's own proof, and answered in its words.
"""

import logging
from typing import Annotated, Final, Literal

import orjson
from aiohttp import web
from pydantic import Field, StringConstraints

from daemons.api.http.callers import idempotency_key
from daemons.api.http.conditional import unless_known
from daemons.api.ports.deploy_operations import DeployOperations, Errand, Told
from daemons.kit.auth import CALLER
from daemons.kit.bodies import expected, query, read
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.drains import DrainDetail, DrainPage, DrainPreview, PreviewDrain, StartDrain
from protocol.jobs import JobPage, JobStatus, JobView, RetryJob
from protocol.names import AppId, UserId
from protocol.nodes import (
    DrainNode,
    DrainResult,
    NodeView,
    OfNode,
    PlacementPage,
    ReassignApp,
    RunnerView,
    ServiceHealth,
    SetNodeEnabled,
    SetRunnerDrained,
    UpsertNode,
)

logger = logging.getLogger(__name__)

_BASE: Final = "/api/fun-ai/admin/deploy-nodes"
_NODES: Final = "/admin/runtime-nodes"
#: As documented, in seconds; a drain is planned over all apps of a node.
_READING, _ORDERING, _PLANNING = 8.0, 15.0, 60.0
#: What the control plane's operators are refused.
_REFUSED: Final = (404, 409)
_KNOWN: Final = {304: "as it was"}
_Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:=-]{0,256}$")]
_Limit = Annotated[int, Field(ge=1)]


class _Placements(OfNode):
    offset: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    limit: _Limit = 200


class _Jobs(Wire):
    cursor: _Cursor = ""
    limit: _Limit = 50
    status: JobStatus | None = None
    app_id: AppId | None = None
    user_id: UserId | None = None


class _Drains(Wire):
    cursor: _Cursor | None = None
    limit: _Limit = 50


class _OfJob(Wire):
    job_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")]


class _OfDrain(Wire):
    drain_id: Annotated[int, Field(ge=1, le=10**18)]


class _Health(ServiceHealth):
    proxy_base_url: str


class DeployNodeRoutes:
    """`/api/fun-ai/admin/deploy-nodes`."""

    def __init__(self, plane: DeployOperations) -> None:
        self._plane = plane

    def table(self) -> list[web.RouteDef]:
        """For operators."""
        return [
            web.get(f"{_BASE}/health", self.health),
            web.get(f"{_BASE}/list", self.nodes),
            web.get(f"{_BASE}/placements", self.placements),
            web.post(f"{_BASE}/upsert", self.upsert),
            web.post(f"{_BASE}/set-enabled", self.set_enabled),
            web.post(f"{_BASE}/reassign", self.reassign),
            web.post(f"{_BASE}/drain", self.drain),
            web.get(f"{_BASE}/runners/list", self.runners),
            web.post(f"{_BASE}/runners/set-drained", self.set_drained),
            web.get(f"{_BASE}/jobs/list", self.jobs),
            web.post(f"{_BASE}/jobs/cancel", self.cancel_job),
            web.post(f"{_BASE}/jobs/retry", self.retry_job),
            web.get(f"{_BASE}/drains/list", self.drains),
            web.get(f"{_BASE}/drains/show", self.show_drain),
            web.post(f"{_BASE}/drains/preview", self.preview_drain),
            web.post(f"{_BASE}/drains/start", self.start_drain),
            web.post(f"{_BASE}/drains/pause", self.pause_drain),
            web.post(f"{_BASE}/drains/resume", self.resume_drain),
            web.post(f"{_BASE}/drains/undo", self.undo_drain),
            web.post(f"{_BASE}/drains/cancel", self.cancel_drain),
        ]

    @Answers(_Health, also=_KNOWN)
    async def health(self, request: web.Request) -> web.Response:
        """Whether the control plane lives, and where the API looks for it."""
        told = await self._plane.ask(Errand("GET", "/internal/health"))
        document = orjson.loads(told.document)
        if isinstance(document.get("data"), dict):
            document["data"]["proxyBaseUrl"] = self._plane.base_url
        return unless_known(request, _answer(Told(told.status, orjson.dumps(document), told.retry_after)))

    @Answers(list[NodeView], also=_KNOWN)
    async def nodes(self, request: web.Request) -> web.Response:
        """All nodes."""
        return await self._look(request, f"{_NODES}/list")

    @Answers(PlacementPage, refuses=(404,), also=_KNOWN)
    async def placements(self, request: web.Request) -> web.Response:
        """One page of a node's placements."""
        return await self._look(request, f"{_NODES}/placements", query(request, _Placements))

    @Answers(NodeView, refuses=_REFUSED)
    async def upsert(self, request: web.Request) -> web.Response:
        """Register or edit a node."""
        return await self._order(request, f"{_NODES}/upsert", body=await read(request, UpsertNode))

    @Answers(Literal["enabled", "disabled"], refuses=_REFUSED)
    async def set_enabled(self, request: web.Request) -> web.Response:
        """Let a node take deployments, or none."""
        return await self._order(request, f"{_NODES}/set-enabled", query(request, SetNodeEnabled))

    @Answers(Literal["ok"], refuses=_REFUSED)
    async def reassign(self, request: web.Request) -> web.Response:
        """Move one app's placement."""
        return await self._order(request, f"{_NODES}/reassign", body=await read(request, ReassignApp))

    @Answers(DrainResult, refuses=_REFUSED)
    async def drain(self, request: web.Request) -> web.Response:
        """Move placements from one node to another."""
        return await self._order(request, f"{_NODES}/drain", body=await read(request, DrainNode))

    @Answers(list[RunnerView], also=_KNOWN)
    async def runners(self, request: web.Request) -> web.Response:
        """All runners."""
        return await self._look(request, "/admin/runners/list")

    @Answers(RunnerView, refuses=_REFUSED)
    async def set_drained(self, request: web.Request) -> web.Response:
        """Let a runner take no more work, or take work again."""
        return await self._order(request, "/admin/runners/set-drained", query(request, SetRunnerDrained))

    @Answers(JobPage, also=_KNOWN)
    async def jobs(self, request: web.Request) -> web.Response:
        """One page of jobs, newest first."""
        return await self._look(request, "/deploy/jobs", query(request, _Jobs))

    @Answers(JobView, refuses=_REFUSED)
    async def cancel_job(self, request: web.Request) -> web.Response:
        """Cancel a job."""
        return await self._order(request, f"/deploy/jobs/{query(request, _OfJob).job_id}/cancel")

    @Answers(JobView, refuses=_REFUSED)
    async def retry_job(self, request: web.Request) -> web.Response:
        """A new job with the order of one that failed or was cancelled."""
        path = f"/deploy/jobs/{query(request, _OfJob).job_id}/retry"
        return await self._order(request, path, body=await read(request, RetryJob), key=idempotency_key(request))

    @Answers(DrainPage, also=_KNOWN)
    async def drains(self, request: web.Request) -> web.Response:
        """Plans that drain nodes, newest first."""
        return await self._look(request, "/admin/drains", query(request, _Drains))

    @Answers(DrainDetail, refuses=(404,), also=_KNOWN)
    async def show_drain(self, request: web.Request) -> web.Response:
        """One plan with its moves."""
        return await self._look(request, f"/admin/drains/{query(request, _OfDrain).drain_id}")

    @Answers(DrainPreview, refuses=_REFUSED)
    async def preview_drain(self, request: web.Request) -> web.Response:
        """What a drain would do now."""
        body = await read(request, PreviewDrain)
        return await self._order(request, "/admin/drains/preview", body=body, seconds=_PLANNING)

    @Answers(DrainDetail, refuses=_REFUSED)
    async def start_drain(self, request: web.Request) -> web.Response:
        """Cordon a node and move its apps away."""
        body = await read(request, StartDrain)
        return await self._order(request, "/admin/drains", body=body, seconds=_PLANNING)

    @Answers(DrainDetail, refuses=_REFUSED)
    async def pause_drain(self, request: web.Request) -> web.Response:
        """Start no further move."""
        return await self._order(request, f"/admin/drains/{query(request, _OfDrain).drain_id}/pause")

    @Answers(DrainDetail, refuses=_REFUSED)
    async def resume_drain(self, request: web.Request) -> web.Response:
        """Go on."""
        return await self._order(request, f"/admin/drains/{query(request, _OfDrain).drain_id}/resume")

    @Answers(DrainDetail, refuses=_REFUSED)
    async def undo_drain(self, request: web.Request) -> web.Response:
        """Bring everything back."""
        return await self._order(request, f"/admin/drains/{query(request, _OfDrain).drain_id}/undo")

    @Answers(DrainDetail, refuses=_REFUSED)
    async def cancel_drain(self, request: web.Request) -> web.Response:
        """Leave out what has not begun."""
        return await self._order(request, f"/admin/drains/{query(request, _OfDrain).drain_id}/cancel")

    async def _look(self, request: web.Request, path: str, asked: Wire | None = None) -> web.Response:
        told = await self._plane.ask(Errand("GET", path, _query(asked), seconds=_READING))
        return unless_known(request, _answer(told))

    async def _order(
        self,
        request: web.Request,
        path: str,
        asked: Wire | None = None,
        *,
        body: Wire | None = None,
        key: str | None = None,
        seconds: float = _ORDERING,
    ) -> web.Response:
        errand = Errand("POST", path, _query(asked), body, key, expected(request), seconds)
        # The control plane knows of the API alone; who of the operators it was is written down here.
        said = {"caller": request[CALLER], "order": path, "query": dict(errand.query)}
        what = {} if body is None else body.to_data()
        logger.info("an operator orders something of the control plane", extra={**said, "body": what})
        return _answer(await self._plane.ask(errand))


def _query(asked: Wire | None) -> dict[str, str | int | None]:
    return {} if asked is None else {name: _text(value) for name, value in asked.to_data().items()}


def _text(value: object) -> str | int | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | None) else str(value)


def _answer(told: Told) -> web.Response:
    response = web.Response(body=told.document, status=told.status, content_type="application/json")
    if told.retry_after is not None:
        response.headers["Retry-After"] = told.retry_after
    return response
