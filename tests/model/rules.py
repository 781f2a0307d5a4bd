"""Which changes are allowed from one commit to the next, and to whom: the rules of jobs once more, written down from
the architecture (section 4). Pure; it imports no decision of the control plane."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from daemons.deploy.domain.jobs import Job
from protocol.jobs import JobStatus
from tests.model.requests import (
    BACKOFF_MS,
    CANCELLED,
    DAY_MS,
    FAILED,
    KEPT_ENDED,
    KEPT_SUPERSEDED,
    LABELS,
    LONGEST_LEASE_MS,
    MAX_ATTEMPTS,
    MAX_RUNNING_MS,
    PENDING,
    RUNNING,
    SLOTS,
    SUCCEEDED,
    Claim,
    Cleanup,
    Confirm,
    Create,
    Facts,
    Look,
    Made,
    Move,
    Purge,
    Renew,
    Report,
    Request,
    Retry,
)

_ONLY_ON_A_LEASE = ("lease_token", "lease_expire_at", "runner_id", "fence", "started_at", "confirmed_at")
#: What a job says of its log changes beside its life, without raising the version.
_OF_LOG = {"log_length", "log_expected", "log_gaps", "log_removed", "log_removed_at", "log_followed_until"}


class Violation(AssertionError):
    """A rule was broken."""


def check_change(before: Look, after: Look, facts: Facts) -> None:
    """One commit. Raises Violation."""
    for job in after.jobs.values():
        was = before.jobs.get(job.id)
        if was is None:
            _check_new(job, before, after, facts)
        elif was is not job and was != job:
            check_step(was, job, after, facts)
    for gone in before.jobs.keys() - after.jobs.keys():
        _check_gone(before.jobs[gone], after, facts)
    check_state(after)


def check_state(look: Look) -> None:
    """What holds at any moment. Raises Violation."""
    seen: set[tuple[str, JobStatus]] = set()
    held: Counter[str] = Counter()
    for job in look.jobs.values():
        if job.status.terminal:
            _require(job.finished_at is not None, "an ended job says when it ended", job)
            continue
        _require((job.app_id, job.status) not in seen, f"one {job.status} job per app", job)
        seen.add((job.app_id, job.status))
        if job.status is RUNNING:
            held[job.runner_id or ""] += 1
            _require(held[job.runner_id or ""] <= SLOTS.get(job.runner_id or "", 99), "a runner has its slots", job)
            has = all(getattr(job, name) is not None for name in _ONLY_ON_A_LEASE[:5])
            _require(has and job.attempt >= 1, "RUNNING has a lease", job)
        else:
            has = any(getattr(job, name) is not None for name in _ONLY_ON_A_LEASE)
            _require(not has, "PENDING has no lease", job)


def check_step(was: Job, job: Job, look: Look, facts: Facts) -> None:
    """One job's change within one commit. Raises Violation."""
    same = ("id", "type", "app_id", "user_id", "created_at", "retry_of")
    _require(all(getattr(was, name) == getattr(job, name) for name in same), "what a job is never changes", was, job)
    changed = {name for name in Job.__slots__ if getattr(was, name) != getattr(job, name)} - _OF_LOG
    _require(job.version > was.version or not changed, "every write but the log's raises the version", was, job)
    _require(job.log_length >= was.log_length, "a log only grows", was, job)
    if was.status.terminal:
        _require(not changed, "terminal states never change", was, job)
        return
    check = _STEPS.get((was.status, job.status))
    if check is None:
        raise Violation(f"no such step: {was} -> {job}")
    check(was, job, look, facts)


def _check_new(job: Job, before: Look, after: Look, facts: Facts) -> None:
    _require(job.status is PENDING and job.attempt == 0, "a new job is PENDING", job)
    _require(job.not_before <= after.now, "a new job may start at once", job)
    older = before.of_app(job.app_id)
    _require(all(job.created_at > each.created_at for each in older), "the newest is told by its time", job)
    request = _request_of(job, facts)
    _require(request is not None, "nobody asked for this job", job)
    if request is not None and not request.supersede:
        _require(not before.active(job.app_id), "one active job under reject", job)
    if isinstance(request, Create):
        _note_made(job, request, after, facts)


