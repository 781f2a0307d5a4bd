"""Jobs, for the API and for operators."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from daemons.deploy.domain.listing import START, Place, Wanted, place_of
from daemons.deploy.domain.views import job_view
from daemons.deploy.http.requests import caller, job_id, orderer
from daemons.deploy.services.orders import Ordered, Orders
from daemons.deploy.services.queue import JobQueue
from daemons.deploy.services.reading import Reader
from daemons.kit.bodies import InvalidRequest, expected, number, query, read, reply
from daemons.kit.openapi import Answers
from protocol.base import Wire
from protocol.jobs import CreateJob, JobPage, JobStatus, JobView, RetryJob, TransitionJob
from protocol.names import AppId, UserId, is_git_host

_REPO_URL: Final = "payload.repoSshUrl"


class _Filter(Wire):
    app_id: AppId | None = None
    user_id: UserId | None = None


class JobRoutes:
    """`/deploy/jobs`."""

    def __init__(self, orders: Orders, queue: JobQueue, reader: Reader, git_hosts: Sequence[str] = ()) -> None:
        """`git_hosts` are those that jobs may clone from; none listed: any."""
        self._orders = orders
        self._queue = queue
        self._reader = reader
        self._git_hosts = git_hosts

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/deploy/jobs", self.create),
            web.get("/deploy/jobs", self.newest),
            web.get("/deploy/jobs/by-app", self.of_app),
            web.get("/deploy/jobs/{job_id}", self.get),
            web.post("/deploy/jobs/{job_id}/transition", self.transition),
            web.post("/deploy/jobs/{job_id}/cancel", self.cancel),
            web.post("/deploy/jobs/{job_id}/retry", self.retry),
        ]

    @Answers(JobView, refuses=(404, 409))
    async def create(self, request: web.Request) -> web.Response:
        """A new job."""
        order = await read(request, CreateJob)
        url = order.payload.repo_ssh_url
        if url is not None and self._git_hosts and not is_git_host(url, self._git_hosts):
            hosts = ", ".join(self._git_hosts)
            raise InvalidRequest(f"payload.repoSshUrl: must be on a git host of this platform: {hosts}", [_REPO_URL])
        return await self._ordered(await self._orders.create(order, orderer(request)))

    @Answers(JobView, refuses=(404, 409))
    async def retry(self, request: web.Request) -> web.Response:
        """A new job with the order of one that failed or was cancelled."""
        order = await read(request, RetryJob)
        seen = expected(request)
        return await self._ordered(await self._orders.retry(job_id(request), order, orderer(request), seen))

    @Answers(JobView, refuses=(404,))
    async def get(self, request: web.Request) -> web.Response:
        """One job."""
        return reply(await self._reader.view(await self._queue.get(job_id(request))))

    @Answers(JobPage | list[JobView])
    async def newest(self, request: web.Request) -> web.Response:
        """Newest created first: the list that existing clients know or, with `cursor`, a page of any list."""
        limit = number(request, "limit", default=50, low=1, high=200)
        if "cursor" in request.query:
            jobs, cursor = await self._queue.page(_place(request), limit, _wanted(request))
            return reply(JobPage(items=await self._reader.views(jobs), next_cursor=cursor))
        return reply(await self._reader.views(await self._queue.newest(limit)))

    @Answers(list[JobView])
    async def of_app(self, request: web.Request) -> web.Response:
        """One app's jobs; a blank id has none."""
        if "appId" not in request.query:
            raise InvalidRequest("appId: is required", ["appId"])
        limit = number(request, "limit", default=50, low=1, high=200)
        app_id = request.query["appId"].strip()
        return reply(await self._reader.views(await self._queue.of_app(app_id, limit) if app_id else ()))

    @Answers(JobView, refuses=(404, 409))
    async def transition(self, request: web.Request) -> web.Response:
        """Move a job by hand."""
        order = await read(request, TransitionJob)
        if order.to_status is JobStatus.RUNNING:
            raise InvalidRequest("toStatus: RUNNING is reached by a claim only", ["toStatus"])
        job = await self._queue.transition(job_id(request), order, caller(request), expected(request))
        return reply(job_view(job))

    @Answers(JobView, refuses=(404, 409))
    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a job."""
        return reply(job_view(await self._queue.cancel(job_id(request), caller(request), expected(request))))

    async def _ordered(self, ordered: Ordered) -> web.Response:
        return reply(await self._reader.view(ordered.job) if ordered.repeated else job_view(ordered.job))


def _place(request: web.Request) -> Place:
    cursor = request.query["cursor"]
    place = place_of(cursor) if cursor else START
    if place is None:
        raise InvalidRequest("cursor: must be empty or the nextCursor of the page before", ["cursor"])
    return place


def _wanted(request: web.Request) -> Wanted:
    asked, status = query(request, _Filter), request.query.get("status", "")
    if status and status not in set(map(str, JobStatus)):
        allowed = ", ".join(JobStatus)
        raise InvalidRequest(f"status: must be one of {allowed}", ["status"])
    return Wanted(status or None, asked.app_id, asked.user_id)
