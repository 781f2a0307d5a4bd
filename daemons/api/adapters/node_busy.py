"""How busy nodes are, as they say themselves."""

from typing import Final

from daemons.api.adapters.node_answers import told
from daemons.api.domain.capacity import Busy
from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.workspaces import Placement, WorkspaceNode
from daemons.api.ports.workspaces import NodeCall, NodeCalls
from protocol.base import Envelope
from protocol.workspace_upkeep import BusyCount

#: The node looks into its memory.
_SECONDS: Final = 3.0


class NodeBusy:
    """The port `BusyNodes`."""

    patience: Final = _SECONDS

    def __init__(self, calls: NodeCalls) -> None:
        self._calls = calls

    async def busy(self, placement: Placement, node: WorkspaceNode) -> Busy:
        """Raises NodeUnreachable, CallRefused, NotTheNode."""
        query = f"userId={placement.user_id}&epoch={placement.epoch}"
        call = NodeCall("GET", f"{PREFIX}/internal/run/busy-count", query, {}, patience=_SECONDS)
        counted = await told(self._calls, node, call, Envelope[BusyCount])
        return Busy(counted.busy_count, counted.user_busy)
