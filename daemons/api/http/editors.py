"""`POST /api/fun-ai/app/open-editor`."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from daemons.api.domain.apps import App, Standing
from daemons.api.http.callers import subject
from daemons.api.http.workspaces import later
from daemons.api.ports.workspaces import CallRefused, NotTheNode
from daemons.api.services.editors import Editors
from daemons.kit.bodies import query, refuse, reply
from protocol.api import AppInfo, OfApp, OpenedEditor
from protocol.errors import ErrorReason

#: What a node refuses a user for reasons of the user's; what else it refuses is between API and node.
_PASSED_ON: Final = (400, 403, 404, 409, 413, 429, 503, 507)


class EditorRoutes:
    """Opens an app in its owner's editor."""

    def __init__(self, editors: Editors, view: Callable[[App, Standing], AppInfo]) -> None:
        self._editors = editors
        self._view = view

    def table(self) -> list[web.RouteDef]:
        """For people."""
        return [web.post("/api/fun-ai/app/open-editor", self.open)]

    async def open(self, request: web.Request) -> web.Response:
        """Folder and container are there; nothing of the app is started."""
        who, named = subject(request), query(request, OfApp)
        try:
            opened = await self._editors.open(who, named.app_id)
        except NotTheNode:
            return later()
        except CallRefused as error:
            if error.status in _PASSED_ON:
                return refuse(error.status, str(error), error.reason or ErrorReason.PEER_FAILED.value)
            raise
        return reply(
            OpenedEditor(
                user_id=who.user_id,
                app_id=str(opened.app.id),
                app=self._view(opened.app, opened.standing) if opened.standing is not None else None,
                project_dir=opened.folder,
                has_package_json=opened.has_package,
                run_status=opened.run,
                message=opened.message,
            )
        )
