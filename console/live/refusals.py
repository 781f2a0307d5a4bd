"""How a call that did not succeed is said in one sentence: what failed, why, and what to do. Pure."""

from collections.abc import Mapping
from typing import Final

from console.live.plain import line
from protocol.client.transport import ClientError, Refused, Unintelligible, Unreachable
from protocol.errors import ErrorReason

_ADVICE: Final[Mapping[str, str]] = {
    ErrorReason.UNAUTHORIZED: "check DEPLOY_ADMIN_TOKEN",
    ErrorReason.FORBIDDEN: "check DEPLOY_ADMIN_TOKEN and the control plane's allowed addresses",
    ErrorReason.NOT_FOUND: "look at the list again",
    ErrorReason.ILLEGAL_TRANSITION: "look at the job again: it has ended",
    ErrorReason.CHANGED: "look at it again",
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
