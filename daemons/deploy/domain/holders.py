"""Who held a job: the process that holds it now, and the runners that handed it back because they were stopped.

A runner's id is a name that operators give; two processes may be started under one. What holds a job is one process,
known by an id of its own.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Holders:
    """`instance` is the process that holds the job, where its runner tells one. So many times the job was handed back,
    the last time by that runner; `returned_key` is what that lease is known by."""

    instance: str | None = None
    returns: int = 0
    returned_by: str | None = None
    returned_key: str | None = None

    def held_by(self, instance: str | None) -> "Holders":
        """With the process that holds the job from now on; None when nobody does."""
        return replace(self, instance=instance)

    def returned(self, runner_id: str, key: str) -> "Holders":
        """With one more return, of the lease with that key."""
        return Holders(None, self.returns + 1, runner_id, key)


#: Of a job that nobody held yet.
NOBODY: Final = Holders()


def lease_key(runner_id: str, instance: str | None, token: str | None) -> str:
    """What a lease is known by when it is over; the token itself is not kept."""
    return hashlib.sha256(
        f"{runner_id}\n{instance or ''}\n{token or ''}".encode("utf-8", "surrogateescape")
    ).hexdigest()
