"""What an operator may do, as a narrow port, and how a refusal is said in one sentence."""

from collections.abc import Mapping
from typing import Final, Protocol

from console.live.plain import line
from protocol.client.transport import ClientError, Refused, Unintelligible, Unreachable
from protocol.errors import ErrorReason
from protocol.jobs import CreateJob, JobView


class Commands(Protocol):
    """The mutating calls of the console; the deploy control plane's admin client fits it by shape."""

    async def create(self, order: CreateJob, *, idempotency_key: str | None = None) -> JobView:
        """Raises ClientError."""
        ...

    async def cancel(self, job_id: str) -> JobView:
        """Raises ClientError."""
        ...

    async def set_enabled(self, name: str, *, enabled: bool) -> str:
        """Raises ClientError."""
        ...


_ADVICE: Final[Mapping[str, str]] = {
    ErrorReason.UNAUTHORIZED: "check DEPLOY_ADMIN_TOKEN",
    ErrorReason.FORBIDDEN: "check DEPLOY_ADMIN_TOKEN and the control plane's allowed addresses",
    ErrorReason.NOT_FOUND: "look at the list again",
    ErrorReason.ILLEGAL_TRANSITION: "look at the job again: it has ended",
    ErrorReason.IDEMPOTENCY_MISMATCH: "send it again as a new request",
    ErrorReason.TOO_LATE: "it is going live now; deploy the earlier version to undo it",
    ErrorReason.INVALID_REQUEST: "correct it and send it again",
    ErrorReason.RATE_LIMITED: "wait a moment and try again",
    ErrorReason.UNAVAILABLE: "try again in a moment",
    ErrorReason.INTERNAL: "see the control plane's log",
}


def explain(error: ClientError, failed: str) -> str:
    """One sentence: what failed, why, and what to do. A refusal that already says what to do is left as it is."""
    why = line(str(error), 400).rstrip(".")
    match error:
        case Unreachable():
            todo = "check that the platform runs"
        case Refused():
            todo = "" if ";" in why else _ADVICE.get(error.reason or _by_status(error.status), "")
        case Unintelligible():
            todo = "update the console and the control plane to the same version"
        case _:
            todo = ""
    return f"{failed}: {why}; {todo}." if todo else f"{failed}: {why}."


def explain_change(error: ClientError, failed: str) -> str:
    """The same for a change: without an answer it may have happened all the same."""
    if not isinstance(error, Unreachable):
        return explain(error, failed)
    return f"{failed.removesuffix('.')}, as far as is known: {line(str(error), 400)}; look before you repeat it."


def _by_status(status: int) -> str:
    known = {401: ErrorReason.UNAUTHORIZED, 403: ErrorReason.FORBIDDEN, 404: ErrorReason.NOT_FOUND}
    return known.get(status, ErrorReason.UNAVAILABLE if status == 503 else "")
