"""Runtime nodes, runners, jobs and drains of the deploy control plane, for operators: section B.7 of the contract, and
what its page needs besides.

Each call is checked here, asked of the control plane with the API's own proof, and answered in its words.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from aiohttp import web
from pydantic import Field, StringConstraints

from daemons.api.http.callers import idempotency_key
from daemons.api.http.conditional import unless_known
from daemons.api.ports.deploy_operations import DeployOperations, Errand, Told
from daemons.kit.bodies import expected, query, read
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.drains import DrainDetail, DrainPage, DrainPreview, PreviewDrain, StartDrain
from protocol.jobs import JobPage, JobStatus, JobView, RetryJob
from protocol.names import AppId, NodeName, RunnerId, UserId
from protocol.nodes import (
    DrainNode,
    DrainResult,
    NodeNumber,
    NodeView,
    PlacementPage,
    ReassignApp,
    RunnerView,
    UpsertNode,
)

_BASE: Final = "/api/fun-ai/admin/deploy-nodes"
#: As documented, in seconds; a drain is planned over all apps of a node.
_READING, _ORDERING, _PLANNING = 8.0, 15.0, 60.0
_Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:=-]{0,256}$")]
_Limit = Annotated[int, Field(ge=1)]


#: What the control plane refuses, or that it does not answer.
_REFUSED: Final = (404, 409, 502)


class _Nothing(Wire):
    pass


class _SetEnabled(Wire):
    name: NodeName
    enabled: bool


class _SetDrained(Wire):
    runner_id: RunnerId
    drained: bool


class _Placements(Wire):
    node_id: NodeNumber
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


@dataclass(frozen=True, slots=True)
class _Way:
    """A route of ours and the control plane's; `{}` there is the first field of `asked`, and not in the query."""

    method: str
    path: str
    there: str
    data: object
    asked: type[Wire] = _Nothing
    body: type[Wire] | None = None
    seconds: float | None = None


_NODES, _DRAINS, _JOBS = "/admin/runtime-nodes", "/admin/drains", "/deploy/jobs"
_WAYS: Final = (
    _Way("GET", "/list", f"{_NODES}/list", list[NodeView]),
    _Way("GET", "/placements", f"{_NODES}/placements", PlacementPage, _Placements),
    _Way("POST", "/upsert", f"{_NODES}/upsert", NodeView, body=UpsertNode),
    _Way("POST", "/set-enabled", f"{_NODES}/set-enabled", Literal["enabled", "disabled"], _SetEnabled),
    _Way("POST", "/reassign", f"{_NODES}/reassign", Literal["ok"], body=ReassignApp),
    _Way("POST", "/drain", f"{_NODES}/drain", DrainResult, body=DrainNode),
    _Way("GET", "/runners/list", "/admin/runners/list", list[RunnerView]),
    _Way("POST", "/runners/set-drained", "/admin/runners/set-drained", RunnerView, _SetDrained),
    _Way("GET", "/jobs/list", _JOBS, JobPage, _Jobs),
    _Way("POST", "/jobs/cancel", f"{_JOBS}/{{}}/cancel", JobView, _OfJob),
    _Way("POST", "/jobs/retry", f"{_JOBS}/{{}}/retry", JobView, _OfJob, RetryJob),
    _Way("GET", "/drains/list", _DRAINS, DrainPage, _Drains),
    _Way("GET", "/drains/show", f"{_DRAINS}/{{}}", DrainDetail, _OfDrain),
    _Way("POST", "/drains/preview", f"{_DRAINS}/preview", DrainPreview, body=PreviewDrain, seconds=_PLANNING),
    _Way("POST", "/drains/start", _DRAINS, DrainDetail, body=StartDrain, seconds=_PLANNING),
    *(
        _Way("POST", f"/drains/{turn}", f"{_DRAINS}/{{}}/{turn}", DrainDetail, _OfDrain)
        for turn in ("pause", "resume", "undo")
    ),
    _Way("POST", "/drains/cancel", f"{_DRAINS}/{{}}/cancel", DrainDetail, _OfDrain),
)


class DeployNodeRoutes:
    """`/api/fun-ai/admin/deploy-nodes`."""

    def __init__(self, plane: DeployOperations) -> None:
        self._plane = plane

    def table(self) -> list[web.RouteDef]:
        """For operators."""
        health = web.get(f"{_BASE}/health", self.health)
        return [health, *(web.route(way.method, f"{_BASE}{way.path}", _Asking(self._plane, way).ask) for way in _WAYS)]

    @Answers(dict[str, Any], also={304: "as it was"}, refuses=(502,))
    async def health(self, request: web.Request) -> web.Response:
        """Whether the control plane lives, and where the API looks for it."""
        told = await self._plane.ask(Errand("GET", "/internal/health"))
        document = orjson.loads(told.document)
        if isinstance(document.get("data"), dict):
            document["data"]["proxyBaseUrl"] = self._plane.base_url
        return _answer(request, Told(told.status, orjson.dumps(document), told.retry_after))


class _Asking:
    """The handler of one way; `answers` says what it answers."""

    def __init__(self, plane: DeployOperations, way: _Way) -> None:
        self._plane = plane
        self._way = way
        known = {304: "as it was"} if way.method == "GET" else {}
        self.answers = Answers(way.data, also=known, query=(way.asked,), body=way.body, refuses=_REFUSED)

    async def ask(self, request: web.Request) -> web.Response:
        """Check, ask, hand on."""
        way, asked = self._way, query(request, self._way.asked).to_data()
        path = way.there.format(asked.pop(next(iter(asked)))) if "{}" in way.there else way.there
        errand = Errand(
            way.method,
            path,
            {name: _text(value) for name, value in asked.items()},
            await read(request, way.body) if way.body else None,
            idempotency_key(request),
            expected(request),
            way.seconds or (_READING if way.method == "GET" else _ORDERING),
        )
        return _answer(request, await self._plane.ask(errand))


def _text(value: object) -> str | int | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | None) else str(value)


def _answer(request: web.Request, told: Told) -> web.Response:
    response = web.Response(body=told.document, status=told.status, content_type="application/json")
    if told.retry_after is not None:
        response.headers["Retry-After"] = told.retry_after
    return unless_known(request, response) if request.method in ("GET", "HEAD") else response
