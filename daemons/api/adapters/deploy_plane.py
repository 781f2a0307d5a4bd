"""The deploy control plane over HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from daemons.api import ports
from daemons.api.domain.access import number_of
from daemons.api.ports.deletions import PartLeft
from protocol.apps import AppCommand
from protocol.client.deploy import JobsClient
from protocol.client.transport import ClientError, Refused, Unintelligible
from protocol.errors import ErrorReason
from protocol.jobs import CreateJob, JobPayload, JobType, JobView, OnConflict, RetryJob
from protocol.operations import OperationState
from protocol.releases import ReleasePage, RollbackApp, RollbackJob
from protocol.running import AppLogQuery

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_PAGE: Final = 200
_BY_REASON: Final[Mapping[str, type[ports.PlaneRefused]]] = {
    ErrorReason.APP_BUSY: ports.AppBusy,
    ErrorReason.IDEMPOTENCY_MISMATCH: ports.KeyUsed,
    ErrorReason.TOO_LATE: ports.TooLate,
    ErrorReason.ILLEGAL_TRANSITION: ports.JobEnded,
    ErrorReason.NO_NODE: ports.NodeRefused,
    ErrorReason.NODE_DISABLED: ports.NodeRefused,
    ErrorReason.NODE_STALE: ports.NodeRefused,
    ErrorReason.NODE_FULL: ports.NodeRefused,
    ErrorReason.PEER_FAILED: ports.AgentFailed,
    ErrorReason.IMAGE_GONE: ports.ImageGone,
    ErrorReason.IMAGE_MUTABLE: ports.ImageGone,
    ErrorReason.RATE_LIMITED: ports.TooManyReaders,
}
_BY_STATUS: Final[Mapping[int, type[ports.PlaneRefused]]] = {
    400: ports.PlaneInvalid,
    404: ports.PlaneNotFound,
    413: ports.PlaneInvalid,
    422: ports.PlaneInvalid,
}
UNREACHABLE: Final = (
    "the deploy control plane cannot be asked now, try again in a minute; operators: check that it runs at the "
    "address in DEPLOY_PROXY_BASE_URL"
)
_CANNOT: Final = (
    "the deploy control plane cannot serve now, try again in a minute; operators: the log of this API has its words"
)
_MISTRUSTED: Final = (
    "the deploy control plane does not admit this API; operators: DEPLOY_PROXY_AUTH_SHARED_SECRET must be the same in "
    "both, and this address on its allowlist"
)


class HttpDeployPlane:
    """JobsClient in the words of the port."""

    def __init__(self, client: JobsClient) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def create(
        self, payload: JobPayload, idempotency_key: str | None, on_conflict: OnConflict = OnConflict.REJECT
    ) -> JobView:
        """Queue a deployment."""
        order = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload, on_conflict=on_conflict)
        async with self._asking():
            return await self._client.create(order, idempotency_key=idempotency_key)

    async def job(self, job_id: str) -> JobView:
        """One job."""
        async with self._asking():
            return await self._client.get(job_id)

    async def jobs_of(self, app_ids: Sequence[int], limit: int) -> Mapping[int, Sequence[JobView]]:
        """The newest jobs of each app; the apps are asked for a few at a time."""
        async with self._asking():
            try:
                async with asyncio.TaskGroup() as group:
                    asked = {app_id: group.create_task(self._of_app(app_id, limit)) for app_id in app_ids}
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None
            return {app_id: task.result() for app_id, task in asked.items()}

    async def retry(self, job_id: str, idempotency_key: str) -> JobView:
        """Queue the order of a job once more."""
        async with self._asking():
            return await self._client.retry(job_id, idempotency_key=idempotency_key)

    async def rebuild(self, job_id: str, git_ref: str, idempotency_key: str, on_conflict: OnConflict) -> JobView:
        """Queue the job's order for another commit."""
        order = RetryJob(git_ref=git_ref, on_conflict=on_conflict)
        async with self._asking():
            return await self._client.retry(job_id, order, idempotency_key=idempotency_key)

    async def rollback(self, user_id: int, app_id: int, release: int | None, idempotency_key: str) -> RollbackJob:
        """Queue an earlier release."""
        order = RollbackApp(user_id=str(user_id), release=release)
        async with self._asking():
            return await self._client.rollback(str(app_id), order, idempotency_key=idempotency_key)

    async def releases(self, app_id: int, cursor: str | None, limit: int) -> ReleasePage:
        """A page of what the app ran."""
        async with self._asking():
            return await self._client.releases(str(app_id), cursor=cursor, limit=limit)

    @asynccontextmanager
    async def job_log(self, job_id: str, offset: int, *, follow: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """A job's log."""
        async with self._asking(), self._client.log_bytes(job_id, offset=offset, follow=follow) as pieces:
            yield pieces

    @asynccontextmanager
    async def app_log(self, app_id: int, asked: AppLogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """What the app writes."""
        async with self._asking(), self._client.output_bytes(str(app_id), asked) as pieces:
            yield pieces

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job."""
        async with self._asking():
            return await self._client.cancel(job_id)

    async def stop(self, user_id: int, app_id: int) -> bool:
        """Have the app stopped on its node."""
        async with self._asking():
            return not (await self._client.stop_app(AppCommand(user_id=str(user_id), app_id=str(app_id)))).pending

    async def delete(self, user_id: int, app_id: int) -> None:
        """The control plane keeps the order once it has it; it is asked again to learn whether all was done."""
        async with self._asking():
            cleaned = await self._client.cleanup_app(AppCommand(user_id=str(user_id), app_id=str(app_id)))
        if cleaned.pending or cleaned.purge.get("skipped"):
            reason = cleaned.purge.get("reason") or cleaned.runtime.get("error") or "its node has yet to do it"
            raise PartLeft(str(reason))

    async def unfinished(self, user_id: int | None) -> Collection[int]:
        """Apps with an operation that is pending. Ids that are not of this API's kind are not its apps."""
        found, cursor = set[int](), None
        asked = None if user_id is None else str(user_id)
        async with self._asking():
            while True:
                page = await self._client.operations(
                    state=OperationState.PENDING, user_id=asked, cursor=cursor, limit=_PAGE
                )
                numbers = (number_of(each.app_id) for each in page.items)
                found |= {number for number in numbers if number is not None}
                cursor = page.next_cursor
                if cursor is None:
                    return found

    async def check(self) -> None:
        """Ask for its health."""
        async with self._asking():
            await self._client.health()

    async def _of_app(self, app_id: int, limit: int) -> Sequence[JobView]:
        async with self._turns:
            return await self._client.of_app(str(app_id), limit)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            yield
        except Refused as error:
            raise refusal(error) from error
        except Unintelligible as error:
            raise ports.PlaneUnreachable(
                f"the deploy control plane gave an answer of another contract: {error}"
            ) from error
        except ClientError as error:
            raise ports.PlaneUnreachable(UNREACHABLE) from error


def refusal(error: Refused) -> ports.PlaneError:
    """The control plane's no in the words of the ports."""
    if error.status in (401, 403):
        return ports.PlaneUnreachable(_MISTRUSTED)
    kind = _BY_REASON.get(error.reason or "") or _BY_STATUS.get(error.status)
    if kind is not None:
        return kind(str(error))
    if error.status >= 500 or error.status == 429:
        # Its own words may name its database.
        logger.warning("the control plane cannot serve", extra={"status": error.status, "error": str(error)})
        return ports.PlaneUnreachable(_CANNOT)
    return ports.PlaneRefused(str(error))
