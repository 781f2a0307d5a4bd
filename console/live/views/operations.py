"""Operations: stops and deletes that nodes have to carry out. Pure."""

from collections.abc import Mapping
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.spec import Field, ViewSpec, aged, by_number, by_text, counted, signed, worded
from console.live.words import t, tn
from protocol.operations import OperationState, OperationView

_STATE: Final[Mapping[OperationState, tuple[str, Tone]]] = {
    OperationState.PENDING: ("○", Tone.WARN),
    OperationState.DONE: ("✓", Tone.GOOD),
    OperationState.ABANDONED: ("–", Tone.QUIET),
}


def _state(operation: OperationView) -> Cell:
    if operation.running:
        return Cell("▶ RUNNING", Tone.BUSY)
    sign, tone = _STATE[operation.state]
    return Cell(f"{sign} {operation.state.value}", tone)


def _node(operation: OperationView, scene: Scene) -> str:
    node = scene.model.nodes.get(str(operation.node_id))
    return node.name if node else f"node {operation.node_id}"


def _next(operation: OperationView, scene: Scene) -> Cell:
    if operation.next_attempt_at is None or operation.state.final:
        return Cell("–", Tone.QUIET)
    left = -(seconds_between(scene.now, operation.next_attempt_at) or 0.0)
    return Cell(span(left) if left > 0 else t("now"), Tone.WARN)


def _why(operation: OperationView) -> str:
    asked = t("asked by {actor} ({cause})", actor=operation.actor, cause=operation.cause)
    return operation.message or operation.reason or asked


def sheet(operation: OperationView, scene: Scene) -> tuple[str, ...]:
    """What is known of one operation in four lines."""
    after = _next(operation, scene).text
    pending = operation.next_attempt_at and not operation.state.final
    again = f" · {t('tried again in {time}', time=after)}" if pending else ""
    asked = span(seconds_between(scene.now, operation.created_at))
    tried = tn("tried {count} time", "tried {count} times", operation.attempts)
    todo = t("It is tried until it is done; if the node is gone for good, delete the node.")
    head = t(
        "operation {number} · {kind} app {app} of user {user} on {node} · fence {fence}",
        number=operation.id,
        kind=operation.kind.value,
        app=operation.app_id,
        user=operation.user_id,
        node=_node(operation, scene),
        fence=operation.fence,
    )
    by = t("asked {age} ago by {actor} ({cause})", age=asked, actor=operation.actor, cause=operation.cause)
    return (
        line(head),
        line(f"{by} · {tried}{again}"),
        line(_why(operation)),
        "" if operation.state.final else todo,
    )


OPERATIONS: Final = ViewSpec[OperationView](
    name="operations",
    title="Operations",
    objects=lambda model: model.beside.of(topics.OPERATIONS),
    order="age",
    words=lambda operation, scene: line(
        f"{operation.kind.value} {operation.app_id} {operation.user_id} {operation.state.value} "
        f"{_node(operation, scene)} {operation.cause} {_why(operation)}"
    ),
    sheet=sheet,
    empty="No stop or delete was asked of any node.",
    fields=(
        signed("state", Column("STATE", 11), _state),
        worded("kind", Column("WHAT", 6), lambda operation: operation.kind.value, Tone.STRONG),
        worded("app", Column("APP", 14), lambda operation: operation.app_id, Tone.STRONG),
        Field(
            "node",
            Column("NODE", 14, drop=2),
            lambda operation, scene: cell(_node(operation, scene)),
            lambda operation, scene: by_text(_node(operation, scene)),
        ),
        counted("try", Column("TRY", 3, right=True), lambda operation: operation.attempts),
        Field(
            "next",
            Column("NEXT", 6, right=True, drop=1),
            _next,
            lambda operation, _: by_number(
                operation.next_attempt_at.timestamp() if operation.next_attempt_at else None
            ),
            ticks=True,
        ),
        aged("age", Column("AGE", 6, right=True), lambda operation: operation.created_at),
        worded("why", Column("WHY", 0, flex=True), _why),
    ),
)
