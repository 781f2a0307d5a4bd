"""What can be asked of the control plane, and what must be answered when the database is as it was seen: pure, written
down from the architecture (section 4). It imports no decision of the control plane; its job is data here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.deploy.domain.jobs import Job
from protocol.jobs import JobStatus

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
SUCCEEDED, FAILED, CANCELLED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED
MAX_ATTEMPTS: Final = 3
MAX_RUNNING_MS: Final = 20_000
LONGEST_LEASE_MS: Final = 30_000
BACKOFF_MS: Final = (1_000, 20_000, 60_000)
KEPT_ENDED: Final = 10
KEPT_SUPERSEDED: Final = 150
DAY_MS: Final = 24 * 3600 * 1000
LOG_OPEN_MS: Final = 25_000
LABELS: Final = {"r2": frozenset({"large"})}
SLOTS: Final = {"r3": 1}


@dataclass(frozen=True, slots=True)
class Look:
    """What the database said after a commit, and its clock then."""

    now: int
    jobs: Mapping[str, Job]
    number: int = 0

    def of_app(self, app_id: str) -> Sequence[Job]:
        """The app's jobs."""
        return [job for job in self.jobs.values() if job.app_id == app_id]

    def active(self, app_id: str) -> Sequence[Job]:
        """The app's PENDING and RUNNING jobs."""
        return [job for job in self.jobs.values() if job.app_id == app_id and not job.status.terminal]


@dataclass(frozen=True, slots=True)
class Create:
    """An order; `mark` is in its payload. Requests with the same key and text have the same mark."""

    app_id: str
    mark: str
    key: str | None = None
    supersede: bool = False
    cancel_running: bool = False
    requires: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Retry:
    job_id: str
    supersede: bool = False
    cancel_running: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """`token` is the same when the claim is sent again."""

    runner_id: str
    lease_seconds: int
    wait_seconds: float
    token: str | None = None

    @property
    def labels(self) -> frozenset[str]:
        """What the runner offers."""
        return LABELS.get(self.runner_id, frozenset())

    @property
    def slots(self) -> int | None:
        """How many jobs the runner carries out at once."""
        return SLOTS.get(self.runner_id)


@dataclass(frozen=True, slots=True)
class Renew:
    job_id: str
    runner_id: str
    token: str | None
    seconds: int
    wait_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Report:
    job_id: str
    runner_id: str
    token: str | None
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Move:
    """A cancel, or a transition by hand."""

    job_id: str
    status: JobStatus


@dataclass(frozen=True, slots=True)
class Confirm:
    app_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Log:
    job_id: str
    runner_id: str
    token: str | None
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    app_id: str


@dataclass(frozen=True, slots=True)
class Purge:
    app_id: str


@dataclass(frozen=True, slots=True)
class Cleanup:
    app_id: str


Request = Create | Retry | Claim | Renew | Report | Move | Confirm | Log | Stop | Purge | Cleanup


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, in a word, and the job it is about; `token` and `fence` come with a claim."""

    word: str
    job_id: str | None = None
    app_id: str | None = None
    token: str | None = None
    fence: int | None = None


@dataclass(slots=True)
class Made:
    """What a keyed request made: known from the look with that `number` on."""

    mark: str
    job_id: str
    until: int
    number: int


@dataclass(slots=True)
class Facts:
    """What was asked and answered so far. Asked is enough: a request whose answer is lost may have had its effect."""

    asked: set[Request] = field(default_factory=set)
    claiming: set[str] = field(default_factory=set)
    #: Claims by their token, and the runners that sent one of them again.
    claims: set[str] = field(default_factory=set)
    repeating: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    fences: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    made: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[tuple[str, str], list[Made]] = field(default_factory=dict)
    limit_running: bool = False


def holds(job: Job, runner_id: str, token: str | None) -> bool:
    """Whether the lease is, or was when the job ended, the caller's."""
    return job.lease_token is not None and (job.runner_id, job.lease_token) == (runner_id, token)


def answers(request: Request, look: Look, now: int, facts: Facts) -> str | None:
    """The one right answer in a word, or None when several are."""
    match request:
        case Create():
            return _answer_to_create(request, look, now, facts)
        case Retry():
            return _answer_to_retry(request, look)
        case Confirm():
            return "holds" if _may_go_live(request, look, now) else "stale"
        case Log():
            return _answer_to_log(request, look, now)
        case Renew() | Report() | Move():
            return _answer_about_job(request, look)
        case Claim() | Stop() | Purge() | Cleanup():
            return None


def _answer_about_job(request: Renew | Report | Move, look: Look) -> str:
    if isinstance(request, Renew):
        return _answer_to_renew(request, look)
    if isinstance(request, Report):
        return _answer_to_report(request, look)
    return _answer_to_move(request, look)


def _answer_to_retry(request: Retry, look: Look) -> str:
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    if job.status not in (FAILED, CANCELLED):
        return "not retryable"
    return "busy" if look.active(job.app_id) and not request.supersede else "made"


def _answer_to_create(request: Create, look: Look, now: int, facts: Facts) -> str:
    uses = facts.keys.get((request.app_id, request.key), ()) if request.key else ()
    made = next((use for use in reversed(uses) if use.number <= look.number), None)
    if made is not None and made.until > now:
        if made.mark != request.mark:
            return "mismatch"
        return f"made {made.job_id}" if made.job_id in look.jobs else "forgotten"
    return "busy" if look.active(request.app_id) and not request.supersede else "made"


def _answer_to_renew(request: Renew, look: Look) -> str:
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    if not holds(job, request.runner_id, request.token):
        return "lease lost"
    ended_here = job.status is CANCELLED or job.reason == "timeout"
    return job.status.value if job.status is RUNNING or ended_here else "lease lost"


def parked_answer(request: Renew, look: Look) -> str | None:
    """What one who was parked with a live lease may be told now: how the job stands."""
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    return job.status.value if holds(job, request.runner_id, request.token) else "lease lost"


def _answer_to_report(request: Report, look: Look) -> str:
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    if not holds(job, request.runner_id, request.token):
        return "lease lost"
    return request.status.value if job.status in (RUNNING, request.status) else "illegal"


def _answer_to_move(request: Move, look: Look) -> str:
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    if job.status is request.status:
        return job.status.value
    if request.status is CANCELLED and not job.status.terminal:
        return "too late" if job.status is RUNNING and job.confirmed_at is not None else "CANCELLED"
    return request.status.value if job.status is RUNNING and request.status.terminal else "illegal"


def _answer_to_log(request: Log, look: Look, now: int) -> str:
    job = look.jobs.get(request.job_id)
    if job is None:
        return "not found"
    if not holds(job, request.runner_id, request.token):
        return "lease lost"
    start = job.payload.get("logStart", 0)
    length = job.log_length - (start if isinstance(start, int) else 0)
    if request.offset > length:
        return "gap"
    written_down = job.log_gaps > 0 and job.log_expected == job.log_length
    closed = job.status.terminal and (written_down or now - (job.finished_at or 0) >= LOG_OPEN_MS)
    return "log closed" if closed and request.offset + len(request.data) > length else "logged"


def _may_go_live(request: Confirm, look: Look, now: int) -> bool:
    return any(
        job.status is RUNNING and job.fence == request.fence and (job.lease_expire_at or 0) > now
        for job in look.active(request.app_id)
    )
