"""Users' workspaces: where each lives, how it stands, what it uses; and the nodes that they live on. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, disk_bar, disk_tone, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.spec import Field, ViewSpec, aged, by_number, by_text, counted, signed, worded
from console.live.words import t, tn
from protocol.workspace_moves import WorkspaceMove, WorkspaceMoveState
from protocol.workspace_nodes import WorkspaceNodeHealth, WorkspaceNodeView
from protocol.workspace_operators import WorkspaceStanding
from protocol.workspaces import ContainerStatus

_STATE: Final[Mapping[ContainerStatus, tuple[str, Tone]]] = {
    ContainerStatus.RUNNING: ("✓", Tone.GOOD),
    ContainerStatus.FROZEN: ("*", Tone.PLAIN),
    ContainerStatus.STARTING: ("↻", Tone.BUSY),
    ContainerStatus.STOPPING: ("↻", Tone.BUSY),
    ContainerStatus.EXITED: ("○", Tone.QUIET),
    ContainerStatus.NOT_CREATED: ("–", Tone.QUIET),
    ContainerStatus.MOVING: ("→", Tone.BUSY),
    ContainerStatus.MOVED: ("!", Tone.WARN),
    ContainerStatus.UNKNOWN: ("?", Tone.BAD),
}
_HEALTH: Final[Mapping[WorkspaceNodeHealth, tuple[str, Tone]]] = {
    WorkspaceNodeHealth.HEALTHY: ("✓", Tone.GOOD),
    WorkspaceNodeHealth.STALE: ("?", Tone.BAD),
    WorkspaceNodeHealth.UNKNOWN: ("?", Tone.QUIET),
}
#: Moves that are not over.
GOING: Final = frozenset(
    {
        WorkspaceMoveState.QUEUED,
        WorkspaceMoveState.COPYING,
        WorkspaceMoveState.FROZEN,
        WorkspaceMoveState.SETTLING,
        WorkspaceMoveState.SWITCHED,
        WorkspaceMoveState.ROLLING_BACK,
    }
)
_STEPS: Final = 6
_NEARLY_PERCENT: Final = 80.0
_FULL_PERCENT: Final = 95.0
_MARK: Final[Mapping[Tone, str]] = {Tone.BAD: "!!", Tone.WARN: "!"}


def moment(at_ms: int | None) -> datetime | None:
    """A time of the wire; none for none and for never."""
    return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms else None


def state_cell(workspace: WorkspaceStanding) -> Cell:
    """Sign and word of a workspace's state."""
    sign, tone = _STATE[workspace.container_status]
    return Cell(f"{sign} {workspace.container_status.value}", tone)


def used_percent(workspace: WorkspaceStanding) -> float | None:
    """How much of its disk is used."""
    used, most = workspace.disk_used_bytes, workspace.disk_total_bytes
    return 100 * used / most if used is not None and most else None


def disk_cell(workspace: WorkspaceStanding) -> Cell:
    """Its disk as a bar, with the quota; `!` from 80 % on, `!!` from 95 %."""
    used = used_percent(workspace)
    if used is None:
        return Cell("–", Tone.QUIET)
    tone = Tone.BAD if used >= _FULL_PERCENT else Tone.WARN if used >= _NEARLY_PERCENT else Tone.PLAIN
    filled = min(_STEPS, round(used / 100 * _STEPS))
    bar = "█" * filled + "·" * (_STEPS - filled)
    most = size(workspace.disk_total_bytes)
    return Cell(f"{bar} {t('{percent} % of {size}', percent=f'{used:3.0f}', size=most)}{_MARK.get(tone, '')}", tone)


def _cpu(workspace: WorkspaceStanding, _: Scene) -> Cell:
    return Cell("–", Tone.QUIET) if workspace.cpu_pct is None else Cell(f"{workspace.cpu_pct:.0f}%")


def _memory(workspace: WorkspaceStanding, _: Scene) -> Cell:
    used, most = workspace.memory_bytes, workspace.memory_limit_bytes
    tight = used is not None and most and used * 100 >= 90 * most
    return Cell(f"{size(used)}{'!' if tight else ''}", Tone.WARN if tight else Tone.PLAIN)


