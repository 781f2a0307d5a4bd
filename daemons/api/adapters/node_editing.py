"""What an editor needs of a workspace, asked of the node that has it."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from daemons.api.adapters.node_answers import told
from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.workspaces import Placement, WorkspaceNode
from daemons.api.ports.workspaces import NodeCall, NodeCalls
from protocol.base import Envelope
from protocol.workspace_files import AppDirView, NodeType, TreeNode, TreeView
from protocol.workspace_runs import RunView

#: An image may be pulled and a container made and started first.
_MAKING_SECONDS: Final = 330.0
_LOOKING_SECONDS: Final = 15.0
_RUN_SECONDS: Final = 5.0
_DEPTH, _ENTRIES = 2, 2000
_PACKAGE: Final = "package.json"


class NodeEditing:
    """The port `Editing`."""

    def __init__(self, calls: NodeCalls) -> None:
        self._calls = calls

    async def folder(self, placement: Placement, node: WorkspaceNode, app_id: int) -> str:
        """The app's folder as programs in the workspace see it; it is there, and the container runs."""
        call = _call("POST", "files/ensure-dir", placement, _MAKING_SECONDS, appId=app_id)
        return (await told(self._calls, node, call, Envelope[AppDirView])).container_app_dir

    async def has_package(self, placement: Placement, node: WorkspaceNode, app_id: int) -> bool:
        """Whether there is a `package.json` in the folder, or in a folder of it."""
        for depth in range(_DEPTH, 0, -1):
            asked = {"appId": app_id, "maxDepth": depth, "maxEntries": _ENTRIES}
            call = _call("GET", "files/tree", placement, _LOOKING_SECONDS, **asked)
            tree = await told(self._calls, node, call, Envelope[TreeView])
            if _has_package(tree.nodes):
                return True
            if not tree.truncated:
                return False
            # Full folders hid what lies beside them; the next look goes less deep.
        return False

    async def run(self, placement: Placement, node: WorkspaceNode) -> RunView:
        """How the user's run goes; nothing is started."""
        return await told(self._calls, node, _call("GET", "run/status", placement, _RUN_SECONDS), Envelope[RunView])


def _call(method: str, path: str, placement: Placement, patience: float, **asked: int) -> NodeCall:
    query = urlencode({**asked, "userId": placement.user_id, "epoch": placement.epoch})
    return NodeCall(method, f"{PREFIX}/{path}", query, {}, patience=patience)


def _has_package(nodes: Sequence[TreeNode]) -> bool:
    files = [node for node in nodes if node.type is NodeType.FILE and not node.link]
    return any(node.name == _PACKAGE for node in files) or any(_has_package(node.children) for node in nodes)
