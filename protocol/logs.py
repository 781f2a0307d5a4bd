"""Where a job's log stands, as those hear it who bring its bytes."""

from protocol.base import Wire


class LogPosition(Wire):
    """Where the log of a job's present attempt stands, in bytes; `complete` once the job ended and its log is as
    long as its runner said. `followed` when somebody reads the log as it grows, so that its lines are wanted at once;
    absent from control planes that do not tell."""

    length: int
    complete: bool = False
    followed: bool | None = None
