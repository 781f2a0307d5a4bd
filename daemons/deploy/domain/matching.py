"""Which of the waiting runners gets a job.

A job goes only to a runner that offers every label it requires and has a slot free. The runner that built the app last
still has the layers and packages of that build: it is preferred if it waits, and for a moment after the job became due
the job waits for it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemons.deploy.domain.line import Candidate
from daemons.deploy.domain.nodes import Runner, runner_health, runner_pause
from protocol.nodes import RunnerHealth


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A runner that waits for a job: `slots` is how many it carries out at once (None: it did not say), `key` what the
    same claim is known by when it is sent again, `instance` the runner's process."""

    runner_id: str
    lease_ms: int
    labels: frozenset[str] = frozenset()
    slots: int | None = None
    key: str | None = None
    address: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A job that a runner carries out; `claim_key` until the runner showed that it has the answer."""

    job_id: str
    runner_id: str
    claim_key: str | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The job waits until then (epoch ms) for the runner that built its app last."""

    until: int


def claim_key(runner_id: str, token: str) -> str:
    """What a claim with a token is known by."""
    return hashlib.sha256(f"{runner_id}\n{token}".encode()).hexdigest()


def match(
    job: Candidate, offers: Sequence[Offer], running: Mapping[str, int], reserved_until: int | None
) -> Offer | Reserved | None:
    """The runner that built the app last if it waits, else the first that may have the job; None when nobody may.

    `running` says how many jobs those runners hold of which it is known; `reserved_until` is what `warm_until` answers.
    """
    first: Offer | None = None
    for offer in offers:
        if not job.requires <= offer.labels or full(offer, running):
            continue
        if not job.builds or job.built_by is None or offer.runner_id == job.built_by:
            return offer
        first = first or offer
    return Reserved(reserved_until) if first is not None and reserved_until is not None else first


def full(offer: Offer, running: Mapping[str, int]) -> bool:
    """Whether the runner holds as many jobs as it carries out at once."""
    return offer.slots is not None and running.get(offer.runner_id, 0) >= offer.slots


def warm_until(job: Candidate, warm: Runner | None, stale_ms: int, warm_ms: int, now: int) -> int | None:
    """Until when (epoch ms) the job waits for `warm`, the runner that built its app last; None when it does not: there
    is nothing to build, the time is over, or that runner is gone or lacks a label. Nor when it was due only later than
    now: that is a clock that was set back, and the grace would last until the clock is there again."""
    if not job.builds or warm is None or not job.due_at <= now < job.due_at + warm_ms:
        return None
    if runner_health(warm, stale_ms, now) is not RunnerHealth.HEALTHY or not job.requires <= set(warm.labels or ()):
        return None
    if runner_pause(warm, stale_ms, now) is not None:
        return None
    return job.due_at + warm_ms
