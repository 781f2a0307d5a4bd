"""What the API asks before a user goes to another node: whether this one has anything of the user's."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import reply
from daemons.kit.openapi import Answers
from daemons.workspace.domain.workspaces import Phase
from daemons.workspace.http.callers import named
from daemons.workspace.ports import Homes
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_nodes import WorkspaceHeld
from protocol.workspaces import UserRef

_PATH: Final = "/api/fun-ai/workspace/internal/holds"


class HoldingRoutes:
    """Looks, and makes nothing."""

    def __init__(self, workspaces: Workspaces, homes: Homes) -> None:
        self._workspaces = workspaces
        self._homes = homes

    def table(self) -> list[web.RouteDef]:
        """For the API entry itself, never for people through it."""
        return [web.get(_PATH, self.holds)]

    @Answers(WorkspaceHeld)
    async def holds(self, request: web.Request) -> web.Response:
        """A container, a record of one, or files."""
        user_id = named(request, UserRef).user_id
        workspace = self._workspaces.find(user_id)
        lives = workspace is not None and workspace.phase not in (Phase.ABSENT, Phase.MOVED)
        return reply(WorkspaceHeld(user_id=user_id, held=lives or await self._homes.present(user_id)))