def runs(workspace: WorkspaceStanding) -> str:
    """Which app runs, as what and how it goes."""
    if workspace.app_id is None or workspace.run_type is None:
        return ""
    state = workspace.run_state.value if workspace.run_state else "?"
    return f"{workspace.app_id} {workspace.run_type.value} {state}"


def move_of(workspace: WorkspaceStanding, scene: Scene) -> str:
    """How its newest move goes, or why that failed; nothing once it is over."""
    move: WorkspaceMove | None = scene.model.beside.of(topics.WORKSPACE_MOVES).get(workspace.user_id)
    if move is None:
        return ""
    where = move.target_node or t("a node that is yet to be chosen")
    if move.state is WorkspaceMoveState.FAILED:
        return t("did not move to {node}: {why}", node=where, why=move.error or "?")
    if move.state not in GOING:
        return ""
    copied = size(move.copied_bytes)
    return t("moves to {node}: {state}, {size} copied", node=where, state=move.state.value, size=copied)


def moves(workspace: WorkspaceStanding, scene: Scene) -> bool:
    """Whether it is on its way to another node."""
    move: WorkspaceMove | None = scene.model.beside.of(topics.WORKSPACE_MOVES).get(workspace.user_id)
    return move is not None and move.state in GOING


def why(workspace: WorkspaceStanding, scene: Scene) -> str:
    """What is wrong with it, or what one should know."""
    used = used_percent(workspace)
    parts = [workspace.reason or "", move_of(workspace, scene)]
    if used is not None and used >= _NEARLY_PERCENT:
        parts.append(t("its disk is {percent} % full", percent=f"{used:.0f}"))
    if workspace.terminals:
        parts.append(tn("{count} terminal", "{count} terminals", workspace.terminals))
    return "; ".join(filter(None, parts))


def _why(workspace: WorkspaceStanding, scene: Scene) -> Cell:
    tone = state_cell(workspace).tone if workspace.reason else Tone.QUIET
    return cell(said, tone) if (said := why(workspace, scene)) else Cell("")


def _limits(workspace: WorkspaceStanding) -> str:
    share = "?" if workspace.cpu_pct is None else f"{workspace.cpu_pct:.1f}"
    cpu = t("CPU {percent} %", percent=share)
    memory = t("memory {used} of {most}", used=size(workspace.memory_bytes), most=size(workspace.memory_limit_bytes))
    disk = t("disk {used} of {most}", used=size(workspace.disk_used_bytes), most=size(workspace.disk_total_bytes))
    return f"{cpu} · {memory} · {disk}"


def sheet(workspace: WorkspaceStanding, scene: Scene) -> tuple[str, ...]:
    """What is known of one workspace in four lines."""
    used = span(seconds_between(scene.now, moment(workspace.used_at_ms)))
    place = t("on node {node}", node=workspace.node)
    epoch = t("epoch {number}", number=workspace.epoch)
    name = t("workspace of user {user}", user=workspace.user_id)
    idle = t("used {age} ago", age=used)
    running = runs(workspace)
    return (
        line(f"{name} · {workspace.container_status.value} · {place} · {epoch} · {idle}"),
        line(_limits(workspace)),
        line(t("runs {what}", what=running) if running else t("runs nothing")),
        line(why(workspace, scene)),
    )


WORKSPACES: Final = ViewSpec[WorkspaceStanding](
    name="workspaces",
    title="Workspaces",
    objects=lambda model: model.beside.of(topics.WORKSPACES),
    order="user",
    words=lambda each, _: line(
        f"{each.user_id} {each.node} {each.container_status.value} {runs(each)} {each.reason or ''}"
    ),
    sheet=sheet,
    joined=True,
    empty="No user has a workspace yet. A user's first call makes one.",
    fields=(
        Field(
            "user",
            Column("USER", 8),
            lambda each, _: cell(each.user_id, Tone.STRONG),
            lambda each, _: by_number(int(each.user_id)),
        ),
        worded("node", Column("NODE", 12, drop=1), lambda each: each.node),
        signed("state", Column("STATE", 13), state_cell),
        Field("cpu", Column("CPU", 5, right=True, drop=3), _cpu, lambda each, _: by_number(each.cpu_pct)),
        Field("memory", Column("MEMORY", 8, right=True, drop=4), _memory, lambda each, _: by_number(each.memory_bytes)),
        Field(
            "disk",
            Column("DISK", 25),
            lambda each, _: disk_cell(each),
            lambda each, _: by_number(used_percent(each)),
            lambda each, _: "" if each.disk_used_bytes is None else str(each.disk_used_bytes),
        ),
        worded("runs", Column("RUNS", 17, drop=2), runs),
        aged("idle", Column("IDLE", 6, right=True), lambda each: moment(each.used_at_ms)),
        counted("epoch", Column("EPOCH", 5, right=True, drop=5), lambda each: each.epoch),
        Field("why", Column("WHY", 0, flex=True), _why, lambda each, scene: by_text(why(each, scene))),
    ),
)


