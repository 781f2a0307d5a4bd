"""Plans that move the apps of a node elsewhere, and the life of each move. Times are epoch milliseconds.

A plan is RUNNING or PAUSED, perhaps UNDOING, then DONE, FAILED or UNDONE for good. A move is PENDING until a job
carries it out (MOVING), then MOVED, FAILED or SKIPPED; when the plan is undone it is RETURNING with another job, then
UNDONE.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.moves import Cargo
from daemons.deploy.domain.nodes import AppRun, Placement
from daemons.deploy.domain.releases import Release
from protocol.drains import DrainKind, DrainState, MoveState
from protocol.errors import JobReason
from protocol.jobs import JobStatus

#: So many jobs carry a move at most: one that failed is tried again, on another node if there is one.
TRIES: Final = 3
#: A plan in which nothing happens for so long gives up the moves that no node takes.
PATIENCE_MS: Final = 600_000
_HALTED: Final = ("STOPPED", "STOPPING", "DELETING", "STOP_ABANDONED", "DELETE_ABANDONED")
_ACTIVE: Final = (MoveState.MOVING, MoveState.RETURNING)
_NAMED: Final = 5
_LONGEST: Final = 2000


class DrainNotFound(LookupError):
    """There is no such plan."""

    def __init__(self, drain_id: int) -> None:
        super().__init__(f"there is no drain {drain_id}; see the list of drains")


class DrainLive(Exception):
    """The node has a plan that is not over."""

    def __init__(self, node: str, drain: "Drain | None") -> None:
        which = f"drain {drain.id} is {drain.state.value}" if drain else "another drain was started at the same moment"
        super().__init__(f"node {node} is being drained already: {which}; wait for its end, or undo or cancel it")
        self.data = {"drainId": drain.id} if drain else None


class DrainOver(Exception):
    """The plan's state does not admit the order."""

    def __init__(self, drain: "Drain", wanted: str) -> None:
        super().__init__(f"drain {drain.id} is {drain.state.value} and cannot be {wanted}; look at it again")


