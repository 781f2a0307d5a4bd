"""Workspace nodes and placements in tables."""

from collections.abc import Mapping, Sequence
from typing import Final

from daemons.api.domain.workspaces import (
    Beat,
    Load,
    Placement,
    PlacementChanged,
    UnknownWorkspaceNode,
    Users,
    WorkspaceNode,
    WorkspaceNodeNameTaken,
)
from daemons.api.ports.workspaces import Choice
from daemons.kit.sql import Database, Duplicate, Row, Session

#: How old a note of a user's last use may be.
_USED_MS: Final = 60_000
_WEIGHT: Final = 100


class SqlWorkspaces:
    """The port `WorkspaceStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hear(self, beat: Beat) -> WorkspaceNode:
        """The node of that name, made if need be, with what it reported now."""

        async def work(session: Session) -> WorkspaceNode:
            now, load = await session.now(), beat.load
            found = await session.row("workspace_node_named", name=beat.name)
            node_id = int(found["id"]) if found else await _add(session, _of(beat), now)
            await session.change(
                "hear_workspace_node",
                id=node_id,
                nginx_base_url=beat.nginx_base_url,
                api_base_url=beat.api_base_url,
                interval_seconds=beat.interval_seconds,
                containers_running=load.running,
                containers_frozen=load.frozen,
                containers_stopped=load.stopped,
                disk_free_bytes=load.disk_free_bytes,
                disk_total_bytes=load.disk_total_bytes,
                quota=load.quota,
                version=load.version,
                now=now,
            )
            return await workspace_node(session, node_id)

        try:
            return await self._database.urgent.transact(work)
        except Duplicate:
            # Another replica heard the node for the first time in the same moment.
            return await self._database.urgent.transact(work)

    async def nodes(self) -> tuple[Sequence[WorkspaceNode], Mapping[int, Users], int]:
        """All nodes in the order of their ids, how many users each has, and the database's time."""
        return await self._database.transact(_everything)

    async def node(self, node_id: int) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""

        async def work(session: Session) -> WorkspaceNode:
            return await workspace_node(session, node_id)

        return await self._database.transact(work)

    async def save(self, node: WorkspaceNode) -> WorkspaceNode:
        """Keep what operators say of a node. Raises UnknownWorkspaceNode, WorkspaceNodeNameTaken."""

        async def work(session: Session) -> WorkspaceNode:
            now = await session.now()
            named = await session.row("workspace_node_named", name=node.name)
            if node.id:
                await workspace_node(session, node.id)
            known = node.id or (int(named["id"]) if named else 0)
            if named is not None and int(named["id"]) != known:
                raise WorkspaceNodeNameTaken(f"another workspace node is called {node.name}")
            if not known:
                return await workspace_node(session, await _add(session, node, now))
            await session.change("save_workspace_node", id=known, **_values(node), now=now)
            return await workspace_node(session, known)

        try:
            return await self._database.transact(work)
        except Duplicate:
            raise WorkspaceNodeNameTaken(f"another workspace node is called {node.name}") from None

    async def enable(self, node_id: int, *, enabled: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""

        async def work(session: Session) -> WorkspaceNode:
            await session.change("enable_workspace_node", id=node_id, enabled=int(enabled), now=await session.now())
            return await workspace_node(session, node_id)

        return await self._database.transact(work)

    async def placement(self, user_id: int) -> tuple[Placement, WorkspaceNode] | None:
        """Where the user lives; noted as used now, to the minute."""

        async def work(session: Session) -> tuple[Placement, WorkspaceNode] | None:
            found = await placed(session, user_id)
            if found is not None:
                now = await session.now()
                if now - found[0].active_at >= _USED_MS:
                    await session.change("touch_workspace_placement", user_id=user_id, now=now)
            return found

        return await self._database.transact(work)

    async def look(self, user_id: int) -> tuple[Placement, WorkspaceNode] | None:
        """Where the user lives; nothing is noted."""

        async def work(session: Session) -> tuple[Placement, WorkspaceNode] | None:
            return await placed(session, user_id)

        return await self._database.transact(work)

    async def place(self, user_id: int, choice: Choice) -> tuple[Placement, WorkspaceNode]:
        """Where the user lives, from now on if need be. Raises what `choice` raises."""

        async def work(session: Session) -> tuple[Placement, WorkspaceNode]:
            await session.rows("lock_workspace_nodes")
            if (found := await placed(session, user_id)) is not None:
                return found
            node = choice(*await _everything(session))
            await session.change("add_workspace_placement", user_id=user_id, node_id=node.id, now=await session.now())
            made = await placed(session, user_id)
            assert made is not None  # noqa: S101 - for the type: it was inserted above
            return made

        return await self._database.transact(work)

    async def move(self, placement: Placement, target: int) -> Placement:
        """The user lives on the other node from now on. Raises PlacementChanged."""

        async def work(session: Session) -> Placement:
            known = {"user_id": placement.user_id, "epoch": placement.epoch}
            if not await session.change("move_workspace_placement", **known, node_id=target, now=await session.now()):
                raise PlacementChanged(f"user {placement.user_id} was moved meanwhile; look again")
            row = await session.row("workspace_placement", user_id=placement.user_id)
            return _placement(row) if row else placement

        return await self._database.transact(work)

    async def placements(self, node_id: int, offset: int, limit: int) -> tuple[int, Sequence[Placement]]:
        """How many users a node has, and some of them in the order of their ids."""

        async def work(session: Session) -> tuple[int, Sequence[Placement]]:
            counted = await session.row("count_workspace_placements", node_id=node_id)
            rows = await session.rows("workspace_placements_of_node", node_id=node_id, most=limit, skipped=offset)
            return int(counted["found"]) if counted else 0, [_placement(row) for row in rows]

        return await self._database.transact(work)

    async def users(self) -> int:
        """How many users there are."""

        async def work(session: Session) -> int:
            row = await session.row("count_users")
            return int(row["found"]) if row else 0

        return await self._database.transact(work)


async def _everything(session: Session) -> tuple[Sequence[WorkspaceNode], Mapping[int, Users], int]:
    counts = await session.rows("workspace_placement_counts")
    users = {int(row["node_id"]): Users(int(row["assigned"]), int(row["unseen"] or 0)) for row in counts}
    return [_node(row) for row in await session.rows("workspace_nodes")], users, await session.now()


async def placed(session: Session, user_id: int) -> tuple[Placement, WorkspaceNode] | None:
    """Where the user lives."""
    row = await session.row("workspace_placement", user_id=user_id)
    return (_placement(row), await workspace_node(session, int(row["node_id"]))) if row else None


async def workspace_node(session: Session, node_id: int) -> WorkspaceNode:
    """Raises UnknownWorkspaceNode."""
    row = await session.row("workspace_node", id=node_id)
    if row is None:
        raise UnknownWorkspaceNode(f"there is no workspace node {node_id}")
    return _node(row)


async def _add(session: Session, node: WorkspaceNode, now: int) -> int:
    return await session.insert("add_workspace_node", **_values(node), now=now)


def _of(beat: Beat) -> WorkspaceNode:
    return WorkspaceNode(0, beat.name, beat.nginx_base_url, beat.api_base_url, weight=_WEIGHT)


def _values(node: WorkspaceNode) -> dict[str, str | int]:
    return {
        "name": node.name,
        "nginx_base_url": node.nginx_base_url,
        "api_base_url": node.api_base_url,
        "enabled": int(node.enabled),
        "weight": node.weight,
    }


def _placement(row: Row) -> Placement:
    return Placement(int(row["user_id"]), int(row["node_id"]), int(row["epoch"]), int(row["last_active_at"]))


def _node(row: Row) -> WorkspaceNode:
    return WorkspaceNode(
        id=int(row["id"]),
        name=str(row["name"]),
        nginx_base_url=str(row["nginx_base_url"]),
        api_base_url=str(row["api_base_url"]),
        enabled=bool(row["enabled"]),
        weight=int(row["weight"]),
        cordoned=bool(row["cordoned"]),
        heard_at=row["last_heartbeat_at"],
        interval_seconds=row["interval_seconds"],
        load=Load(
            running=row["containers_running"],
            frozen=row["containers_frozen"],
            stopped=row["containers_stopped"],
            disk_free_bytes=row["disk_free_bytes"],
            disk_total_bytes=row["disk_total_bytes"],
            quota=row["quota"],
            version=row["version"],
        ),
    )
