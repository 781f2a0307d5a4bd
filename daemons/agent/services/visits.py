"""Who visited an app, for its owner and operators."""

from daemons.agent.ports import AccessLog
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger


class Visits:
    """Reads the access log of apps that this node knows."""

    def __init__(self, ledger: Ledger, access_log: AccessLog) -> None:
        self._ledger = ledger
        self._access_log = access_log

    async def tail(self, user_id: str, app_id: str, lines: int) -> str:
        """The newest lines, as JSON each. Raises UnknownApp and StateError."""
        if self._ledger.get(app_id).user_id != user_id:
            raise UnknownApp(f"app {app_id} of user {user_id} has never been on this node")
        return await self._access_log.tail(app_id, lines)