def _note_made(job: Job, request: Create, look: Look, facts: Facts) -> None:
    made = facts.made.setdefault(request.mark, [])
    uses = facts.keys.setdefault((request.app_id, request.key), []) if request.key else []
    again = bool(uses) and (uses[-1].until <= look.now or _forgets(job.app_id, facts))
    _require(not made or again, "one request makes one job", job)
    made.append(job.id)
    uses.append(Made(request.mark, job.id, look.now + DAY_MS, look.number))


def _forgets(app_id: str, facts: Facts) -> bool:
    return Purge(app_id) in facts.asked or Cleanup(app_id) in facts.asked


def _request_of(job: Job, facts: Facts) -> Create | Retry | None:
    found: Create | Retry | None = None
    for request in facts.asked:
        if isinstance(request, Create | Retry) and _is_from(job, request):
            found = request
            if request.supersede:
                break
    return found


def _is_from(job: Job, request: Create | Retry) -> bool:
    if isinstance(request, Retry):
        return request.job_id == job.retry_of
    return job.retry_of is None and request.mark == job.payload.get("gitRef")


def _check_claim(was: Job, job: Job, look: Look, facts: Facts) -> None:
    lease = (job.lease_expire_at or 0) - look.now
    _require(was.not_before <= look.now, "no claim before the back-off is over", was, job)
    _require(job.attempt == was.attempt + 1, "a claim is one attempt", was, job)
    _require((job.fence or 0) > facts.fences.get(job.app_id, 0), "fences only rise", was, job)
    _require(job.lease_token not in facts.tokens, "every lease has a token of its own", was, job)
    _require(job.runner_id in facts.claiming, "jobs go to runners that asked", was, job)
    _require(set(job.requires) <= LABELS.get(job.runner_id or "", set()), "a runner offers what a job requires", job)
    _require(0 < lease <= LONGEST_LEASE_MS, "a lease is as long as was asked for", was, job)
    _require(job.confirmed_at is None and job.started_at == look.now, "an attempt begins anew", was, job)
    facts.tokens.add(job.lease_token or "")
    facts.fences[job.app_id] = job.fence or 0


def _check_held(was: Job, job: Job, look: Look, facts: Facts) -> None:
    same = ("attempt", "fence", "lease_token", "runner_id", "started_at", "superseded_by")
    _require(all(getattr(was, name) == getattr(job, name) for name in same), "one live lease per job", was, job)
    _require(was.confirmed_at in (None, job.confirmed_at), "going live is not taken back", was, job)
    if was.confirmed_at != job.confirmed_at:
        _require(Confirm(was.app_id, was.fence or 0) in facts.asked, "who goes live has asked", was, job)
        _require((was.lease_expire_at or 0) > look.now, "nobody goes live on an expired lease", was, job)
    if was.lease_expire_at != job.lease_expire_at:
        asked = any(_extends(each, was) for each in facts.asked)
        _require(asked, "only its holder renews a lease", was, job)
        _require((job.lease_expire_at or 0) - look.now <= LONGEST_LEASE_MS, "a renewed lease is bounded", was, job)


def _check_requeued(was: Job, job: Job, look: Look, facts: Facts) -> None:
    waiting = [each for each in look.active(was.app_id) if each.id != was.id]
    _require(not waiting, "a job makes room for the one that waits behind it", was, job)
    if job.attempt == was.attempt:
        _require((was.lease_expire_at or 0) <= look.now, "RUNNING to PENDING only by lease expiry", was, job)
        _require(was.attempt < MAX_ATTEMPTS, "attempts are bounded", was, job)
        _require(job.not_before - look.now == BACKOFF_MS[was.attempt - 1], "the back-off is kept", was, job)
    else:
        _require(job.attempt == was.attempt - 1, "a claim that was not delivered was no attempt", was, job)
        # Who sends a claim again says that it has not got the answer.
        kept = was.lease_token in facts.delivered and was.runner_id not in facts.repeating
        _require(not kept, "a delivered job is not given away", was, job)


def _check_failed(was: Job, job: Job, look: Look, facts: Facts) -> None:
    if job.reason == "lease_lost":
        _require((was.lease_expire_at or 0) <= look.now, "a lease is lost when it expires", was, job)
        behind = job.superseded_by is not None and was.confirmed_at is not None
        _require(was.attempt >= MAX_ATTEMPTS or behind, "a job has its attempts", was, job)
    elif job.reason == "timeout":
        late = look.now - (was.started_at or 0) > MAX_RUNNING_MS
        _require(facts.limit_running and late, "a time-out keeps to its limit", was, job)
    else:
        _require(_told(was, FAILED, facts), "only its holder or an operator says FAILED", was, job)


