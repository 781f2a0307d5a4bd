"""The client of the deploy control plane that runners have: claims, leases, reports and logs."""

from collections.abc import Mapping
from typing import Final

import httpx
from pydantic import TypeAdapter

from protocol import headers
from protocol.base import LATE, Wire
from protocol.client.jobs import PlaneClient
from protocol.client.transport import Refused
from protocol.jobs import ClaimedJob, ClaimJob, JobView, RenewLease, ReportJob
from protocol.logs import LogPosition
from protocol.nodes import RunnerHeartbeat
from protocol.returns import ReturnJob

_CLAIM: Final[TypeAdapter[ClaimedJob | None]] = TypeAdapter(ClaimedJob | None, config=LATE)
_PARKED_MARGIN_SECONDS: Final = 10.0


class RunnerClient(PlaneClient):
    """What runners call."""

    async def claim(self, order: ClaimJob) -> ClaimedJob | None:
        """A job, or None after `waitSeconds` without one."""
        seconds = order.wait_seconds + _PARKED_MARGIN_SECONDS
        return await self.transport.call("POST", "/deploy/jobs/claim", _CLAIM, body=order, seconds=seconds)

    async def renew(self, job_id: str, order: RenewLease) -> JobView:
        """Extend the lease; the answer's status says whether to go on. Raises Refused 409 `lease_lost`."""
        seconds = order.wait_seconds + _PARKED_MARGIN_SECONDS
        return await self.transport.call(
            "POST", f"/deploy/jobs/{job_id}/heartbeat", JobView, body=order, seconds=seconds
        )

    async def report(self, job_id: str, order: ReportJob) -> JobView:
        """End the attempt. Repeating the same report is answered with the stored job."""
        return await self.transport.call("POST", f"/deploy/jobs/{job_id}/report", JobView, body=order)

    async def hand_back(self, job_id: str, order: ReturnJob) -> JobView:
        """End the attempt without an outcome: another runner may have the job at once. Repeating it is answered with
        the stored job. Raises Refused 404 from control planes that do not know the call."""
        return await self.transport.call("POST", f"/deploy/jobs/{job_id}/return", JobView, body=order)

    async def heartbeat(self, order: RunnerHeartbeat) -> None:
        """Tell how the runner is. Raises Refused 404 from control planes that do not know the call."""
        await self.transport.call("POST", "/deploy/runners/heartbeat", type(None), body=order)

    async def upload_log(
        self,
        job_id: str,
        runner_id: str,
        lease_token: str | None,
        *,
        offset: int,
        data: bytes,
        last: bool = False,
        late: bool = False,
        instance_id: str | None = None,
    ) -> LogPosition:
        """Append bytes at `offset`; `last` from a runner that was stopped before it could report: this is all. `late`
        for an attempt that the runner works on no more. Raises Refused 409 `log_gap` whose data says the length the
        server has, `log_later` when another attempt is writing, or `log_closed`."""
        path = f"/deploy/jobs/{job_id}/log"
        query: Mapping[str, str | int | None] = {
            "offset": offset,
            "runnerId": runner_id,
            "instanceId": instance_id,
            "last": 1 if last else None,
            "late": 1 if late else None,
        }
        proof = {headers.LEASE_TOKEN: lease_token} if lease_token else {}
        kind = {"Content-Type": "application/octet-stream"}
        response = await self.transport.send("PUT", path, content=data, query=query, headers=proof | kind)
        return _position(response)


class _PositionAnswer(Wire):
    code: int
    message: str
    reason: str | None = None
    data: LogPosition | None = None


def _position(response: httpx.Response) -> LogPosition:
    answer = _PositionAnswer.model_validate_json(response.content)
    if not response.is_success or answer.data is None:
        raise Refused(response.status_code, answer.message, answer.reason, answer.data)
    return answer.data
