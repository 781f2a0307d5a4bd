"""Placements: which app lives on which node. Pure."""

from datetime import UTC, datetime
from typing import Final

from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.nodes import health_cell
from console.live.views.spec import Field, ViewSpec, by_number, by_text
from console.live.words import t
from protocol.nodes import NodeHealth, NodeView, PlacementView


def since(epoch_ms: int) -> datetime:
    """Epoch milliseconds as a time."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


def node_of(placement: PlacementView, scene: Scene) -> NodeView | None:
    """The node it is on, as far as it is known."""
    return scene.model.nodes.get(str(placement.node_id))


def _node_name(placement: PlacementView, scene: Scene) -> str:
    node = node_of(placement, scene)
    return node.name if node else f"node {placement.node_id}"


def _health(placement: PlacementView, scene: Scene) -> Cell:
    node = node_of(placement, scene)
    return health_cell(node.health) if node else Cell("? UNKNOWN", Tone.QUIET)


def _last(placement: PlacementView, scene: Scene) -> str:
    run = scene.model.apps.get(placement.app_id)
    if run is None or not run.last_job_id:
        return ""
    return f"{short(run.last_job_id)} {run.last_job_status or ''} {run.last_error or ''}"


def touched(before: Model, model: Model) -> frozenset[str] | None:
    """Placements whose rows say something else because of their app's last job; all when a node changed its name or its
    health, none for its figures."""
    nodes = model.nodes.since(before.nodes.version)
    if nodes is None or any(_said(before, each) != _said(model, each) for each in nodes):
        return None
    return model.apps.since(before.apps.version)


def _said(model: Model, node_id: str) -> tuple[str, NodeHealth] | None:
    node = model.nodes.get(node_id)
    return (node.name, node.health) if node else None


def sheet(placement: PlacementView, scene: Scene) -> tuple[str, ...]:
    """What is known of one placement in three lines."""
    node, run = node_of(placement, scene), scene.model.apps.get(placement.app_id)
    age = span(seconds_between(scene.now, since(placement.last_active_at)))
    where = f"{node.name} ({node.health.value})" if node else f"node {placement.node_id}"
    last = ""
    if run and run.last_job_id:
        last = t("last job {job} {status}", job=short(run.last_job_id), status=run.last_job_status or "")
    on, active = t("on {node}", node=where), t("last active {age} ago", age=age)
    return (
        line(f"{t('app {app}', app=placement.app_id)} · {on} · {active}"),
        line(last),
        line("; ".join(filter(None, (run.last_error if run else None, *(each.message for each in placement.reasons))))),
    )


PLACEMENTS: Final = ViewSpec[PlacementView](
    name="placements",
    title="Placements",
    objects=lambda model: model.placements,
    order="app",
    words=lambda placement, scene: line(
        f"{placement.app_id} {_node_name(placement, scene)} {_health(placement, scene).text} {_last(placement, scene)}"
    ),
    sheet=sheet,
    empty="No apps placed yet. An app is placed with its first deployment.",
    joined=True,
    touched=touched,
    fields=(
        Field(
            "app",
            Column("APP", 14),
            lambda placement, _: cell(placement.app_id, Tone.STRONG),
            lambda placement, _: by_text(placement.app_id),
        ),
        Field(
            "node",
            Column("NODE", 16),
            lambda placement, scene: cell(_node_name(placement, scene)),
            lambda placement, scene: by_text(_node_name(placement, scene)),
        ),
        Field(
            "since",
            Column("SINCE", 7, right=True),
            lambda placement, scene: Cell(span(seconds_between(scene.now, since(placement.last_active_at)))),
            lambda placement, _: by_number(-placement.last_active_at),
            ticks=True,
        ),
        Field(
            "health",
            Column("NODE HEALTH", 12),
            _health,
            lambda placement, scene: by_text(_health(placement, scene).text),
            lambda placement, scene: _health(placement, scene).text.partition(" ")[2],
        ),
        Field(
            "last",
            Column("LAST JOB", 0, flex=True),
            lambda placement, scene: cell(_last(placement, scene), Tone.QUIET),
            lambda placement, scene: by_text(_last(placement, scene)),
        ),
    ),
)