@dataclass(frozen=True, slots=True)
class Drain:
    """A plan. `was_enabled` is what an undo makes of the node again; `version` counts writes and guards them."""

    id: int
    node_id: int
    kind: DrainKind
    state: DrainState
    max_parallel: int
    partial: bool
    was_enabled: bool
    actor: str
    created_at: int
    updated_at: int
    finished_at: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """One app of a plan. `updated_at` is when the state changed last; `tried` are the nodes where it failed."""

    drain_id: int
    app_id: str
    state: MoveState
    updated_at: int
    target_id: int | None = None
    job_id: str | None = None
    attempts: int = 0
    tried: tuple[int, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Resident:
    """An app of a node. `cargo` None: nothing of it runs, or (with `unknown`) nobody knows what. `placed_on` is the
    node that its placement names, which need not be the one it runs on."""

    app_id: str
    cargo: Cargo | None
    placed_on: int | None
    unknown: bool = False
    note: str | None = None

    @property
    def image(self) -> str | None:
        """What it runs."""
        return str(self.cargo.payload["image"]) if self.cargo else None


def resident(app_id: str, placement: Placement | None, run: AppRun | None, newest: Release | None) -> Resident:
    """The app as a plan sees it; `newest` is its newest success."""
    placed_on = placement.node_id if placement else None
    if run is None or run.last_deployed_at is None or halted(run):
        return Resident(app_id, None, placed_on, note="nothing of it runs, so that only its placement moves")
    if newest is None:
        note = "what it runs is not on record; deploy it again, and it can be moved"
        return Resident(app_id, None, placed_on, unknown=True, note=note)
    moving_tag = None if newest.reference else f"by the tag {newest.image}, which may have moved since it was deployed"
    ids = {"userId": newest.user_id, "appId": app_id}
    payload = {**newest.payload, **ids, "image": newest.reference or newest.image}
    return Resident(app_id, Cargo(app_id, newest.user_id, payload), placed_on, note=moving_tag)


def halted(run: AppRun) -> bool:
    """Whether the app was stopped, or is to be: nothing of it is to run anywhere."""
    return run.last_job_status in _HALTED


def observed(move: Move, job: Job | None, *, arrived: bool, now: int) -> Move:
    """A MOVING or RETURNING move after a look at its job. `arrived`, whether the app's placement is where the job was
    to bring it, decides when the job is forgotten."""
    if job is None:
        return _arrived(move, now) if arrived else _again(move, "its job is not on record any more", now)
    if not job.status.terminal:
        return move
    if job.status is JobStatus.SUCCEEDED:
        return _arrived(move, now)
    if job.status is JobStatus.CANCELLED:
        return _cancelled(move, job, now)
    return _failed(move, job, now)


def changed(move: Move, state: MoveState, now: int, message: str | None = None) -> Move:
    """The move in another state."""
    return replace(move, state=state, updated_at=now, message=message[:_LONGEST] if message else None)


def waiting(move: Move, message: str) -> Move:
    """The move as it is, with what it waits for."""
    return replace(move, message=message[:_LONGEST])


def startable(drain: Drain, moves: Sequence[Move]) -> tuple[Sequence[Move], int]:
    """Moves that may get a job, in order, and how many of them at most."""
    wanted = {DrainState.RUNNING: MoveState.PENDING, DrainState.UNDOING: MoveState.MOVED}.get(drain.state)
    free = drain.max_parallel - sum(move.state in _ACTIVE for move in moves)
    return [move for move in moves if move.state is wanted], max(0, free)


def stuck(drain: Drain, moves: Iterable[Move], now: int) -> bool:
    """Whether nothing has happened for so long that waiting for room is given up."""
    return now - max([drain.updated_at, *(move.updated_at for move in moves)]) > PATIENCE_MS


def concluded(drain: Drain, moves: Iterable[Move], now: int) -> Drain:
    """The plan, in its final state if no move is left to be made."""
    counts = Counter(move.state for move in moves)
    busy = counts[MoveState.MOVING] + counts[MoveState.RETURNING]
    if not drain.state.live or busy:
        return drain
    if counts[MoveState.PENDING]:
        return drain
    if drain.state is DrainState.UNDOING:
        return drain if counts[MoveState.MOVED] else ended(drain, DrainState.UNDONE, now)
    failed = counts[MoveState.FAILED] and not counts[MoveState.MOVED]
    return ended(drain, DrainState.FAILED if failed else DrainState.DONE, now)


def ended(drain: Drain, state: DrainState, now: int) -> Drain:
    """The plan in a final state."""
    return replace(turned(drain, state, now), finished_at=now)


def turned(drain: Drain, state: DrainState, now: int) -> Drain:
    """The plan in another state that is live."""
    return replace(drain, state=state, updated_at=now, finished_at=None, version=drain.version + 1)


def paused(drain: Drain, now: int) -> Drain:
    """RUNNING becomes PAUSED: what moves goes on, nothing else starts. Raises DrainOver."""
    if drain.state not in (DrainState.RUNNING, DrainState.PAUSED):
        raise DrainOver(drain, "paused")
    return drain if drain.state is DrainState.PAUSED else turned(drain, DrainState.PAUSED, now)


def resumed(drain: Drain, now: int) -> Drain:
    """PAUSED becomes RUNNING. Raises DrainOver."""
    if drain.state not in (DrainState.RUNNING, DrainState.PAUSED):
        raise DrainOver(drain, "resumed")
    return drain if drain.state is DrainState.RUNNING else turned(drain, DrainState.RUNNING, now)


def undoing(drain: Drain, now: int) -> Drain:
    """Every state but UNDONE becomes UNDOING. Raises DrainOver."""
    if drain.state is DrainState.UNDONE:
        raise DrainOver(drain, "undone")
    return drain if drain.state is DrainState.UNDOING else turned(drain, DrainState.UNDOING, now)


def dropped(move: Move, why: str, now: int) -> Move:
    """A move that has not begun is skipped; one that was made starts over, should it be undone."""
    if move.state is MoveState.PENDING:
        return changed(move, MoveState.SKIPPED, now, why)
    return replace(move, attempts=0, tried=()) if move.state is MoveState.MOVED else move


def summary(drain: Drain, counts: Mapping[MoveState, int], failures: Sequence[Move]) -> str:
    """How far the plan is, honestly, in one sentence; `failures` are some of its failed moves."""
    total = sum(counts.values())
    undone = drain.state in (DrainState.UNDOING, DrainState.UNDONE)
    state, verb = (MoveState.UNDONE, "moved back") if undone else (MoveState.MOVED, "moved")
    parts = [f"{drain.state.value} {counts.get(state, 0)} of {total} {verb}"]
    for each in (MoveState.MOVING, MoveState.RETURNING, MoveState.PENDING, MoveState.SKIPPED):
        if counts.get(each):
            parts.append(f"{counts[each]} {each.value.lower()}")
    if undone and counts.get(MoveState.MOVED):
        parts.append(f"{counts[MoveState.MOVED]} still to go back")
    if failed := counts.get(MoveState.FAILED):
        named = "; ".join(f"{move.app_id}: {_first_line(move.message)}" for move in failures[:_NAMED])
        parts.append(f"{failed} failed: {named}" if named else f"{failed} failed")
    return ", ".join(parts)


def _arrived(move: Move, now: int) -> Move:
    return changed(move, MoveState.MOVED if move.state is MoveState.MOVING else MoveState.UNDONE, now)


def _again(move: Move, why: str, now: int) -> Move:
    before = MoveState.PENDING if move.state is MoveState.MOVING else MoveState.MOVED
    return replace(changed(move, before, now, why), job_id=None)


def _cancelled(move: Move, job: Job, now: int) -> Move:
    if job.reason == JobReason.SUPERSEDED.value:
        return _again(move, f"its job {job.id} gave way to job {job.superseded_by}", now)
    if move.state is MoveState.MOVING:
        return changed(move, MoveState.SKIPPED, now, f"its job {job.id} was cancelled; the app stays where it was")
    return changed(move, MoveState.FAILED, now, f"its job {job.id} was cancelled; the app was not moved back")


def _failed(move: Move, job: Job, now: int) -> Move:
    why = f"job {job.id} failed: {job.error_message or job.reason}"
    if move.attempts >= TRIES:
        return changed(move, MoveState.FAILED, now, f"{why}\nThe app stays where it was, serving.")
    tried = move.tried if move.target_id is None else (*move.tried, move.target_id)
    return replace(_again(move, f"{why}\nIt is tried again.", now), tried=tried)


def _first_line(text: str | None) -> str:
    return (text or "no reason was recorded").partition("\n")[0][:200]
