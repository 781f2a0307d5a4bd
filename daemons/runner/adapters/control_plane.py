"""The control plane over the typed client: which refusals end an attempt, and which only mean "later"."""

import secrets
from typing import Final, Self

from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import ControlPlaneDown, LeaseLost, LogGap, LogLater, LogRefused, Outcome, Uploaded
from protocol.client.runner import RunnerClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.errors import ErrorReason
from protocol.headers import RUNNER_TOKEN
from protocol.jobs import ClaimedJob, ClaimJob, JobPhase, JobStatus, RenewLease, ReportJob, StageReport
from protocol.logs import LogPosition
from protocol.nodes import RunnerHeartbeat, RunnerVitals
from protocol.returns import ReturnJob

#: No such job, or not ours, or ended: nothing that is tried again can change it.
_SETTLED: Final = (404, 409)
#: Of a path that is not there, or is there for other methods.
_UNKNOWN: Final = (404, 405)
_TRANSIENT: Final = (401, 403, 408, 429)


class ControlPlaneLine:
    """A connection of its own to the control plane."""

    def __init__(self, url: str, token: str) -> None:
        self._transport = Transport(url, {RUNNER_TOKEN: token})
        self.client = RunnerClient(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let it go."""
        await self._transport.close()


class HttpControlPlane:
    """What this runner asks of deploy; `lease_seconds` is requested with every claim."""

    def __init__(
        self,
        client: RunnerClient,
        *,
        runner_id: str,
        lease_seconds: int,
        slots: int,
        version: str,
        host: str,
        labels: tuple[str, ...] = (),
        instance: str | None = None,
    ) -> None:
        self._client = client
        self._runner_id = runner_id
        self._lease_seconds = lease_seconds
        self._slots = slots
        self._labels = labels
        self._unanswered: list[str] = []
        self._version = version
        self._host = host
        self._instance = instance

    async def claim(self, wait_seconds: float) -> ClaimedJob | None:
        """A job, or None.

        A claim is never parked for longer than half a lease: else a runner that stands still would be handed, through
        a claim it made before, the very job that it has just lost. One that was not answered is made again under the
        same token: the job that it may have got is not lost until its lease ends.
        """
        token = self._unanswered.pop() if self._unanswered else secrets.token_urlsafe(18)
        order = ClaimJob(
            runner_id=self._runner_id,
            lease_seconds=self._lease_seconds,
            wait_seconds=min(wait_seconds, self._lease_seconds / 2),
            slots=self._slots,
            version=self._version,
            host=self._host,
            labels=self._labels,
            claim_token=token,
            instance_id=self._instance,
        )
        try:
            return await self._client.claim(order)
        except ClientError as error:
            self._unanswered.append(token)
            raise ControlPlaneDown(str(error)) from error

    async def renew(
        self, attempt: Attempt, phase: JobPhase | None, wait_seconds: float, stages: tuple[StageReport, ...] = ()
    ) -> JobStatus:
        """Extend the lease."""
        order = RenewLease(
            runner_id=self._runner_id,
            lease_token=attempt.lease_token,
            extend_seconds=max(1, round(attempt.lease_seconds)),
            wait_seconds=wait_seconds,
            phase=phase.value if phase else None,
            stages=stages,
            instance_id=self._instance,
        )
        try:
            return (await self._client.renew(attempt.job_id, order)).status
        except ClientError as error:
            raise _settled_or_down(error) from error

    async def report(self, attempt: Attempt, outcome: Outcome) -> None:
        """End the attempt."""
        order = ReportJob(
            runner_id=self._runner_id,
            lease_token=attempt.lease_token,
            status=outcome.status,
            error_message=outcome.message,
            reason=outcome.reason,
            image=outcome.image,
            image_digest=outcome.image_digest,
            commit=outcome.commit,
            log_length=outcome.log_length,
            log_dropped=outcome.log_dropped,
            stages=outcome.stages,
            instance_id=self._instance,
        )
        try:
            await self._client.report(attempt.job_id, order)
        except ClientError as error:
            raise _settled_or_down(error) from error

    async def hand_back(self, attempt: Attempt, log_length: int, stages: tuple[StageReport, ...]) -> JobStatus:
        """Give the job back. A control plane that does not know the call answers 404, as for a job that is gone."""
        order = ReturnJob(
            runner_id=self._runner_id,
            lease_token=attempt.lease_token,
            log_length=log_length,
            stages=stages,
            instance_id=self._instance,
        )
        try:
            return (await self._client.hand_back(attempt.job_id, order)).status
        except ClientError as error:
            raise _settled_or_down(error) from error

    async def tell(self, vitals: RunnerVitals) -> bool:
        """How this runner is."""
        beat = RunnerHeartbeat(
            runner_id=self._runner_id,
            slots=self._slots,
            version=self._version,
            host=self._host,
            labels=self._labels,
            vitals=vitals,
        )
        try:
            await self._client.heartbeat(beat)
        except Refused as error:
            if error.status in _UNKNOWN:
                return False
            raise ControlPlaneDown(str(error)) from error
        except ClientError as error:
            raise ControlPlaneDown(str(error)) from error
        return True

    async def upload(
        self, attempt: Attempt, offset: int, data: bytes, *, last: bool = False, late: bool = False
    ) -> Uploaded:
        """Append to the log."""
        runner_id = attempt.runner_id or self._runner_id
        try:
            position = await self._client.upload_log(
                attempt.job_id,
                runner_id,
                attempt.lease_token,
                offset=offset,
                data=data,
                last=last,
                late=late,
                instance_id=self._instance,
            )
        except Refused as error:
            if error.reason == ErrorReason.LOG_LATER:
                raise LogLater(str(error)) from error
            if error.reason == ErrorReason.LOG_GAP and isinstance(error.data, LogPosition):
                raise LogGap(error.data.length) from error
            if error.status < 500 and error.status not in _TRANSIENT:
                raise LogRefused(str(error)) from error
            raise ControlPlaneDown(str(error)) from error
        except (ClientError, ValueError) as error:
            # ValueError: an answer without the contract's shape, for instance from a proxy in between.
            raise ControlPlaneDown(f"the log's upload was not answered as agreed: {type(error).__name__}") from error
        return Uploaded(position.length, position.followed)


def _settled_or_down(error: ClientError) -> Exception:
    if isinstance(error, Refused) and error.status in _SETTLED:
        return LeaseLost(str(error))
    return ControlPlaneDown(str(error))
