"""Users' containers: make sure of them, look at them, remove them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from daemons.kit.bodies import reply
from daemons.kit.clock import Clock
from daemons.kit.openapi import Answers
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.packages import NPM, PIP
from daemons.workspace.domain.workspaces import Phase, Workspace, container_name
from daemons.workspace.http.callers import named
from daemons.workspace.ports import Use
from daemons.workspace.services.caches import Caches
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspaces import CachesView, ContainerStatus, Heartbeat, UserRef, WorkspaceView

#: What clients call each phase.
STATUS: Final[Mapping[Phase, ContainerStatus]] = {
    Phase.ABSENT: ContainerStatus.NOT_CREATED,
    Phase.STARTING: ContainerStatus.STARTING,
    Phase.RUNNING: ContainerStatus.RUNNING,
    Phase.FROZEN: ContainerStatus.FROZEN,
    Phase.STOPPING: ContainerStatus.STOPPING,
    Phase.STOPPED: ContainerStatus.EXITED,
    Phase.LEAVING: ContainerStatus.MOVING,
    Phase.ARRIVING: ContainerStatus.MOVING,
    Phase.MOVED: ContainerStatus.MOVED,
}
_BASE: Final = "/api/fun-ai/workspace/container"


class ContainerRoutes:
    """Section A.3 of the contract; a look at a container changes nothing."""

    def __init__(self, workspaces: Workspaces, caches: Caches, root: Path, container_port: int, clock: Clock) -> None:
        self._workspaces = workspaces
        self._caches = caches
        self._root = root
        self._container_port = container_port
        self._clock = clock

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [
            web.post(f"{_BASE}/ensure", self.ensure),
            web.get(f"{_BASE}/status", self.status),
            web.post(f"{_BASE}/heartbeat", self.heartbeat),
            web.post(f"{_BASE}/remove", self.remove),
        ]

    @Answers(WorkspaceView, refuses=(502,))
    async def ensure(self, request: web.Request) -> web.Response:
        """The container runs afterwards."""
        who = named(request, UserRef)
        workspace = await self._workspaces.ensure(who.user_id, who.epoch)
        self._workspaces.touch(who.user_id, Use.CALL)
        return reply(self._view(who.user_id, workspace))

    @Answers(WorkspaceView, refuses=(502,))
    async def status(self, request: web.Request) -> web.Response:
        """As it is."""
        who = named(request, UserRef)
        return reply(self._view(who.user_id, await self._workspaces.look(who.user_id)))

    @Answers(Heartbeat, refuses=(404,))
    async def heartbeat(self, request: web.Request) -> web.Response:
        """The user is there."""
        who = named(request, UserRef)
        self._workspaces.touch(who.user_id, Use.CALL)
        return reply(Heartbeat(user_id=who.user_id, server_time_ms=int(self._clock.now().timestamp() * 1000)))

    @Answers(WorkspaceView, refuses=(502,))
    async def remove(self, request: web.Request) -> web.Response:
        """The container is gone afterwards, the files are not."""
        who = named(request, UserRef)
        await self._workspaces.remove(who.user_id, who.epoch)
        return reply(self._view(who.user_id, await self._workspaces.look(who.user_id)))

    def _cached(self, user_id: str) -> CachesView | None:
        state, limits = self._caches.state(user_id), self._caches.limits
        if state is None:
            return None
        return CachesView(
            npm_bytes=state.sizes[NPM],
            npm_limit_bytes=limits[NPM],
            pip_bytes=state.sizes[PIP],
            pip_limit_bytes=limits[PIP],
            pruned_bytes=state.pruned_bytes,
            measured_at_ms=state.at_ms,
        )

    def _view(self, user_id: str, workspace: Workspace | None) -> WorkspaceView:
        home = self._root / user_id
        return WorkspaceView(
            user_id=user_id,
            container_name=container_name(user_id),
            container_status=STATUS[workspace.phase] if workspace else ContainerStatus.NOT_CREATED,
            image=workspace.image if workspace else "",
            host_port=workspace.host_port if workspace else 0,
            container_port=self._container_port,
            host_workspace_dir=str(home),
            host_apps_dir=str(home / "apps"),
            container_workspace_dir=WORKDIR,
            container_apps_dir=f"{WORKDIR}/apps",
            epoch=workspace.epoch if workspace else 0,
            message=workspace.error if workspace else "",
            caches=self._cached(user_id),
        )
