"""Opens an app in its owner's editor: folder and container are there afterwards, and nothing of the app was started."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from daemons.api.domain.access import Subject
from daemons.api.domain.apps import App, Standing
from daemons.api.ports import PlaneError
from daemons.api.ports.workspaces import CallRefused, Editing, NodeUnreachable, NotTheNode
from daemons.api.services.apps import Apps, AppWithStanding
from daemons.api.services.ownership import Ownership
from daemons.api.services.workspace_ways import Way, Ways
from protocol.workspace_runs import RunState, RunView

#: How long a workspace that is being moved is waited for, and between two looks where it is.
_MOVING_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.2
_AT_WORK: Final = (RunState.STARTING, RunState.RUNNING, RunState.BUILDING, RunState.INSTALLING)


@dataclass(frozen=True, slots=True)
class Opened:
    """What an editor is shown first; `standing` and `run` are None while nobody says."""

    app: App
    standing: Standing | None
    folder: str
    has_package: bool
    run: RunView | None

    @property
    def message(self) -> str:
        """What is missing, and what to do next."""
        said = []
        if self.standing is None:
            said.append("how the app's deployments stand is not known now; look again in a minute")
        if self.run is None:
            said.append("the workspace's node does not say what runs; look again in a moment")
        elif self.run.state in _AT_WORK and self.run.app_id not in (None, str(self.app.id)):
            said.append(f"app {self.run.app_id} runs in your workspace; starting this one ends it")
        if not self.has_package:
            said.append("there is no package.json yet: write one, upload the project or fetch it by git")
        return "; ".join(said) or "ok"


class Editors:
    """Opens apps."""

    def __init__(self, ways: Ways, ownership: Ownership, apps: Apps, workspaces: Editing) -> None:
        self._ways = ways
        self._ownership = ownership
        self._apps = apps
        self._workspaces = workspaces

    async def open(self, subject: Subject, app_id: str) -> Opened:
        """Raises NotFound, TooManyCalls, NoWorkspaceNode, WorkspaceNodeDisabled, NodeUnreachable, CallRefused,
        NotTheNode when the workspace is on its way for too long."""
        app = await self._ownership.app(subject, app_id)
        with self._ways.counted(subject, long=False):
            opened, found = await asyncio.gather(self._prepared(subject, app), self._standing(subject, app_id))
        if found is None:
            return opened
        return replace(opened, app=found[0], standing=found[1])

    async def _prepared(self, subject: Subject, app: App) -> Opened:
        until = asyncio.get_running_loop().time() + _MOVING_SECONDS
        while True:
            way = await self._ways.lead(subject, str(app.id), makes=True)
            try:
                return await self._looked(way, app)
            except NotTheNode:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_LOOK_SECONDS)

    async def _looked(self, way: Way, app: App) -> Opened:
        folder = await self._workspaces.folder(*way, app.id)
        has_package = await self._workspaces.has_package(*way, app.id)
        return Opened(app, None, folder, has_package, _shown(await self._run(way), app))

    async def _run(self, way: Way) -> RunView | None:
        """Files can be edited without it."""
        try:
            return await self._workspaces.run(*way)
        except (NodeUnreachable, CallRefused):
            return None

    async def _standing(self, subject: Subject, app_id: str) -> AppWithStanding | None:
        """An editor opens while the control plane rests."""
        try:
            return await self._apps.one(subject, app_id)
        except PlaneError:
            return None


def _shown(run: RunView | None, app: App) -> RunView | None:
    """Without the address of another app's preview."""
    if run is None or run.app_id == str(app.id):
        return run
    return run.model_copy(update={"preview_url": None})
