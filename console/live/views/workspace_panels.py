"""What stands above the table of a workspace's or workspace node's page. Pure."""

from console.live import topics
from console.live.cells import Cell, Tone, cell, disk_bar, disk_tone
from console.live.model import Scene
from console.live.views import workspaces
from console.live.views.panels import Lines, titled
from console.live.words import t
from protocol.workspace_nodes import WorkspaceNodeView
from protocol.workspace_operators import WorkspaceStanding


def workspace(scene: Scene, user_id: str) -> Lines:
    """One workspace: where it is, what it uses of what it may use, what runs there, and whether it moves."""
    found: WorkspaceStanding | None = scene.model.beside.of(topics.WORKSPACES).get(user_id)
    if found is None:
        return ((Cell(t("User {user} has no workspace, or it was not read yet.", user=user_id), Tone.WARN),),)
    words = workspaces.sheet(found, scene)
    state = workspaces.state_cell(found)
    lines = [
        (state, Cell(f"  {words[0]}")),
        titled("Disk", workspaces.disk_cell(found)),
        titled("Uses", Cell(words[1])),
        titled("Runs", cell(workspaces.runs(found))),
    ]
    if said := workspaces.move_of(found, scene):
        lines.append(titled("Moves", cell(said, Tone.BUSY)))
    if words[3]:
        lines.append(titled("Why", cell(words[3], state.tone)))
    return tuple(lines)


def node(scene: Scene, node_id: str) -> Lines:
    """One workspace node: its disk against the line, its load, and what speaks against new users."""
    found: WorkspaceNodeView | None = scene.model.beside.of(topics.WORKSPACE_NODES).get(node_id)
    if found is None:
        return ((Cell(t("Workspace node {node} is no more, or was not read yet.", node=node_id), Tone.WARN),),)
    words, free = workspaces.node_sheet(found, scene), workspaces.free_percent(found)
    return (
        (workspaces.node_state(found), Cell(f"  {words[0]}")),
        titled("Disk", Cell(disk_bar(free), disk_tone(free))),
        titled("Load", Cell(words[1])),
        (Cell(words[2], Tone.WARN if found.reason else Tone.PLAIN),),
    )
