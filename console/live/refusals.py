"""How a call that did not succeed is said in one sentence: what failed, why, and what to do. Pure."""

from collections.abc import Mapping
from typing import Final

from console.live.plain import line
from console.live.words import later, t
from protocol.client.transport import ClientError, Refused, Unintelligible, Unreachable
from protocol.errors import ErrorReason

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
