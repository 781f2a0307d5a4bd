"""Deliveries of job results to the webhook: what is sent, when it is tried again, when it is given up. Times are epoch
milliseconds."""

from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.domain.views import job_view, when
from protocol.webhooks import DeliveryState, DeliveryView, JobEnded

FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 15 * 60 * 1000
GIVE_UP_MS: Final = 24 * 3600 * 1000
_DOUBLINGS: Final = 10
_LONGEST_MESSAGE: Final = 500


class DeliveryNotFound(LookupError):
    """There is no such delivery."""

    def __init__(self, which: int | str) -> None:
        super().__init__(f"there is no delivery {which}")


class DeliveryMade(Exception):
    """The receiver has the delivery: there is nothing to send again."""

    def __init__(self, delivery: "Delivery") -> None:
        super().__init__(f"delivery {delivery.id} was made already; its receiver has it")


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A result to deliver; `key` is what receivers know it by, `body` the JSON that is signed and sent, `at` when the
    job ended."""

    key: str
    event: str
    app_id: str
    job_id: str
    body: str
    at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stored delivery. `not_before` None: it waits behind an earlier one of its app. `since` is when its 24 hours
    began. `version` guards every write."""

    id: int
    key: str
    event: str
    app_id: str
    job_id: str
    body: str
    state: DeliveryState
    not_before: int | None
    since: int
    created_at: int
    updated_at: int
    attempts: int = 0
    status: int | None = None
    message: str | None = None
    finished_at: int | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: the answer's HTTP status, or None and why there was no answer."""

    status: int | None
    problem: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status <= 299


def ended(job: Job, node: RuntimeNode | None) -> NewDelivery:
    """The delivery of a job that ended; `node` is the one its app lives on. A job ends once, so its id names it."""
    key, event = f"{job.id}:ended", f"job.{job.status.value.lower()}"
    at = job.finished_at if job.finished_at is not None else job.updated_at
    body = JobEnded(id=key, event=event, at=when(at), job=job_view(job, node))
    return NewDelivery(key, event, job.app_id, job.id, body.to_json().decode(), at)


def settle(delivery: Delivery, answer: Answer, jitter: float, now: int) -> Delivery:
    """The delivery after an attempt: made, to be tried again, or given up after 24 hours."""
    after = replace(
        delivery,
        attempts=delivery.attempts + 1,
        status=answer.status,
        message=None if answer.taken else _words(answer),
        updated_at=now,
    )
    if answer.taken:
        return replace(after, state=DeliveryState.DELIVERED, finished_at=now)
    if now - delivery.since >= GIVE_UP_MS:
        return replace(after, state=DeliveryState.FAILED, finished_at=now)
    return replace(after, not_before=now + pause_ms(after.attempts, jitter))


def again(delivery: Delivery, now: int) -> Delivery:
    """To be sent now on an operator's word, with 24 hours to go. Raises DeliveryMade."""
    if delivery.state is DeliveryState.DELIVERED:
        raise DeliveryMade(delivery)
    pending = DeliveryState.PENDING
    return replace(delivery, state=pending, not_before=now, since=now, attempts=0, finished_at=None, updated_at=now)


def pause_ms(attempts: int, jitter: float) -> int:
    """How long to wait after so many attempts: from one second, doubled each time, to fifteen minutes, give or take a
    quarter by `jitter` (0 to 1)."""
    whole = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(max(attempts, 1) - 1, _DOUBLINGS))
    return max(FIRST_PAUSE_MS, min(LONGEST_PAUSE_MS, int(whole * (0.75 + jitter / 2))))


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A delivery as operators see it."""
    due = delivery.not_before if delivery.state is DeliveryState.PENDING else None
    return DeliveryView(
        id=delivery.id,
        delivery_id=delivery.key,
        event=delivery.event,
        app_id=delivery.app_id,
        job_id=delivery.job_id,
        state=delivery.state,
        attempts=delivery.attempts,
        status=delivery.status,
        message=delivery.message,
        next_attempt_at=None if due is None else when(due),
        created_at=when(delivery.created_at),
        updated_at=when(delivery.updated_at),
        finished_at=None if delivery.finished_at is None else when(delivery.finished_at),
    )


def _words(answer: Answer) -> str:
    """Never anything of an answer but its status: a receiver's body may hold secrets."""
    words = answer.problem if answer.status is None else f"the receiver answered HTTP {answer.status}"
    return (words or "no answer")[:_LONGEST_MESSAGE]
