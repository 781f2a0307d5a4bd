"""What the control plane answers about jobs, for whoever only looks: no other model than theirs has to be loaded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from pydantic import TypeAdapter

from protocol.base import LATE
from protocol.client.transport import Transport
from protocol.jobs import JobPage, JobStatus, JobView
from protocol.nodes import ServiceHealth

_JOBS: Final = TypeAdapter(tuple[JobView, ...], config=LATE)
_QUIET_BUILD_SECONDS: Final = 1800.0


class PlaneClient:
    """What every caller may ask; the transport holds its secret."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def health(self) -> ServiceHealth:
        """The daemon is alive."""
        return await self.transport.call("GET", "/internal/health", ServiceHealth)

    async def ready(self) -> ServiceHealth:
        """The daemon is ready; raises Refused 503 that names the failing checks."""
        return await self.transport.call("GET", "/internal/ready", ServiceHealth)


class JobReads(PlaneClient):
    """Jobs and their logs, for the API (deploy secret) and for operators (admin token): both open these routes."""

    async def get(self, job_id: str) -> JobView:
        """One job."""
        return await self.transport.call("GET", f"/deploy/jobs/{job_id}", JobView)

    async def newest(self, limit: int = 50) -> tuple[JobView, ...]:
        """Newest created first."""
        return await self.transport.call("GET", "/deploy/jobs", _JOBS, query={"limit": limit})

    async def page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        status: JobStatus | None = None,
        app_id: str | None = None,
        user_id: str | None = None,
    ) -> JobPage:
        """One page of a list of any length, newest created first; its `next_cursor` leads to the next one."""
        query: Mapping[str, str | int | None] = {
            "cursor": cursor or "",
            "limit": limit,
            "status": status.value if status else None,
            "appId": app_id,
            "userId": user_id,
        }
        return await self.transport.call("GET", "/deploy/jobs", JobPage, query=query)

    async def of_app(self, app_id: str, limit: int = 50) -> tuple[JobView, ...]:
        """The app's jobs, newest first."""
        query: Mapping[str, str | int | None] = {"appId": app_id, "limit": limit}
        return await self.transport.call("GET", "/deploy/jobs/by-app", _JOBS, query=query)

    async def log(self, job_id: str, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """The log's bytes from `offset`; with `follow`, until the job ended and all is read. Raises Refused 404
        `log_removed` when it is not kept any more."""
        async with self.log_bytes(job_id, offset=offset, follow=follow) as chunks:
            async for chunk in chunks:
                yield chunk

    @asynccontextmanager
    async def log_bytes(
        self, job_id: str, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The same for whoever passes it on: entering raises what the control plane refuses."""
        query: Mapping[str, str | int | None] = {"offset": offset, "follow": 1 if follow else 0}
        path = f"/deploy/jobs/{job_id}/log"
        async with self.transport.stream(path, query=query, silence_seconds=_QUIET_BUILD_SECONDS) as response:
            yield response.aiter_raw()
