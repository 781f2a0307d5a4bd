"""What stands above the table of a page: the pulse of the platform, or what is known of one object. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from rich.cells import cell_len

from console.live import topics
from console.live.cells import Cell, Tone, cell, disk_bar, disk_tone, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.trends import spark
from console.live.views import jobs, nodes, runners
from console.live.views.apps import condition_cell, why
from console.live.views.drains import plan_lines, progress, state_cell
from console.live.views.jobs import counts, eta, held_by, short, status_cell
from console.live.words import t
from protocol.apps import AppView
from protocol.drains import DrainView
from protocol.jobs import JobStatus, JobView
from protocol.nodes import NodeHealth, NodeView, RunnerHealth
from protocol.replicas import SingletonView
from protocol.running import AppStats

Lines = tuple[tuple[Cell, ...], ...]
_HOUR_SECONDS: Final = 3600.0
_MINUTES: Final = 30
_LONG_SECONDS: Final = 600.0
_HISTORY: Final = 5
_TITLE: Final = 12


def _titled(title: str, *cells: Cell) -> tuple[Cell, ...]:
    shown = t(title)
    return (Cell(shown + " " * (_TITLE - cell_len(shown)), Tone.QUIET), *cells)


def _plain(lines: Iterable[str]) -> Lines:
    return tuple((Cell(each),) for each in lines if each)


def _dotted(parts: Iterable[Cell]) -> tuple[Cell, ...]:
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
    waits = Cell(f"{backlog.waiting} wait", Tone.WARN if backlog.waiting else Tone.QUIET)
    parts = [waits]
    if longest is not None:
        parts.append(Cell(f"oldest {span(longest[1])}", Tone.BAD if longest[1] > _LONG_SECONDS else Tone.PLAIN))
    running = found[JobStatus.RUNNING]
    parts.append(Cell(f"{running} run", Tone.BUSY if running else Tone.QUIET))
    depth = spark(scene.model.beside.trends.waiting())
    return _titled("Queue", *_dotted((*parts, Cell(depth, Tone.QUIET)) if len(depth) > 1 else parts))


def _throughput(scene: Scene) -> tuple[Cell, ...]:
    backlog = scene.model.beside.backlog
    ended = backlog.ended(scene.now, _HOUR_SECONDS)
    rate = ended.rate
    parts = [Cell(f"{ended.succeeded + ended.failed} ended in 1 h")]
    if rate is not None:
        parts.append(Cell(f"{rate:.0f} % succeeded", Tone.GOOD if rate >= 80 else Tone.WARN))
        parts.append(Cell(spark(backlog.per_minute(scene.now, _MINUTES), _MINUTES), Tone.QUIET))
    return _titled("Throughput", *_dotted(parts))


def _runners(scene: Scene) -> tuple[Cell, ...]:
    every = tuple(scene.model.runners.values())
    healthy = [each for each in every if each.health is RunnerHealth.HEALTHY]
    paused = sum(each.vitals is not None and each.vitals.pause is not None for each in healthy)
    slots = sum(each.slots or 0 for each in healthy)
    held = sum(len(held_by(scene.model.jobs, each.runner_id)) for each in healthy)
    parts = [Cell(f"{len(healthy)} healthy", Tone.GOOD if healthy else Tone.BAD)]
    parts += [Cell(f"{paused} paused", Tone.WARN)] if paused else []
    parts += [Cell(f"{len(every) - len(healthy)} stale", Tone.WARN)] if len(every) > len(healthy) else []
    return _titled("Runners", *_dotted((*parts, Cell(f"{held} of {slots} slots busy"))))


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
        parts.append(
            Cell(line(f"least room {least.disk_free_pct:.0f} % on {least.name}"), disk_tone(least.disk_free_pct))
        )
    return _titled("Nodes", *_dotted(parts or (Cell("none", Tone.QUIET),)))


def _control(scene: Scene) -> tuple[Cell, ...]:
    held: list[SingletonView] = [each for each in scene.model.beside.of(topics.REPLICAS).values() if each.held]
    holders = sorted({each.holder for each in held})
    parts = [cell(f"{len(scene.model.placements)} apps placed")]
    if holders:
        parts.append(cell(f"{len(held)} duties held by {', '.join(holders)}"))
    return _titled("Platform", *_dotted(parts))


def job(scene: Scene, job_id: str) -> Lines:
    """One job: what is asked for, how far it is, why there, and what to do."""
    found: JobView | None = scene.model.jobs.get(job_id)
    if found is None:
        return ((Cell(f"Job {short(job_id)} is not among the jobs that are shown any more.", Tone.WARN),),)
    lead = (status_cell(found.status), Cell(f"app {line(found.app_id)}", Tone.STRONG), eta(found, scene))
    placement = scene.model.placements.get(found.app_id)
    because = "; ".join(each.message for each in placement.reasons) if placement else ""
    node = found.runtime_node.name if found.runtime_node else ""
    where = f"on node {node}{f': {because}' if because else ''}" if node else (f"placed: {because}" if because else "")
    _, advice, todo = (found.error_message or "").partition("What to do:")
    reason = jobs.why(found)
    return (
        _dotted(each for each in lead if each.text),
        *_plain(jobs.sheet(found, scene)[:3]),
        *_plain((line(_wanted(found)), line(where), line(f"config {_config(found)}") if _config(found) else "")),
        *(((cell(reason, Tone.BAD if found.status is JobStatus.FAILED else Tone.PLAIN),),) if reason else ()),
        *_plain((*_obstacles(found), line(f"To do: {todo.strip()}") if advice else "")),
    )


def _wanted(found: JobView) -> str:
    """What the order says beyond app, user and source."""
    payload = found.payload
    parts = [f"port {payload.container_port}"] if payload.container_port else []
    parts += [f"path {payload.base_path}"] if payload.base_path else []
    parts += [f"health {payload.health_check_path}"] if payload.health_check_path else []
    parts += [f"Dockerfile {payload.dockerfile_path}"] if payload.dockerfile_path else []
    parts += [f"priority {found.priority}"] if found.priority else []
    parts += [f"needs {', '.join(found.requires)}"] if found.requires else []
    parts += [f"handed back {found.returns} times, last by {found.returned_by}"] if found.returns else []
    return " · ".join(parts)


def _config(found: JobView) -> str:
    if found.payload.config is None:
        return ""
    given = found.payload.config.model_dump(mode="json", exclude_none=True)
    return ", ".join(f"{key} {_brief(value)}" for key, value in given.items() if value not in ({}, [], ()))


def _brief(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, dict | list) else str(value)


def _obstacles(found: JobView) -> tuple[str, ...]:
    waits = found.waiting_for
    return tuple(line(f"  {each.node}: {each.message}") for each in waits.nodes[:4]) if waits else ()


def node(scene: Scene, node_id: str) -> Lines:
    """One node: its disk against the marks, how it went, what it collected, and what a drain would do."""
    found: NodeView | None = scene.model.nodes.get(node_id)
    if found is None:
        return ((Cell(f"Node {node_id} is no more.", Tone.WARN),),)
    words = nodes.sheet(found, scene)
    return (
        (nodes.health_cell(found.health), Cell(f"  {words[0]}")),
        _titled("Disk", *_disk(found, scene)),
        _titled("Inodes", Cell(disk_bar(found.inodes_free_pct), disk_tone(found.inodes_free_pct))),
        _titled("Collected", *_collected(found, scene)),
        *_plain(words[1:]),
        *_drain(found, scene),
    )


def _disk(found: NodeView, scene: Scene) -> tuple[Cell, ...]:
    left = scene.model.beside.trends.seconds_to_full(found)
    parts = [
        Cell(disk_bar(found.disk_free_pct), disk_tone(found.disk_free_pct)),
        Cell(f"{size(found.disk_free_bytes)} of {size(found.disk_total_bytes)}"),
    ]
    if left is not None:
        parts.append(Cell(f"full in {span(left)}", Tone.WARN))
    went = spark(scene.model.beside.trends.room(found.node_id))
    return _dotted((*parts, Cell(went, Tone.QUIET)) if len(went) > 1 else parts)


def _collected(found: NodeView, scene: Scene) -> tuple[Cell, ...]:
    """How far the agent is with making room, and what it last removed."""
    level = f"level {found.disk_level.value}" if found.disk_level else "level unknown"
    made = found.vitals.collection if found.vitals else None
    parts = [Cell(level, Tone.QUIET)]
    if made is None:
        parts.append(Cell("nothing since the agent began", Tone.QUIET))
    else:
        age = span(seconds_between(scene.now, made.at))
        images = f"{made.images} images, {made.logs} logs"
        parts.append(Cell(f"no. {made.number} {age} ago: {size(made.freed_bytes)} of {images}"))
        parts += [cell(made.problem, Tone.BAD)] if made.problem else []
    return _dotted(parts)


def _drain(found: NodeView, scene: Scene) -> Lines:
    every: Iterable[DrainView] = scene.model.beside.of(topics.DRAINS).values()
    live = [each for each in every if each.node_id == found.node_id and each.state.live]
    if live:
        return tuple(
            _titled("Drain", *_dotted((state_cell(each), Cell(progress(each)), cell(each.summary)))) for each in live
        )
    plan = scene.model.beside.of(topics.plan(found.name)).get(found.name)
    return tuple((each,) for each in plan_lines(plan)) if plan is not None else ()


def app(scene: Scene, app_id: str) -> Lines:
    """One app: how it stands, what it uses, how its last jobs went, and how to look into it."""
    found: AppView | None = scene.model.beside.of(topics.app(app_id)).get(app_id)
    lead: tuple[Cell, ...] = (Cell(f"app {line(app_id)}", Tone.STRONG),)
    if found is not None:
        where = found.node_name or "no node"
        lead = (condition_cell(found.condition), *lead, cell(f"user {found.user_id or 'unknown'}"), cell(f"on {where}"))
    used: AppStats | None = scene.model.beside.of(topics.app_stats(app_id)).get(app_id)
    return (
        _dotted(lead),
        *(((cell(why(found), Tone.WARN),),) if found is not None and why(found) else ()),
        *((_titled("Uses", *_dotted(_use(used))),) if used is not None else ()),
        _titled("Jobs", *_history(scene, app_id)),
        *_plain(
            line(f"{each.kind.value} waits on node {each.node_id}: {each.message or each.state.value}")
            for each in (found.operations if found is not None else ())
        ),
        _titled(
            "Look", Cell(line(f"funai app-logs {app_id} -f · funai app-stats {app_id} · funai app-shell {app_id}"))
        ),
    )


def _use(used: AppStats) -> tuple[Cell, ...]:
    cpu = "–" if used.cpu_pct is None else f"{used.cpu_pct:.0f}%"
    return (
        Cell(f"CPU {cpu}"),
        Cell(f"memory {size(used.memory_bytes)} of {size(used.memory_limit_bytes)}"),
        Cell(f"wrote {size(used.disk_bytes)}"),
        Cell(f"{used.processes if used.processes is not None else '?'} processes"),
        Cell("running" if used.running else "not running", Tone.GOOD if used.running else Tone.WARN),
    )


def _history(scene: Scene, app_id: str) -> tuple[Cell, ...]:
    found: Iterable[JobView] = scene.model.beside.of(topics.app_jobs(app_id)).values()
    newest = sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:_HISTORY]
    newest = [scene.model.jobs.get(each.id, each) for each in newest]
    parts = [
        Cell(
            f"{status_cell(each.status).text[0]} {short(each.id)} {span(jobs.spent(each, scene.now))}",
            status_cell(each.status).tone,
        )
        for each in newest
    ]
    return _dotted(parts or (Cell("none known", Tone.QUIET),))


def runner(scene: Scene, runner_id: str) -> Lines:
    """One runner: its slots, labels and disks, and what it does now."""
    found = scene.model.runners.get(runner_id)
    if found is None:
        return ((Cell(f"Runner {line(runner_id)} is no more.", Tone.WARN),),)
    words = runners.sheet(found, scene)
    labels = f"labels {', '.join(found.labels)}" if found.labels else "no labels"
    return (*_plain((words[0], line(labels), words[2] if len(words) > 2 else "")), *_work(scene, runner_id))


def _work(scene: Scene, runner_id: str) -> Lines:
    """Each job it holds, with its stage and its lease."""
    return tuple(
        _dotted(
            (
                Cell(f"job {short(each.id)}", Tone.STRONG),
                cell(f"app {each.app_id}"),
                cell(f"{each.payload.phase or 'begins'} {each.payload.phase_message or ''}", Tone.BUSY),
                jobs.lease_text(each, scene.now),
            )
        )
        for each in held_by(scene.model.jobs, runner_id)
    )


def drain(scene: Scene, drain_id: str) -> Lines:
    """One plan: how far it is."""
    found: DrainView | None = scene.model.beside.of(topics.DRAINS).get(drain_id)
    if found is None:
        return ((Cell(f"Drain {drain_id}", Tone.STRONG),),)
    began, ended = seconds_between(scene.now, found.created_at), seconds_between(scene.now, found.finished_at)
    over = f", over {span(ended)} ago" if found.finished_at else ""
    return (
        _dotted((state_cell(found), cell(f"node {found.node}", Tone.STRONG), Cell(progress(found)))),
        (cell(f"drain {found.id} by {found.actor}, began {span(began)} ago{over}, {found.max_parallel} at a time"),),
        (cell(found.summary),),
    )


def user(scene: Scene, user_id: str) -> Lines:
    """One user: what there is of theirs."""
    backlog = scene.model.beside.backlog
    found = backlog.users().get(user_id, {})
    states = ", ".join(f"{count} {status.value.lower()}" for status, count in sorted(found.items()))
    return (
        (cell(f"user {user_id}", Tone.STRONG), Cell(f" · jobs: {states or 'none'}")),
        (cell(f"apps {', '.join(sorted(backlog.apps_of(user_id))) or 'none'}"),),
    )
