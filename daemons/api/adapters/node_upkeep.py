"""Apps are taken out of their owners' workspaces by an order to the node that has them."""

from typing import Final

from daemons.api.ports.deletions import PartLeft
from daemons.api.ports.workspaces import NodeAnswer, NodeCall, NodeCalls, NodeUnreachable, WorkspaceStore
from protocol.base import Envelope
from protocol.workspace_upkeep import AppCleared

_PATH: Final = "/api/fun-ai/workspace/internal/maintenance/app-deleted"
#: A server that runs is ended, and a large folder removed.
_SECONDS: Final = 90.0


class NodeUpkeep:
    """The port `Workspaces`."""

    def __init__(self, store: WorkspaceStore, calls: NodeCalls) -> None:
        self._store = store
        self._calls = calls

    async def remove(self, user_id: int, app_id: int) -> None:
        """Raises PartLeft."""
        found = await self._store.look(user_id)
        if found is None:
            return
        placement, node = found
        query = f"userId={user_id}&appId={app_id}&epoch={placement.epoch}"
        try:
            async with self._calls.call(node, NodeCall("POST", _PATH, query, {}, b"", 0, patience=_SECONDS)) as answer:
                problem = _problem(answer.status, await _told(answer), app_id)
        except NodeUnreachable as error:
            raise PartLeft(str(error)) from error
        if problem:
            raise PartLeft(f"workspace node {node.name}: {problem}")


def _problem(status: int, told: Envelope[AppCleared] | None, app_id: int) -> str | None:
    if status != 200:
        return f"HTTP {status}{': ' + told.message if told is not None and told.message else ''}"
    if told is None or told.data is None or told.data.app_id != str(app_id):
        return "says what nobody understands"
    return None if told.data.complete else "; ".join(told.data.problems) or told.data.message


async def _told(answer: NodeAnswer) -> Envelope[AppCleared] | None:
    try:
        return Envelope[AppCleared].model_validate_json(await answer.whole())
    except ValueError:
        return None
