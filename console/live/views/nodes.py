"""Runtime nodes: their disks, what runs there and what speaks against them. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from console.live.cells import Cell, Column, Tone, cell, disk_bar, disk_tone, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.spec import Field, ViewSpec, by_number, by_text
from console.live.words import later, t, tn
from protocol.nodes import NodeHealth, NodeView, NodeVitals

_HEALTH: Final[Mapping[NodeHealth, tuple[str, Tone]]] = {
    NodeHealth.HEALTHY: ("✓", Tone.GOOD),
    NodeHealth.DRAINING: ("!", Tone.WARN),
    NodeHealth.UNHEALTHY: ("✗", Tone.BAD),
    NodeHealth.STALE: ("?", Tone.BAD),
    NodeHealth.DISABLED: ("–", Tone.QUIET),
    NodeHealth.UNKNOWN: ("?", Tone.QUIET),
}

_MARK: Final[Mapping[Tone, str]] = {Tone.BAD: "!!", Tone.WARN: "!"}


def health_cell(health: NodeHealth) -> Cell:
    """Sign and word of a node's health."""
    sign, tone = _HEALTH[health]
    return Cell(f"{sign} {health.value}", tone)


def _beat(node: NodeView, scene: Scene) -> Cell:
    tone = Tone.BAD if node.health is NodeHealth.STALE else Tone.PLAIN
    return Cell(span(seconds_between(scene.now, node.last_heartbeat_at)), tone)


def _why(node: NodeView, _: Scene) -> Cell:
    return cell("; ".join(node.reasons), health_cell(node.health).tone) if node.reasons else Cell("")


def _inodes(node: NodeView) -> Cell:
    if node.inodes_free_pct is None:
        return Cell("–", Tone.QUIET)
    tone = disk_tone(node.inodes_free_pct)
    return Cell(f"{node.inodes_free_pct:.0f}%{_MARK.get(tone, '')}", tone)


def _full(node: NodeView, scene: Scene) -> Cell:
    """When the disk is full if it goes on filling as it did while the console watched."""
    left = scene.model.beside.trends.seconds_to_full(node)
    return Cell("–", Tone.QUIET) if left is None else Cell(span(left), Tone.WARN)


def _words(node: NodeView, _: Scene) -> str:
    return line(f"{node.name} {node.health.value} {' '.join(node.labels)} {'; '.join(node.reasons)}")


def sheet(node: NodeView, scene: Scene) -> tuple[str, ...]:
    """What is known of one node in three lines."""
    now = scene.now
    beat = span(seconds_between(now, node.last_heartbeat_at))
    inodes = "" if node.inodes_free_pct is None else f" · {_inodes_free(node)}{_counted(node)}"
    labels = f" · {t('labels {names}', names=', '.join(node.labels))}" if node.labels else ""
    state = t("takes deployments") if node.enabled else t("cordoned: takes no new deployment")
    weight = t("weight {weight} · agent {address}", weight=node.weight, address=node.agent_base_url or t("unknown"))
    free = t("{free} of {total} free", free=size(node.disk_free_bytes), total=size(node.disk_total_bytes))
    containers = t("? containers")
    if node.container_count is not None:
        containers = tn("{count} container", "{count} containers", node.container_count)
    placed = tn("{count} app placed", "{count} apps placed", node.placements)
    heard = t("heard {age} ago", age=beat)
    speaks = "; ".join((*(node.reasons or _told(node)), *_problems(node)))
    return (
        line(f"{t('node {name}', name=node.name)} · {state} · {weight}{labels}"),
        line(f"{free}{inodes} · {containers} · {placed} · {heard}{_vitals(node, now)}"),
        line(speaks or t("nothing speaks against placing apps here")),
    )


def _inodes_free(node: NodeView) -> str:
    return t("inodes {percent} % free", percent=f"{node.inodes_free_pct:.0f}")