def node_state(node: WorkspaceNodeView) -> Cell:
    """Sign and word: whether it is heard, and whether operators let users in."""
    if not node.enabled:
        return Cell("– DISABLED", Tone.QUIET)
    if node.cordoned and node.health is WorkspaceNodeHealth.HEALTHY:
        return Cell("! CORDONED", Tone.WARN)
    sign, tone = _HEALTH[node.health]
    return Cell(f"{sign} {node.health.value}", tone)


def free_percent(node: WorkspaceNodeView) -> float | None:
    """How much of its disk is free."""
    free, total = node.disk_free_bytes, node.disk_total_bytes
    return 100 * free / total if free is not None and total else None


def _node_why(node: WorkspaceNodeView) -> str:
    return t("takes no new users: {why}", why=node.reason) if node.reason else ""


def node_sheet(node: WorkspaceNodeView, scene: Scene) -> tuple[str, ...]:
    """What is known of one workspace node in three lines."""
    users = tn("{count} user lives there", "{count} users live there", node.assigned_users)
    heard = t("heard {age} ago", age=span(seconds_between(scene.now, moment(node.last_heartbeat_at_ms))))
    free = t("{free} of {total} free", free=size(node.disk_free_bytes), total=size(node.disk_total_bytes))
    quota = t("quota {kind}", kind=node.quota) if node.quota else ""
    weight = t("weight {weight}", weight=node.weight)
    counts = t(
        "{running} running, {frozen} frozen, {stopped} stopped",
        running=_count(node.containers_running),
        frozen=_count(node.containers_frozen),
        stopped=_count(node.containers_stopped),
    )
    parts = (t("workspace node {name}", name=node.name), node_state(node).text, users, heard, weight)
    return (
        line(" · ".join(parts)),
        line(" · ".join(filter(None, (counts, free, quota, node.api_base_url)))),
        line(_node_why(node) or t("nothing speaks against new users there")),
    )


def _count(count: int | None) -> str:
    return "?" if count is None else str(count)


WORKSPACE_NODES: Final = ViewSpec[WorkspaceNodeView](
    name="workspace-nodes",
    title="Workspace nodes",
    objects=lambda model: model.beside.of(topics.WORKSPACE_NODES),
    order="node",
    words=lambda node, _: line(f"{node.name} {node_state(node).text} {node.reason or ''}"),
    sheet=node_sheet,
    empty="No workspace node yet. A node appears with its first heartbeat.",
    fields=(
        worded("node", Column("NODE", 14), lambda node: node.name, Tone.STRONG),
        signed("health", Column("HEALTH", 11), node_state),
        Field(
            "disk",
            Column("   15 25   FREE DISK %", 30),
            lambda node, _: Cell(disk_bar(free_percent(node)), disk_tone(free_percent(node))),
            lambda node, _: by_number(free_percent(node)),
            lambda node, _: "" if (free := free_percent(node)) is None else f"{free:.1f}",
        ),
        counted("users", Column("USERS", 5, right=True), lambda node: node.assigned_users),
        counted("running", Column("RUN", 4, right=True), lambda node: node.containers_running),
        counted("frozen", Column("FROZEN", 6, right=True, drop=2), lambda node: node.containers_frozen),
        counted("stopped", Column("STOP", 5, right=True, drop=3), lambda node: node.containers_stopped),
        worded("quota", Column("QUOTA", 6, drop=5), lambda node: node.quota),
        counted("weight", Column("WEIGHT", 6, right=True, drop=4), lambda node: node.weight),
        aged("beat", Column("BEAT", 6, right=True, drop=1), lambda node: moment(node.last_heartbeat_at_ms)),
        worded("why", Column("WHY", 0, flex=True), _node_why),
    ),
)
