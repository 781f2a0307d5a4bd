"""Why an attempt's work ended without success, and how that is told to the person who has to mend it."""

import re
from collections.abc import Sequence
from typing import Final

from daemons.runner.domain.registries import PLAIN_ADVICE, lacks_tls
from protocol.errors import JobReason

LOG_LINES: Final = 30
_MOST_CHARACTERS: Final = 8_000
_MOST_OF_A_LINE: Final = 400
#: Escape sequences of terminals, then every other control character: a log line is text once it is in a message.
_CONTROL: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]"
)
_DISK_FULL: Final = ("no space left on device", "disk quota exceeded", "enospc", "out of diskspace")

_ADVICE: Final = {
    JobReason.CLONE_FAILED: (
        "Check the repository's address and the git reference, that the runner's key may read the repository, and that "
        "the git host's key is in the known-hosts file."
    ),
    JobReason.BUILD_FAILED: "Mend the Dockerfile or the step named above, commit, and deploy again.",
    JobReason.PUSH_FAILED: "Check that the registry answers and that the runner's account may push to it.",
    JobReason.DEPLOY_FAILED: (
        "Check that the app starts, listens on its container port and answers its health check; the node's agent log "
        "has the details."
    ),
    JobReason.DISK_FULL: (
        "Free disk space where that step ran, on the runner or on the node (docker system df shows what holds it), "
        "then deploy again."
    ),
    JobReason.INVALID_PAYLOAD: "Create the job again with what is missing.",
}


class WorkFailed(Exception):
    """A step did not succeed. The text says what failed and why, in one or two sentences."""

    def __init__(
        self, reason: JobReason, text: str, *, exit_code: int | None = None, advice: str | None = None
    ) -> None:
        super().__init__(text)
        self.reason = JobReason.DISK_FULL if disk_is_full(text) else reason
        self.text = text
        self.exit_code = exit_code
        self.advice = advice


def disk_is_full(text: str) -> bool:
    """Whether a tool's words say that the disk was full; git, engine and registry all pass on the C library's words."""
    lowered = text.lower()
    return any(words in lowered for words in _DISK_FULL)


def explain(failure: WorkFailed, log_tail: Sequence[str]) -> str:
    """The job's error message: what failed and why, what to do, the last log lines; at most 8,000 characters."""
    code = f" (exit code {failure.exit_code})" if failure.exit_code is not None else ""
    head = f"{plain(failure.text).strip()}{code}"
    advice = failure.advice or (PLAIN_ADVICE if lacks_tls(failure.text) else _ADVICE.get(failure.reason, ""))
    parts = [head[: _MOST_CHARACTERS // 2]]
    if advice:
        parts.append(f"What to do: {advice}")
    lines = [plain(line)[:_MOST_OF_A_LINE] for line in log_tail if plain(line).strip()][-LOG_LINES:]
    room = _MOST_CHARACTERS - sum(len(part) + 1 for part in parts) - 40
    while lines and sum(len(line) + 1 for line in lines) > room:
        lines.pop(0)
    if lines:
        parts.append(f"Last {len(lines)} log lines:")
        parts.extend(lines)
    return "\n".join(parts)


def plain(text: str) -> str:
    """The text without escape sequences and control characters other than tab and newline."""
    return _CONTROL.sub("", text)
