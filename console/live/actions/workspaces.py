"""What can be done with users' workspaces and with the nodes that they live on. Pure."""

from collections.abc import Callable
from typing import Any, Final

from console.live.actions.orders import (
    AttachTerminal,
    MoveWorkspace,
    SetWorkspaceNode,
    StartWorkspace,
    StopWorkspace,
    VacateWorkspaceNode,
)
from console.live.actions.spec import Action, Danger, Option, Reads
from console.live.cells import size
from console.live.model import Scene
from console.live.plain import line
from console.live.views.workspaces import move_of, moves, node_state, runs
from console.live.words import t, tn
from protocol.workspace_nodes import WorkspaceNodes, WorkspaceNodeView
from protocol.workspace_operators import WorkspaceStanding
from protocol.workspaces import ContainerStatus

_VIEWS: Final = ("workspaces",)
_NODE_VIEWS: Final = ("workspace-nodes",)
_RUNS: Final = frozenset({ContainerStatus.RUNNING, ContainerStatus.FROZEN, ContainerStatus.STARTING})


def workspace_name(workspace: WorkspaceStanding, _: Scene) -> str:
    """What a workspace is called in questions."""
    return line(t("the workspace of user {user}", user=workspace.user_id))


def node_name(node: WorkspaceNodeView, _: Scene) -> str:
    """What a workspace node is called in questions."""
    return line(t("workspace node {name}", name=node.name))


def target_options(workspace: WorkspaceStanding, found: WorkspaceNodes) -> tuple[Option, ...]:
    """The nodes that a workspace may move to, after the choice that is left to the API."""
    own = Option("", t("wherever there is most room"), None)
    return (own, *(_target(node, here=node.node_id == workspace.node_id) for node in found.nodes))


def _target(node: WorkspaceNodeView, *, here: bool) -> Option:
    free = t("{free} of {total} free", free=size(node.disk_free_bytes), total=size(node.disk_total_bytes))
    users = tn("{count} user", "{count} users", node.assigned_users)
    why = t("it is there") if here else node.reason
    return Option(node.name, line(f"{node.name} · {node_state(node).text} · {users} · {free}"), node, why)


def _unstartable(workspace: WorkspaceStanding, scene: Scene) -> str | None:
    if workspace.container_status is ContainerStatus.RUNNING:
        return t("it runs already")
    return _unreached(workspace, scene)


def _unstoppable(workspace: WorkspaceStanding, scene: Scene) -> str | None:
    if workspace.container_status in _RUNS:
        return None
    return _unreached(workspace, scene) or t("it does not run")


def _unreached(workspace: WorkspaceStanding, _: Scene) -> str | None:
    if workspace.container_status is not ContainerStatus.UNKNOWN:
        return None
    return workspace.reason or t("nobody knows how it stands")


def _unmovable(workspace: WorkspaceStanding, scene: Scene) -> str | None:
    return move_of(workspace, scene) if moves(workspace, scene) else None


def _ends(workspace: WorkspaceStanding, _: Scene) -> str:
    running = runs(workspace)
    said = t("What runs there ends ({what}).", what=running) if running else t("Nothing of the user's runs there.")
    closed = ""
    if workspace.terminals:
        closed = " " + tn("{count} terminal closes.", "{count} terminals close.", workspace.terminals)
    return f"{said}{closed} {t('Files stay, and the next use starts it again.')}"


def _copied(workspace: WorkspaceStanding, _: Scene) -> str:
    held = size(workspace.disk_used_bytes)
    return t(
        "Its files ({size}) are copied while it is used; then it stands still for a moment and lives there. What runs "
        "in it ends, and starts again with the next use.",
        size=held,
    )


def _moved(workspace: WorkspaceStanding, _: Scene, option: Option | None) -> MoveWorkspace | None:
    if option is None:
        return None
    node = option.value if isinstance(option.value, WorkspaceNodeView) else None
    return MoveWorkspace(workspace.user_id, node.node_id if node else None, node.name if node else "")


def _leaves(node: WorkspaceNodeView, _: Scene) -> str:
    return tn(
        "It takes no new users, and its user moves to another node.",
        "It takes no new users, and its {count} users move to other nodes, a few at a time.",
        node.assigned_users,
    )


