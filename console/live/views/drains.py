"""Drains: plans that move the apps of a node elsewhere, and their moves. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.spec import Field, ViewSpec, aged, by_number, by_text, counted, signed, worded
from console.live.words import later, t, tn
from protocol.drains import DrainMove, DrainPreview, DrainState, DrainView, MoveState

_BAR: Final = 12
_STATE: Final[Mapping[DrainState, tuple[str, Tone]]] = {
    DrainState.RUNNING: ("▶", Tone.BUSY),
    DrainState.PAUSED: ("‖", Tone.WARN),
    DrainState.UNDOING: ("◀", Tone.BUSY),
    DrainState.DONE: ("✓", Tone.GOOD),
    DrainState.FAILED: ("✗", Tone.BAD),
    DrainState.UNDONE: ("–", Tone.QUIET),
}
_MOVE: Final[Mapping[MoveState, tuple[str, Tone]]] = {
    MoveState.PENDING: ("○", Tone.QUIET),
    MoveState.MOVING: ("▶", Tone.BUSY),
    MoveState.MOVED: ("✓", Tone.GOOD),
    MoveState.FAILED: ("✗", Tone.BAD),
    MoveState.SKIPPED: ("–", Tone.QUIET),
    MoveState.RETURNING: ("◀", Tone.BUSY),
    MoveState.UNDONE: ("–", Tone.QUIET),
}
_OVER: Final = (MoveState.MOVED, MoveState.FAILED, MoveState.SKIPPED, MoveState.UNDONE)


def state_cell(drain: DrainView) -> Cell:
    """Sign and word of a plan's state."""
    sign, tone = _STATE[drain.state]
    return Cell(f"{sign} {drain.state.value}", tone)


def progress(drain: DrainView) -> str:
    """How many moves are over, as a bar and a figure."""
    every = sum(drain.counts.values())
    over = sum(drain.counts.get(state, 0) for state in _OVER)
    filled = round(_BAR * over / every) if every else _BAR
    return f"{'█' * filled}{'·' * (_BAR - filled)} {over}/{every}"


def _todo(drain: DrainView) -> str:
    if drain.state is DrainState.PAUSED:
        words = later("It is paused: funai drain-resume {number}, or funai drain-undo {number} to take it back.")
        return t(words, number=drain.id)
    if drain.counts.get(MoveState.FAILED):
        return t("Apps whose move failed stay where they serve; look at them with Enter, then drain again.")
    return ""


def sheet(drain: DrainView, scene: Scene) -> tuple[str, ...]:
    """What is known of one plan in four lines."""
    began, ended = seconds_between(scene.now, drain.created_at), seconds_between(scene.now, drain.finished_at)
    over = f" · {t('over {age} ago', age=span(ended))}" if drain.finished_at else ""
    head = t("drain {number} of node {node}", number=drain.id, node=drain.node)
    partial = f" · {t('partial')}" if drain.partial else ""
    at_a_time = t("{count} at a time", count=drain.max_parallel)
    return (
        line(f"{head} · {drain.kind.value} · {drain.state.value} · {t('by {actor}', actor=drain.actor)}"),
        line(f"{t('began {age} ago', age=span(began))}{over} · {at_a_time}{partial}"),
        line(drain.summary),
        _todo(drain),
    )


DRAINS: Final = ViewSpec[DrainView](
    name="drains",
    title="Drains",
    objects=lambda model: model.beside.of(topics.DRAINS),
    order="age",
    words=lambda drain, _: line(f"{drain.id} {drain.node} {drain.kind.value} {drain.state.value} {drain.summary}"),
    sheet=sheet,
    empty="No node was ever drained. In Nodes, d drains the selected one.",
    fields=(
        counted("drain", Column("DRAIN", 5, right=True), lambda drain: drain.id),
        worded("node", Column("NODE", 14), lambda drain: drain.node, Tone.STRONG),
        signed("state", Column("STATE", 9), state_cell),
        worded("kind", Column("KIND", 8, drop=2), lambda drain: drain.kind.value, Tone.QUIET),
        Field(
            "moves",
            Column("MOVES", 20),
            lambda drain, _: Cell(progress(drain)),
            lambda drain, _: by_number(sum(drain.counts.values())),
        ),
        worded("actor", Column("BY", 10, drop=1), lambda drain: drain.actor),
        aged("age", Column("AGE", 6, right=True), lambda drain: drain.created_at),
        worded("how", Column("HOW FAR", 0, flex=True), lambda drain: drain.summary),
    ),
)


def _move_state(move: DrainMove) -> Cell:
    sign, tone = _MOVE[move.state]
    return Cell(f"{sign} {move.state.value}", tone)


def _target(move: DrainMove, scene: Scene) -> str:
    if move.target_node_id is None:
        return ""
    node = scene.model.nodes.get(str(move.target_node_id))
    return node.name if node else f"node {move.target_node_id}"


def _move_sheet(move: DrainMove, scene: Scene) -> tuple[str, ...]:
    to = _target(move, scene)
    where = t(" to {node}", node=to) if to else ""
    tried = tn("tried {count} time", "tried {count} times", move.attempts)
    return (
        line(f"{t('app {app}', app=move.app_id)} · {move.state.value}{where} · {tried}"),
        line(t("job {job}", job=move.job_id) if move.job_id else t("no job yet")),
        line(move.message or ""),
    )


@lru_cache(maxsize=64)
def moves_of(drain_id: str) -> ViewSpec[DrainMove]:
    """The moves of one plan."""
    return ViewSpec(
        name="moves",
        title="Moves",
        objects=lambda model: model.beside.of(topics.moves(drain_id)),
        order="app",
        words=lambda move, scene: line(f"{move.app_id} {move.state.value} {_target(move, scene)} {move.message or ''}"),
        sheet=_move_sheet,
        empty="The plan has no moves: nothing was on the node.",
        fields=(
            worded("app", Column("APP", 14), lambda move: move.app_id, Tone.STRONG),
            signed("state", Column("STATE", 11), _move_state),
            Field(
                "to",
                Column("TO", 14),
                lambda move, scene: cell(_target(move, scene)),
                lambda move, scene: by_text(_target(move, scene)),
            ),
            worded("job", Column("JOB", 8), lambda move: short(move.job_id) if move.job_id else None, Tone.QUIET),
            counted("try", Column("TRY", 3, right=True, drop=2), lambda move: move.attempts),
            aged("since", Column("SINCE", 6, right=True, drop=1), lambda move: move.updated_at),
            worded("why", Column("WHY", 0, flex=True), lambda move: move.message),
        ),
    )


def plan_lines(plan: DrainPreview) -> tuple[Cell, ...]:
    """What a drain of a node would do, in a few lines."""
    now = t("If drained now: {plan}", plan=plan.explanation)
    said = [Cell(line(now), Tone.PLAIN if plan.fits else Tone.WARN)]
    for room in plan.targets[:3]:
        sizes = {"free": size(room.disk_free_bytes), "after": size(room.disk_free_bytes_after)}
        after = t(", {free} free becomes {after}", **sizes) if room.apps else ""
        stops = f"; {room.stops}" if room.stops else ""
        apps = tn("{count} app", "{count} apps", room.apps)
        said.append(cell(f"  {room.name}: {apps}{after}{stops}", Tone.QUIET))
    return tuple(said)
