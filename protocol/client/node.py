"""The client of runtime agents: what they tell and ask the deploy control plane."""

from protocol.apps import ConfirmFence, FenceConfirmed
from protocol.client.transport import DEFAULT_SECONDS, Transport
from protocol.nodes import ImagesInUse, ImagesKept, NodeHeartbeat, RawNode


class NodeClient:
    """What runtime agents call."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def heartbeat(self, beat: NodeHeartbeat) -> RawNode:
        """Register or refresh the node."""
        return await self.transport.call(
            "POST", "/internal/runtime-nodes/heartbeat", RawNode, body=beat, seconds=DEFAULT_SECONDS
        )

    async def images(self, order: ImagesInUse) -> ImagesKept:
        """Ask which images must stay."""
        return await self.transport.call(
            "POST", "/internal/runtime-nodes/images", ImagesKept, body=order, seconds=DEFAULT_SECONDS
        )

    async def confirm_fence(self, order: ConfirmFence) -> FenceConfirmed:
        """Ask whether the attempt may go live now."""
        return await self.transport.call("POST", "/internal/fences/confirm", FenceConfirmed, body=order)