def _set(cordoned: bool) -> Callable[[WorkspaceNodeView, Scene, Option | None], SetWorkspaceNode]:
    return lambda node, _scene, _option: SetWorkspaceNode(node.node_id, node.name, cordoned)


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[WorkspaceStanding](
        id="workspace.terminal",
        title="Open terminal",
        ask="Open a terminal in {name}?",
        verb="Open",
        tooltip="Open a shell in the selected workspace on this terminal; Ctrl-] comes back",
        noun="workspace",
        key="e",
        views=_VIEWS,
        name=workspace_name,
        refusal=_unreached,
        consequence=lambda _workspace, _scene: t(
            "You see, and may change, all that is the user's. It is started if it does not run. The API's log keeps "
            "that a terminal was opened, not what is typed."
        ),
        order=lambda workspace, scene, _: AttachTerminal(workspace.user_id, scene.plane),
        footer=True,
    ),
    Action[WorkspaceStanding](
        id="workspace.start",
        title="Start workspace",
        ask="Start {name}?",
        ask_many="Start {count} workspaces?",
        verb="Start",
        tooltip="Start the containers of users",
        noun="workspace",
        key="A",
        views=_VIEWS,
        name=workspace_name,
        refusal=_unstartable,
        consequence=lambda _workspace, _scene: t("Its container runs; of the user's own nothing is started."),
        order=lambda workspace, _scene, _option: StartWorkspace(workspace.user_id),
        several=True,
        footer=True,
    ),
    Action[WorkspaceStanding](
        id="workspace.stop",
        title="Stop workspace",
        ask="Stop {name}?",
        ask_many="Stop {count} workspaces?",
        typed=lambda workspace: workspace.user_id,
        verb="Stop",
        tooltip="Stop the containers of users; files stay",
        noun="workspace",
        key="X",
        views=_VIEWS,
        name=workspace_name,
        refusal=_unstoppable,
        consequence=_ends,
        order=lambda workspace, _scene, _option: StopWorkspace(workspace.user_id),
        danger=Danger.DESTRUCTIVE,
        several=True,
        footer=True,
    ),
    Action[WorkspaceStanding](
        id="workspace.migrate",
        title="Migrate",
        ask="Move {name} to another node: {option}?",
        ask_many="Move {count} workspaces to another node: {option}?",
        typed=lambda workspace: workspace.user_id,
        verb="Move",
        tooltip="Move workspaces, with all that is in them, to another node",
        noun="workspace",
        key="M",
        views=_VIEWS,
        name=workspace_name,
        refusal=_unmovable,
        consequence=_copied,
        order=_moved,
        danger=Danger.DESTRUCTIVE,
        several=True,
        reads=Reads.WORKSPACE_NODES,
        footer=True,
    ),
    Action[WorkspaceNodeView](
        id="workspace-node.drain",
        title="Drain workspace node",
        ask="Drain {name}?",
        typed=lambda node: node.name,
        verb="Drain",
        tooltip="Let a workspace node take no new users, and move its users to other nodes",
        noun="host",
        key="E",
        views=_NODE_VIEWS,
        name=node_name,
        consequence=_leaves,
        order=lambda node, _scene, _option: VacateWorkspaceNode(node.node_id, node.name),
        danger=Danger.DESTRUCTIVE,
        footer=True,
    ),
    Action[WorkspaceNodeView](
        id="workspace-node.cordon",
        title="Cordon workspace node",
        ask="Cordon {name}?",
        ask_many="Cordon {count} workspace nodes?",
        verb="Cordon",
        tooltip="Let workspace nodes take no new users; who lives there is served as ever",
        noun="host",
        key="O",
        views=_NODE_VIEWS,
        name=node_name,
        refusal=lambda node, _: t("it is cordoned already") if node.cordoned else None,
        consequence=lambda _node, _scene: t("It takes no new users; who lives there is served as ever."),
        order=_set(True),
        several=True,
        footer=True,
    ),
    Action[WorkspaceNodeView](
        id="workspace-node.uncordon",
        title="Uncordon workspace node",
        ask="Uncordon {name}?",
        ask_many="Uncordon {count} workspace nodes?",
        verb="Uncordon",
        tooltip="Let cordoned workspace nodes take new users again",
        noun="host",
        key="I",
        views=_NODE_VIEWS,
        name=node_name,
        refusal=lambda node, _: None if node.cordoned else t("it takes new users already"),
        consequence=lambda _node, _scene: t("It takes new users again."),
        order=_set(False),
        several=True,
        footer=True,
    ),
)
