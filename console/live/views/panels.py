"""What stands above the table of a page: the pulse of the platform, or what is known of one object. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from rich.cells import cell_len

from console.live import topics
from console.live.cells import Cell, Tone, cell, disk_bar, disk_tone, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.trends import spark
from console.live.views import jobs, nodes, runners, users
from console.live.views.drains import plan_lines, progress, state_cell
from console.live.views.jobs import counts, eta, held_by, short, status_cell
from console.live.words import t, tn
from protocol.drains import DrainView
from protocol.jobs import JobStatus, JobView
from protocol.nodes import NodeHealth, NodeView, RunnerHealth
from protocol.replicas import SingletonView

Lines = tuple[tuple[Cell, ...], ...]
_HOUR_SECONDS: Final = 3600.0
_MINUTES: Final = 30
_LONG_SECONDS: Final = 600.0
_HISTORY: Final = 5
_TITLE: Final = 12


def titled(title: str, *cells: Cell) -> tuple[Cell, ...]:
    """A line with its title before it."""
    shown = t(title)
    return (Cell(shown + " " * (_TITLE - cell_len(shown)), Tone.QUIET), *cells)


def plain(lines: Iterable[str]) -> Lines:
    """Lines of one text each, without the empty ones."""
    return tuple((Cell(each),) for each in lines if each)


def dotted(parts: Iterable[Cell]) -> tuple[Cell, ...]:
    """A line of parts with dots between them."""
    found: list[Cell] = []
    for part in parts:
        found += [Cell(" · ", Tone.QUIET), part] if found else [part]
    return tuple(found)


def overview(scene: Scene, _: str) -> Lines:
    """The pulse: what waits, what ends, who works, and how much room there is."""
    return (_queue(scene), _throughput(scene), _runners(scene), _nodes(scene), _control(scene))


def _queue(scene: Scene) -> tuple[Cell, ...]:
    backlog, found = scene.model.beside.backlog, counts(scene.model.jobs)
    longest = backlog.waits_longest(scene.now)
    waits = Cell(tn("{count} waits", "{count} wait", backlog.waiting), Tone.WARN if backlog.waiting else Tone.QUIET)
    parts = [waits]
    if longest is not None:
        parts.append(
            Cell(t("oldest {age}", age=span(longest[1])), Tone.BAD if longest[1] > _LONG_SECONDS else Tone.PLAIN)
        )
    running = found[JobStatus.RUNNING]
    parts.append(Cell(tn("{count} runs", "{count} run", running), Tone.BUSY if running else Tone.QUIET))
    depth = spark(scene.model.beside.trends.waiting())
    return titled("Queue", *dotted((*parts, Cell(depth, Tone.QUIET)) if len(depth) > 1 else parts))


def _throughput(scene: Scene) -> tuple[Cell, ...]:
    backlog = scene.model.beside.backlog
    ended = backlog.ended(scene.now, _HOUR_SECONDS)
    rate = ended.rate
    parts = [Cell(t("{count} ended in 1 h", count=ended.succeeded + ended.failed))]
    if rate is not None:
        parts.append(Cell(t("{percent} % succeeded", percent=f"{rate:.0f}"), Tone.GOOD if rate >= 80 else Tone.WARN))
        parts.append(Cell(spark(backlog.per_minute(scene.now, _MINUTES), _MINUTES), Tone.QUIET))
    return titled("Throughput", *dotted(parts))


def _runners(scene: Scene) -> tuple[Cell, ...]:
    every = tuple(scene.model.runners.values())
    healthy = [each for each in every if each.health is RunnerHealth.HEALTHY]
    paused = sum(each.vitals is not None and each.vitals.pause is not None for each in healthy)
    slots = sum(each.slots or 0 for each in healthy)
    held = sum(len(held_by(scene.model.jobs, each.runner_id)) for each in healthy)
    parts = [Cell(t("{count} healthy", count=len(healthy)), Tone.GOOD if healthy else Tone.BAD)]
    parts += [Cell(t("{count} paused", count=paused), Tone.WARN)] if paused else []
    parts += [Cell(t("{count} stale", count=len(every) - len(healthy)), Tone.WARN)] if len(every) > len(healthy) else []
    return titled(
        "Runners",
        *dotted((*parts, Cell(tn("{held} of {count} slot busy", "{held} of {count} slots busy", slots, held=held)))),
    )


def _nodes(scene: Scene) -> tuple[Cell, ...]:
    every = tuple(scene.model.nodes.values())
    parts = []
    for health in NodeHealth:
        count = sum(each.health is health for each in every)
        if count:
            parts.append(Cell(f"{count} {health.value.lower()}", nodes.health_cell(health).tone))
    known = [each for each in every if each.disk_free_pct is not None]
    if known:
        least = min(known, key=lambda each: each.disk_free_pct or 0.0)
        room = t("least room {percent} % on {node}", percent=f"{least.disk_free_pct:.0f}", node=least.name)
        parts.append(Cell(line(room), disk_tone(least.disk_free_pct)))
    return titled("Nodes", *dotted(parts or (Cell(t("none"), Tone.QUIET),)))


def _control(scene: Scene) -> tuple[Cell, ...]:
    held: list[SingletonView] = [each for each in scene.model.beside.of(topics.REPLICAS).values() if each.held]
    holders = sorted({each.holder for each in held})
    parts = [cell(tn("{count} app placed", "{count} apps placed", len(scene.model.placements)))]
    if holders:
        names = ", ".join(holders)
        parts.append(cell(tn("{count} duty held by {names}", "{count} duties held by {names}", len(held), names=names)))
    return titled("Platform", *dotted(parts))


def job(scene: Scene, job_id: str) -> Lines:
    """One job: what is asked for, how far it is, why there, and what to do."""
    found: JobView | None = scene.model.jobs.get(job_id)
    if found is None:
        words = t("Job {job} is not among the jobs that are shown any more.", job=short(job_id))
        return ((Cell(words, Tone.WARN),),)
    app_of = t("app {app}", app=line(found.app_id))
    lead = (status_cell(found.status), Cell(app_of, Tone.STRONG), eta(found, scene))
    placement = scene.model.placements.get(found.app_id)
    because = "; ".join(each.message for each in placement.reasons) if placement else ""
    node = found.runtime_node.name if found.runtime_node else ""
    where = t("placed: {why}", why=because) if because else ""
    if node:
        where = t("on node {node}", node=node) + (f": {because}" if because else "")
    _, advice, todo = (found.error_message or "").partition("What to do:")
    reason = jobs.why(found)
    return (
        dotted(each for each in lead if each.text),
        *plain(jobs.sheet(found, scene)[:3]),
        *plain((line(_wanted(found)), line(where), _config(found))),
        *(((cell(reason, Tone.BAD if found.status is JobStatus.FAILED else Tone.PLAIN),),) if reason else ()),
        *plain((*_obstacles(found), line(t("To do: {todo}", todo=todo.strip())) if advice else "")),
    )


def _wanted(found: JobView) -> str:
    """What the order says beyond app, user and source."""
    payload = found.payload
    parts = [t("port {port}", port=payload.container_port)] if payload.container_port else []
    parts += [t("path {path}", path=payload.base_path)] if payload.base_path else []
    parts += [t("health {path}", path=payload.health_check_path)] if payload.health_check_path else []
    parts += [f"Dockerfile {payload.dockerfile_path}"] if payload.dockerfile_path else []
    parts += [t("priority {number}", number=found.priority)] if found.priority else []
    parts += [t("needs {names}", names=", ".join(found.requires))] if found.requires else []
    parts += [_returned(found)] if found.returns else []
    return " · ".join(parts)


def _returned(found: JobView) -> str:
    return tn(
        "handed back {count} time, last by {runner}",
        "handed back {count} times, last by {runner}",
        found.returns or 0,
        runner=found.returned_by,
    )


def _config(found: JobView) -> str:
    if found.payload.config is None:
        return ""
    given = found.payload.config.model_dump(mode="json", exclude_none=True)
    values = ", ".join(f"{key} {_brief(value)}" for key, value in given.items() if value not in ({}, [], ()))
    return line(t("config {values}", values=values)) if values else ""


def _brief(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, dict | list) else str(value)


def _obstacles(found: JobView) -> tuple[str, ...]:
    waits = found.waiting_for
    return tuple(line(f"  {each.node}: {each.message}") for each in waits.nodes[:4]) if waits else ()


def node(scene: Scene, node_id: str) -> Lines:
    """One node: its disk against the marks, how it went, what it collected, and what a drain would do."""
    found: NodeView | None = scene.model.nodes.get(node_id)
    if found is None:
        return ((Cell(t("Node {node} is no more.", node=node_id), Tone.WARN),),)
    words = nodes.sheet(found, scene)
    return (
        (nodes.health_cell(found.health), Cell(f"  {words[0]}")),
        titled("Disk", *_disk(found, scene)),
        titled("Inodes", Cell(disk_bar(found.inodes_free_pct), disk_tone(found.inodes_free_pct))),
        titled("Collected", *_collected(found, scene)),
        *plain(words[1:]),
        *_drain(found, scene),
    )


def _disk(found: NodeView, scene: Scene) -> tuple[Cell, ...]:
    left = scene.model.beside.trends.seconds_to_full(found)
    parts = [
        Cell(disk_bar(found.disk_free_pct), disk_tone(found.disk_free_pct)),
        Cell(t("{free} of {total}", free=size(found.disk_free_bytes), total=size(found.disk_total_bytes))),
    ]
    if left is not None:
        parts.append(Cell(t("full in {time}", time=span(left)), Tone.WARN))
    went = spark(scene.model.beside.trends.room(found.node_id))
    return dotted((*parts, Cell(went, Tone.QUIET)) if len(went) > 1 else parts)


def _collected(found: NodeView, scene: Scene) -> tuple[Cell, ...]:
    """How far the agent is with making room, and what it last removed."""
    level = t("level {level}", level=found.disk_level.value) if found.disk_level else t("level unknown")
    made = found.vitals.collection if found.vitals else None
    parts = [Cell(level, Tone.QUIET)]
    if made is None:
        parts.append(Cell(t("nothing since the agent began"), Tone.QUIET))
    else:
        age = span(seconds_between(scene.now, made.at))
        images = tn("{count} image", "{count} images", made.images)
        what = f"{images}, {tn('{count} log', '{count} logs', made.logs)}"
        freed = size(made.freed_bytes)
        words = t("no. {number} {age} ago: {size} of {what}", number=made.number, age=age, size=freed, what=what)
        parts.append(Cell(words))
        parts += [cell(made.problem, Tone.BAD)] if made.problem else []
    return dotted(parts)


def _drain(found: NodeView, scene: Scene) -> Lines:
    every: Iterable[DrainView] = scene.model.beside.of(topics.DRAINS).values()
    live = [each for each in every if each.node_id == found.node_id and each.state.live]
    if live:
        return tuple(
            titled("Drain", *dotted((state_cell(each), Cell(progress(each)), cell(each.summary)))) for each in live
        )
    plan = scene.model.beside.of(topics.plan(found.name)).get(found.name)
    return tuple((each,) for each in plan_lines(plan)) if plan is not None else ()


def runner(scene: Scene, runner_id: str) -> Lines:
    """One runner: its slots, labels and disks, and what it does now."""
    found = scene.model.runners.get(runner_id)
    if found is None:
        return ((Cell(t("Runner {runner} is no more.", runner=line(runner_id)), Tone.WARN),),)
    words = runners.sheet(found, scene)
    labels = t("labels {names}", names=", ".join(found.labels)) if found.labels else t("no labels")
    return (*plain((words[0], line(labels), words[2] if len(words) > 2 else "")), *_work(scene, runner_id))


def _work(scene: Scene, runner_id: str) -> Lines:
    """Each job it holds, with its stage and its lease."""
    return tuple(
        dotted(
            (
                Cell(t("job {job}", job=short(each.id)), Tone.STRONG),
                cell(t("app {app}", app=each.app_id)),
                cell(f"{each.payload.phase or t('begins')} {each.payload.phase_message or ''}", Tone.BUSY),
                jobs.lease_text(each, scene.now),
            )
        )
        for each in held_by(scene.model.jobs, runner_id)
    )


def drain(scene: Scene, drain_id: str) -> Lines:
    """One plan: how far it is."""
    found: DrainView | None = scene.model.beside.of(topics.DRAINS).get(drain_id)
    if found is None:
        return ((Cell(t("Drain {number}", number=drain_id), Tone.STRONG),),)
    began, ended = seconds_between(scene.now, found.created_at), seconds_between(scene.now, found.finished_at)
    over = f", {t('over {age} ago', age=span(ended))}" if found.finished_at else ""
    by = t("drain {number} by {actor}, began {age} ago", number=found.id, actor=found.actor, age=span(began))
    return (
        dotted((state_cell(found), cell(t("node {name}", name=found.node), Tone.STRONG), Cell(progress(found)))),
        (cell(f"{by}{over}, {t('{count} at a time', count=found.max_parallel)}"),),
        (cell(found.summary),),
    )


def user(scene: Scene, user_id: str) -> Lines:
    """One user: the account, how much of what the user may have is there, and how the jobs go."""
    found = scene.model.beside.backlog.users().get(user_id, {})
    states = ", ".join(f"{count} {status.value.lower()}" for status, count in sorted(found.items()))
    jobs_of = t("jobs: {states}", states=states or t("none"))
    row = users.USERS.objects(scene.model).get(user_id)
    if row is None:
        return ((cell(t("user {user}", user=user_id), Tone.STRONG), Cell(f" · {jobs_of}")),)
    account, room, *_ = users.sheet(row, scene)
    return ((Cell(account, Tone.STRONG),), (Cell(room),), (Cell(line(jobs_of)),))
