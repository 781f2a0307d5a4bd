"""The part of the platform's twin that knows of workspaces: the API entry's operators' side."""

from collections.abc import Callable

from protocol.client.transport import Refused
from protocol.workspace_moves import WorkspaceMove, WorkspaceMoves, WorkspaceMoveState, WorkspaceNodeDrain
from protocol.workspace_nodes import (
    RawWorkspaceNode,
    WorkspaceNodeHealth,
    WorkspaceNodes,
    WorkspaceNodeView,
    WorkspacePlacements,
    WorkspacePlacementView,
)
from protocol.workspace_operators import WorkspaceStanding, WorkspaceStandings
from protocol.workspace_runs import RunState, RunType
from protocol.workspaces import ContainerStatus
from tests.console.samples import ago, millis

_GB = 10**9


def house(number: int, name: str, **more: object) -> WorkspaceNodeView:
    fields: dict[str, object] = {
        "node_id": number,
        "name": name,
        "nginx_base_url": f"http://10.1.0.{number}",
        "api_base_url": f"http://10.1.0.{number}:7001",
        "enabled": True,
        "weight": 100,
        "assigned_users": 3,
        "last_heartbeat_at_ms": millis(ago(7)),
        "health": WorkspaceNodeHealth.HEALTHY,
        "containers_running": 2,
        "containers_frozen": 1,
        "containers_stopped": 4,
        "disk_free_bytes": 640 * _GB,
        "disk_total_bytes": 1000 * _GB,
        "quota": "image",
    }
    return WorkspaceNodeView.model_validate(fields | more)


def workspace(user_id: str, **more: object) -> WorkspaceStanding:
    fields: dict[str, object] = {
        "user_id": user_id,
        "node_id": 1,
        "node": "ws-node-01",
        "container_status": ContainerStatus.RUNNING,
        "epoch": 1,
        "used_at_ms": millis(ago(75)),
        "cpu_pct": 12.5,
        "memory_bytes": 412_000_000,
        "memory_limit_bytes": 2_147_483_648,
        "disk_used_bytes": 3_100_000_000,
        "disk_total_bytes": 10_737_418_240,
    }
    return WorkspaceStanding.model_validate(fields | more)


def move(number: int, user_id: str, **more: object) -> WorkspaceMove:
    fields: dict[str, object] = {
        "move_id": number,
        "user_id": user_id,
        "state": WorkspaceMoveState.COPYING,
        "source_node_id": 1,
        "source_node": "ws-node-01",
        "target_node_id": 2,
        "target_node": "ws-node-02",
        "epoch": 1,
        "copied_files": 812,
        "copied_bytes": 1_200_000_000,
        "created_at_ms": millis(ago(40)),
        "updated_at_ms": millis(ago(1)),
    }
    return WorkspaceMove.model_validate(fields | more)


class Houses:
    """`lives` are the workspaces by user; `calls` what was ordered, in order. `reached` raises while nobody answers."""

    def __init__(self, reached: Callable[[], None], calls: list[tuple[str, ...]]) -> None:
        self.reached = reached
        self.calls = calls
        self.houses: tuple[WorkspaceNodeView, ...] = ()
        self.lives: dict[str, WorkspaceStanding] = {}
        self.on_the_way: tuple[WorkspaceMove, ...] = ()

    def furnish(self) -> None:
        """Something of everything."""
        self.houses = (
            house(1, "ws-node-01"),
            house(
                2,
                "ws-node-02",
                disk_free_bytes=120 * _GB,
                reason="12 % of its disk is free, and 15 % must be",
                cordoned=True,
            ),
            house(3, "ws-node-03", health=WorkspaceNodeHealth.STALE, reason="it was last heard of 190 s ago"),
        )
        found = (
            workspace("1", app_id="20001", run_type=RunType.DEV, run_state=RunState.RUNNING, terminals=2),
            workspace("2", container_status=ContainerStatus.FROZEN, cpu_pct=None, used_at_ms=millis(ago(900))),
            workspace("3", disk_used_bytes=10_500_000_000, memory_bytes=2_100_000_000, epoch=4),
            workspace("42", container_status=ContainerStatus.EXITED, cpu_pct=None, memory_bytes=None, node_id=2),
            workspace(
                "77",
                container_status=ContainerStatus.UNKNOWN,
                node_id=3,
                node="ws-node-03",
                reason="workspace node ws-node-03 does not answer (TimeoutError)",
                disk_used_bytes=None,
                cpu_pct=None,
                memory_bytes=None,
            ),
        )
        self.lives = {each.user_id: each for each in found}
        self.on_the_way = (move(5, "3"),)

    async def nodes(self) -> WorkspaceNodes:
        self.reached()
        return WorkspaceNodes(total_users=9, total_placements=len(self.lives), nodes=self.houses)

    async def workspaces(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspaceStandings:
        self.reached()
        found = [each for each in self.lives.values() if each.node_id == node_id]
        return WorkspaceStandings(node_id=node_id, total=len(found), items=tuple(found[offset : offset + limit]))

    async def placements(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspacePlacements:
        self.reached()
        found = [
            WorkspacePlacementView(user_id=each.user_id, node_id=node_id, last_active_at=0, epoch=each.epoch)
            for each in self.lives.values()
            if each.node_id == node_id
        ]
        return WorkspacePlacements(node_id=node_id, total=len(found), items=tuple(found[offset : offset + limit]))

    async def workspace(self, user_id: str) -> WorkspaceStanding:
        self.reached()
        if user_id not in self.lives:
            raise Refused(404, f"user {user_id} has no workspace; the user's first call makes one", "not_found")
        return self.lives[user_id]

    async def moves(
        self, *, node_id: int | None = None, active: bool | None = None, offset: int = 0, limit: int = 100
    ) -> WorkspaceMoves:
        self.reached()
        return WorkspaceMoves(total=len(self.on_the_way), items=self.on_the_way)

    async def start_workspace(self, user_id: str) -> WorkspaceStanding:
        return await self._become("start_workspace", user_id, ContainerStatus.RUNNING)

    async def stop_workspace(self, user_id: str) -> WorkspaceStanding:
        return await self._become("stop_workspace", user_id, ContainerStatus.EXITED)

    async def start_move(self, user_id: str, target: int | None = None) -> WorkspaceMove:
        await self.workspace(user_id)
        self.calls.append(("start_move", user_id, str(target)))
        made = move(6, user_id, state=WorkspaceMoveState.QUEUED)
        self.on_the_way = (made, *self.on_the_way)
        return made

    async def drain_node(self, node_id: int, target: int | None = None) -> WorkspaceNodeDrain:
        self.reached()
        self.calls.append(("drain_node", str(node_id)))
        return WorkspaceNodeDrain(node_id=node_id, users=3, started=3)

    async def cordon(self, node_id: int, *, cordoned: bool) -> RawWorkspaceNode:
        self.reached()
        self.calls.append(("cordon", str(node_id), str(cordoned)))
        found = next(each for each in self.houses if each.node_id == node_id)
        changed = found.model_copy(update={"cordoned": cordoned})
        self.houses = tuple(changed if each.node_id == node_id else each for each in self.houses)
        return RawWorkspaceNode(
            id=node_id,
            name=found.name,
            nginx_base_url=found.nginx_base_url,
            api_base_url=found.api_base_url,
            enabled=found.enabled,
            weight=found.weight,
            cordoned=cordoned,
        )

    async def _become(self, call: str, user_id: str, status: ContainerStatus) -> WorkspaceStanding:
        now = (await self.workspace(user_id)).model_copy(update={"container_status": status})
        self.calls.append((call, user_id))
        self.lives[user_id] = now
        return now
