"""What nodes answer to the API's own questions, read as one wire model."""

from typing import Final, TypeVar

from daemons.api.domain.workspaces import WorkspaceNode
from daemons.api.ports.workspaces import CallRefused, NodeCall, NodeCalls, NodeUnreachable, NotTheNode
from protocol.base import Envelope, Wire
from protocol.headers import WORKSPACE_FENCE

Model = TypeVar("Model", bound=Wire)
_FENCE: Final = WORKSPACE_FENCE.casefold()


async def told(calls: NodeCalls, node: WorkspaceNode, call: NodeCall, kind: type[Envelope[Model]]) -> Model:
    """The data of the answer. Raises NodeUnreachable, also for what nobody understands, CallRefused, NotTheNode."""
    async with calls.call(node, call) as answer:
        if any(name.casefold() == _FENCE for name, _ in answer.headers):
            raise NotTheNode
        body = await answer.whole()
        if answer.status != 200:
            raise _refused(node, answer.status, body)
        try:
            found = kind.model_validate_json(body).data
        except ValueError:
            found = None
    if found is None:
        raise NodeUnreachable(f"workspace node {node.name} says what nobody understands")
    return found


def _refused(node: WorkspaceNode, status: int, body: bytes) -> CallRefused:
    try:
        said = Envelope[Wire].model_validate_json(body)
    except ValueError:
        return CallRefused(status, f"workspace node {node.name} refuses this (HTTP {status})", None)
    return CallRefused(status, said.message, said.reason)
