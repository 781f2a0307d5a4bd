"""What an operator may do, as a narrow port, and how a refusal is said in one sentence."""

from collections.abc import Mapping
from typing import Final, Protocol

from console.live.books import Histories, Pending, Plans
from console.live.plain import line
from console.live.words import later, t
from protocol.apps import AppCommand, AppStopped
from protocol.client.transport import ClientError, Refused, Unintelligible, Unreachable
from protocol.drains import DrainDetail, StartDrain
from protocol.errors import ErrorReason
from protocol.jobs import CreateJob, JobView, RetryJob
from protocol.nodes import NodeCollected, ReassignApp, RunnerView
from protocol.operations import OperationView
from protocol.releases import ReleaseView, RollbackApp, RollbackJob
from protocol.webhooks import DeliveryView


class Lookups(Pending, Plans, Histories, Protocol):
    """What is read before an action can be asked about; each raises ClientError."""


class Commands(Lookups, Protocol):
    """The mutating calls of the console, called by `console.live.actions.gate` alone; each raises ClientError. The
    deploy control plane's admin client fits it by shape."""

    async def create(self, order: CreateJob, *, idempotency_key: str | None = None) -> JobView:
        """A new job."""
        ...

    async def retry(
        self,
        job_id: str,
        order: RetryJob | None = None,
        *,
        idempotency_key: str | None = None,
        expected: str | None = None,
    ) -> JobView:
        """A new job with the order of an ended one."""
        ...

    async def cancel(self, job_id: str, *, expected: str | None = None) -> JobView:
        """Cancel a job."""
        ...

    async def set_enabled(self, name: str, *, enabled: bool, expected: str | None = None) -> str:
        """Cordon or uncordon a node."""
        ...

    async def collect(self, name: str, *, expected: str | None = None) -> NodeCollected:
        """Have a node remove what nobody needs."""
        ...

    async def start_drain(self, order: StartDrain, *, expected: str | None = None) -> DrainDetail:
        """Drain a node."""
        ...

    async def pause_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Start no further move."""
        ...

    async def resume_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Go on."""
        ...

    async def undo_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Move everything back."""
        ...

    async def cancel_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Leave out what has not begun."""
        ...

    async def set_drained(self, runner_id: str, *, drained: bool, expected: str | None = None) -> RunnerView:
        """Let a runner take no more work, or take work again."""
        ...

    async def reassign(self, order: ReassignApp, *, expected: str | None = None) -> str:
        """Move one placement."""
        ...

    async def stop_app(self, command: AppCommand, *, expected: str | None = None) -> AppStopped:
        """Stop an app."""
        ...

    async def rollback(
        self, app_id: str, order: RollbackApp, *, idempotency_key: str | None = None, expected: str | None = None
    ) -> RollbackJob:
        """Deploy an earlier release again."""
        ...

    async def pin_release(self, app_id: str, number: int, *, pinned: bool) -> ReleaseView:
        """Keep a release's image, or no longer."""
        ...

    async def retry_operation(self, number: int) -> OperationView:
        """Have an operation tried now."""
        ...

    async def abandon_operation(self, number: int) -> OperationView:
        """Give an operation up."""
        ...

    async def retry_webhook(self, number: int) -> DeliveryView:
        """Send a result again."""
        ...


_ADVICE: Final[Mapping[str, str]] = {
    ErrorReason.UNAUTHORIZED: later("check DEPLOY_ADMIN_TOKEN"),
    ErrorReason.FORBIDDEN: later("check DEPLOY_ADMIN_TOKEN and the control plane's allowed addresses"),
    ErrorReason.NOT_FOUND: later("look at the list again"),
    ErrorReason.ILLEGAL_TRANSITION: later("look at the job again: it has ended"),
    ErrorReason.CHANGED: later("look at it again"),
    ErrorReason.IDEMPOTENCY_MISMATCH: later("send it again as a new request"),
    ErrorReason.TOO_LATE: later("it is going live now; deploy the earlier version to undo it"),
    ErrorReason.INVALID_REQUEST: later("correct it and send it again"),
    ErrorReason.RATE_LIMITED: later("wait a moment and try again"),
    ErrorReason.UNAVAILABLE: later("try again in a moment"),
    ErrorReason.INTERNAL: later("see the control plane's log"),
}


def explain(error: ClientError, failed: str) -> str:
    """One sentence: what failed, why, and what to do. A refusal that already says what to do is left as it is."""
    why = line(str(error), 400).rstrip(".")
    match error:
        case Unreachable():
            todo = t("check that the platform runs")
        case Refused():
            todo = "" if ";" in why else t(_ADVICE.get(error.reason or _by_status(error.status), ""))
        case Unintelligible():
            todo = t("update the console and the control plane to the same version")
        case _:
            todo = ""
    if todo:
        return t("{failed}: {why}; {todo}.", failed=failed, why=why, todo=todo)
    return t("{failed}: {why}.", failed=failed, why=why)


def explain_change(error: ClientError, failed: str) -> str:
    """The same for a change: without an answer it may have happened all the same."""
    if not isinstance(error, Unreachable):
        return explain(error, failed)
    words = later("{failed}, as far as is known: {why}; look before you repeat it.")
    return t(words, failed=failed.removesuffix("."), why=line(str(error), 400))


def _by_status(status: int) -> str:
    known = {401: ErrorReason.UNAUTHORIZED, 403: ErrorReason.FORBIDDEN, 404: ErrorReason.NOT_FOUND}
    return known.get(status, ErrorReason.UNAVAILABLE if status == 503 else "")
