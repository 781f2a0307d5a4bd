"""The apps of one node: how each stands there and what it uses. Pure."""

from dataclasses import dataclass
from functools import lru_cache

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, size, span
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.apps import condition_cell
from console.live.views.placements import since
from console.live.views.spec import Field, ViewSpec, by_number, by_text, worded
from console.live.words import t, tn
from protocol.apps import AppCondition, AppView
from protocol.nodes import NodeView, PlacementView, UnwellApp
from protocol.running import AppStats


def name_of(model: Model, node_id: str) -> str:
    """What the node is called."""
    node = model.nodes.get(node_id)
    return node.name if node is not None else f"node {node_id}"


def unwell_on(node: NodeView | None, app_id: str) -> UnwellApp | None:
    """What the node says of an app that does not serve as it should."""
    if node is None or node.vitals is None:
        return None
    return next((each for each in node.vitals.unwell if each.app_id == app_id), None)


def stats_of(model: Model, topic: str, app_id: str) -> AppStats | None:
    """What was read of the app's use."""
    return model.beside.of(topic).get(app_id)


def _state(placement: PlacementView, scene: Scene) -> Cell:
    unwell = unwell_on(scene.model.nodes.get(str(placement.node_id)), placement.app_id)
    if unwell is not None:
        return condition_cell(AppCondition(unwell.health.value))
    app: AppView | None = scene.model.beside.of(topics.APPS).get(placement.app_id)
    if app is not None:
        return condition_cell(app.condition)
    run = scene.model.apps.get(placement.app_id)
    return cell(run.last_job_status if run else None, Tone.QUIET)


def _why(placement: PlacementView, scene: Scene) -> str:
    unwell = unwell_on(scene.model.nodes.get(str(placement.node_id)), placement.app_id)
    if unwell is not None:
        crashes = tn("{count} crash", "{count} crashes", unwell.crashes or 0)
        return f"{unwell.reason} ({crashes})" if unwell.crashes else unwell.reason
    return "; ".join(each.message for each in placement.reasons)


def processes(stats: AppStats) -> str:
    """How many it has."""
    if stats.processes is None:
        return t("? processes")
    return tn("{count} process", "{count} processes", stats.processes)


def memory(stats: AppStats) -> str:
    """What it has of what it may have."""
    return t("memory {used} of {most}", used=size(stats.memory_bytes), most=size(stats.memory_limit_bytes))


def _used(stats: AppStats) -> str:
    received, sent = size(stats.received_bytes), size(stats.sent_bytes)
    went = t("received {received}, sent {sent}", received=received, sent=sent)
    return f"{processes(stats)} · {memory(stats)} · {went}"


@dataclass(frozen=True, slots=True)
class _Use:
    """What apps use on one node, as far as it was read."""

    node_id: str

    def of(self, placement: PlacementView, scene: Scene) -> AppStats | None:
        """What the app uses; None when it was not read."""
        return stats_of(scene.model, topics.node_stats(name_of(scene.model, self.node_id)), placement.app_id)

    def cpu(self, placement: PlacementView, scene: Scene) -> float | None:
        """Per cent of one core."""
        stats = self.of(placement, scene)
        return stats.cpu_pct if stats else None

    def memory(self, placement: PlacementView, scene: Scene) -> int | None:
        """Bytes."""
        stats = self.of(placement, scene)
        return stats.memory_bytes if stats else None

    def disk(self, placement: PlacementView, scene: Scene) -> int | None:
        """Bytes written to the container's own layer."""
        stats = self.of(placement, scene)
        return stats.disk_bytes if stats else None

    def cpu_cell(self, placement: PlacementView, scene: Scene) -> Cell:
        """The share of a core in words."""
        found = self.cpu(placement, scene)
        return Cell("–", Tone.QUIET) if found is None else Cell(f"{found:.0f}%")

    def fields(self) -> tuple[Field[PlacementView], ...]:
        """The columns of it."""
        return (
            Field(
                "cpu",
                Column("CPU", 5, right=True),
                self.cpu_cell,
                lambda each, scene: by_number(self.cpu(each, scene)),
            ),
            Field(
                "memory",
                Column("MEMORY", 7, right=True),
                lambda each, scene: Cell(size(self.memory(each, scene))),
                lambda each, scene: by_number(self.memory(each, scene)),
            ),
            Field(
                "disk",
                Column("WROTE", 7, right=True, drop=1),
                lambda each, scene: Cell(size(self.disk(each, scene))),
                lambda each, scene: by_number(self.disk(each, scene)),
            ),
        )

    def sheet(self, placement: PlacementView, scene: Scene) -> tuple[str, ...]:
        """Everything about the app here."""
        stats = self.of(placement, scene)
        age = span(seconds_between(scene.now, since(placement.last_active_at)))
        active = t("last active {age} ago", age=age)
        return (
            line(f"{t('app {app}', app=placement.app_id)} · {_state(placement, scene).text} · {active}"),
            line(_used(stats) if stats else t("what it uses is not known")),
            line(_why(placement, scene)),
        )


@lru_cache(maxsize=64)
def tenants_of(node_id: str) -> ViewSpec[PlacementView]:
    """The apps that are placed on one node."""

    def rows(model: Model) -> dict[str, PlacementView]:
        return {key: each for key, each in model.placements.items() if str(each.node_id) == node_id}

    use = _Use(node_id)
    return ViewSpec(
        name="tenants",
        title="Apps",
        objects=Derived(lambda model: (model.placements,), rows),
        order="app",
        words=lambda each, scene: line(f"{each.app_id} {_state(each, scene).text} {_why(each, scene)}"),
        sheet=use.sheet,
        empty="No app is placed here.",
        joined=True,
        fields=(
            worded("app", Column("APP", 14), lambda placement: placement.app_id, Tone.STRONG),
            Field("state", Column("STATE", 11), _state, lambda each, scene: by_text(_state(each, scene).text)),
            *use.fields(),
            Field(
                "why",
                Column("WHY", 0, flex=True),
                lambda each, scene: cell(_why(each, scene), Tone.QUIET),
                lambda each, scene: by_text(_why(each, scene)),
            ),
        ),
    )