def _check_cancelled(was: Job, job: Job, look: Look, facts: Facts) -> None:
    if job.reason == "superseded":
        _check_superseded(was, job, look, facts)
        return
    _require(job.superseded_by is None, "only a superseded job has a successor", was, job)
    if was.status is RUNNING and _reported(was, CANCELLED, facts):
        return
    _require(was.confirmed_at is None, "who goes live is not cancelled", was, job)
    asked = Move(was.id, CANCELLED) in facts.asked or Cleanup(was.app_id) in facts.asked
    _require(asked, "nobody cancelled this job", was, job)


def _check_superseded(was: Job, job: Job, look: Look, facts: Facts) -> None:
    _require(was.confirmed_at is None, "who goes live is not superseded", was, job)
    successor = look.jobs.get(job.superseded_by or "")
    _require(successor is not None and successor.app_id == job.app_id, "a superseded job names its successor", was, job)
    if was.status is RUNNING and successor is not None:
        asked = _request_of(successor, facts)
        expired = (was.lease_expire_at or 0) <= look.now or was.lease_token not in facts.delivered
        cancels = asked is not None and any(_cancels_running(each, asked) for each in facts.asked)
        _require(expired or cancels, "a running job is superseded on request only", was, job)


def _cancels_running(request: Request, like: Create | Retry) -> bool:
    if isinstance(request, Create) and isinstance(like, Create):
        return request.mark == like.mark and request.cancel_running
    if isinstance(request, Retry) and isinstance(like, Retry):
        return request.job_id == like.job_id and request.cancel_running
    return False


def _check_gone(job: Job, after: Look, facts: Facts) -> None:
    cleaned = Cleanup(job.app_id) in facts.asked and job.confirmed_at is None
    _require(job.status.terminal or cleaned, "an active job is never forgotten", job)
    if _forgets(job.app_id, facts):
        return
    superseded = job.superseded_by is not None
    newer = sum(
        each.app_id == job.app_id
        and each.status.terminal
        and (each.superseded_by is not None) is superseded
        and each.created_at > job.created_at
        for each in after.jobs.values()
    )
    _require(newer >= (KEPT_SUPERSEDED if superseded else KEPT_ENDED), "an acknowledged job is kept", job)


def _check_waiting(was: Job, job: Job, look: Look, facts: Facts) -> None:
    _require(was.attempt == job.attempt, "a pending job's attempt stays", was, job)


def _check_succeeded(was: Job, job: Job, look: Look, facts: Facts) -> None:
    _require(_told(was, SUCCEEDED, facts), "only its holder or an operator says SUCCEEDED", was, job)


def _told(job: Job, status: JobStatus, facts: Facts) -> bool:
    return Move(job.id, status) in facts.asked or _reported(job, status, facts)


def _reported(job: Job, status: JobStatus, facts: Facts) -> bool:
    return Report(job.id, job.runner_id or "", job.lease_token, status) in facts.asked


def _extends(request: Request, job: Job) -> bool:
    if isinstance(request, Claim):
        return request.runner_id == job.runner_id and request.token is not None
    held = (job.id, job.runner_id, job.lease_token)
    return isinstance(request, Renew) and (request.job_id, request.runner_id, request.token) == held


def _require(holds: bool, rule: str, *jobs: Job) -> None:
    if not holds:
        raise Violation(f"{rule}: {' -> '.join(map(str, jobs))}")


_STEPS: Final[Mapping[tuple[JobStatus, JobStatus], Callable[[Job, Job, Look, Facts], None]]] = {
    (PENDING, PENDING): _check_waiting,
    (PENDING, RUNNING): _check_claim,
    (PENDING, CANCELLED): _check_cancelled,
    (RUNNING, RUNNING): _check_held,
    (RUNNING, PENDING): _check_requeued,
    (RUNNING, SUCCEEDED): _check_succeeded,
    (RUNNING, FAILED): _check_failed,
    (RUNNING, CANCELLED): _check_cancelled,
}