def _vitals(node: NodeView, now: datetime) -> str:
    """What the node says of itself, as far as it does."""
    vitals = node.vitals
    if vitals is None:
        return ""
    load, freed, made = "", "", vitals.collection
    if vitals.load1 is not None:
        words = tn("load {load} on {cpus} CPU", "load {load} on {cpus} CPUs", vitals.cpus or 0, **_load(vitals))
        load = f" · {words}"
    if made is not None:
        age = span(seconds_between(now, made.at))
        freed = f" · {t('freed {size} {age} ago', size=size(made.freed_bytes), age=age)}"
    return f"{load}{freed}"


def _load(vitals: NodeVitals) -> dict[str, str]:
    return {"load": f"{vitals.load1:.1f}", "cpus": str(vitals.cpus or "?")}


def _problems(node: NodeView) -> tuple[str, ...]:
    found = node.vitals
    if found is None:
        return ()
    parts = ((later("engine: {problem}"), found.engine_problem), (later("gateway: {problem}"), found.gateway_problem))
    said = [t(words, problem=problem) for words, problem in parts if problem]
    said += [f"{t('app {app}', app=app.app_id)} {app.health.value}: {app.reason}" for app in found.unwell]
    left = (found.unwell_total or 0) - len(found.unwell)
    more = tn("{count} more app is unwell", "{count} more apps are unwell", left)
    return (*said, more) if left > 0 else tuple(said)


def _told(node: NodeView) -> tuple[str, ...]:
    return tuple(each.message for each in node.explanations)


def _counted(node: NodeView) -> str:
    if node.inodes_total is None or node.inodes_free is None:
        return ""
    used = node.inodes_total - node.inodes_free
    return " " + t("({used:,} of {total:,} used)", used=used, total=node.inodes_total)


NODES: Final = ViewSpec[NodeView](
    name="nodes",
    title="Nodes",
    objects=lambda model: model.nodes,
    order="node",
    words=_words,
    sheet=sheet,
    empty="No nodes yet. A node appears with the first heartbeat of its agent.",
    fields=(
        Field(
            "node", Column("NODE", 14), lambda node, _: cell(node.name, Tone.STRONG), lambda node, _: by_text(node.name)
        ),
        Field(
            "health",
            Column("HEALTH", 11),
            lambda node, _: health_cell(node.health),
            lambda node, _: by_text(node.health.value),
            lambda node, _: node.health.value,
        ),
        Field(
            "disk",
            Column("   15 25   FREE DISK %", 30),
            lambda node, _: Cell(disk_bar(node.disk_free_pct), disk_tone(node.disk_free_pct)),
            lambda node, _: by_number(node.disk_free_pct),
            lambda node, _: "" if node.disk_free_pct is None else f"{node.disk_free_pct:.1f}",
        ),
        Field(
            "inodes",
            Column("INODES", 6, right=True, drop=2),
            lambda node, _: _inodes(node),
            lambda node, _: by_number(node.inodes_free_pct),
            lambda node, _: "" if node.inodes_free_pct is None else f"{node.inodes_free_pct:.1f}",
        ),
        Field(
            "full",
            Column("FULL", 6, right=True, drop=1),
            _full,
            lambda node, scene: by_number(scene.model.beside.trends.seconds_to_full(node)),
            ticks=True,
        ),
        Field(
            "free",
            Column("FREE", 8, right=True, drop=4),
            lambda node, _: Cell(size(node.disk_free_bytes)),
            lambda node, _: by_number(node.disk_free_bytes),
        ),
        Field(
            "containers",
            Column("CONT", 4, right=True, drop=5),
            lambda node, _: cell(None if node.container_count is None else str(node.container_count)),
            lambda node, _: by_number(node.container_count),
        ),
        Field(
            "apps",
            Column("APPS", 4, right=True, drop=3),
            lambda node, _: Cell(str(node.placements)),
            lambda node, _: by_number(node.placements),
        ),
        Field(
            "beat",
            Column("BEAT", 6, right=True),
            _beat,
            lambda node, _: by_number(-node.last_heartbeat_at.timestamp() if node.last_heartbeat_at else None),
            ticks=True,
        ),
        Field("why", Column("WHY", 0, flex=True), _why, lambda node, _: by_text("; ".join(node.reasons))),
    ),
)
