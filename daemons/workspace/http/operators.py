"""What the API asks for operators: how workspaces stand, that one is stopped, and something that is run in one."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import read, reply
from daemons.kit.lines import answered
from daemons.kit.openapi import SOCKET, Answers
from daemons.workspace.http.callers import named
from daemons.workspace.http.containers import STATUS
from daemons.workspace.services.execs import Execs
from daemons.workspace.services.figures import Figures, Standing
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_operators import AskFigures, ExecRef, FiguresTold, WorkspaceFigures
from protocol.workspaces import UserRef

_BASE: Final = "/api/fun-ai/workspace/internal"


class OperatorRoutes:
    """Never for people: the API passes nothing on that is `internal`."""

    def __init__(self, workspaces: Workspaces, figures: Figures, execs: Execs, memory_bytes: int) -> None:
        """`memory_bytes` is what each workspace may have."""
        self._workspaces = workspaces
        self._figures = figures
        self._execs = execs
        self._memory = memory_bytes

    def table(self) -> list[web.RouteDef]:
        """For the API entry itself."""
        return [
            web.post(f"{_BASE}/figures", self.figures),
            web.post(f"{_BASE}/stop", self.stop),
            web.get(f"{_BASE}/exec", self.execute, allow_head=False),
        ]

    @Answers(FiguresTold, refuses=(404,))
    async def figures(self, request: web.Request) -> web.Response:
        """How these users' workspaces stand; nothing is started or measured for it."""
        asked = await read(request, AskFigures)
        return reply(FiguresTold(items=tuple(self._view(each) for each in self._figures.told(asked.user_ids))))

    @Answers(WorkspaceFigures, refuses=(502,))
    async def stop(self, request: web.Request) -> web.Response:
        """The container has ended; files stay, and the next use starts it again."""
        user_id = named(request, UserRef).user_id
        await self._workspaces.stop(user_id)
        (found,) = self._figures.told([user_id]) or (None,)
        return reply(self._view(found) if found is not None else WorkspaceFigures(user_id=user_id))

    @Answers(media=SOCKET, status=101, refuses=(404, 409, 429, 502))
    async def execute(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket that carries one run."""
        asked = named(request, ExecRef)
        async with self._execs.room(asked), answered(request) as line:
            await self._execs.serve(asked, line)
        return line.response

    def _view(self, standing: Standing) -> WorkspaceFigures:
        workspace, used, disk, run = standing.workspace, standing.used, standing.disk, standing.run
        return WorkspaceFigures(
            user_id=workspace.user_id,
            container_status=STATUS[workspace.phase],
            epoch=workspace.epoch,
            changed_at_ms=workspace.changed_at_ms,
            used_at_ms=workspace.used_at_ms,
            cpu_pct=used.cpu_pct if used else None,
            memory_bytes=used.memory_bytes if used else None,
            memory_limit_bytes=self._memory,
            disk_used_bytes=disk.used_bytes if disk else None,
            disk_total_bytes=disk.total_bytes if disk else None,
            run_type=run.type if run else None,
            run_state=standing.run_state,
            app_id=run.app_id if run else None,
            terminals=standing.terminals,
            message=workspace.error,
        )
