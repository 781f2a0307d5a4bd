"""Statements about plans that drain nodes, and about what is on a node."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from daemons.deploy.adapters.store_jobs import job_of
from daemons.deploy.adapters.store_releases import release_of
from daemons.deploy.domain.drains import Drain, Move
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.releases import Release
from daemons.kit.sql import Duplicate, Row, Session
from protocol.drains import DrainKind, DrainState, MoveState


class DrainStatements:
    """The port `DrainRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def insert_drain(self, drain: Drain) -> Drain | None:
        """The plan with its id; None when the node has a live one."""
        try:
            number = await self._session.insert(
                "insert_drain",
                node_id=drain.node_id,
                kind=drain.kind.value,
                state=drain.state.value,
                max_parallel=drain.max_parallel,
                is_partial=int(drain.partial),
                was_enabled=int(drain.was_enabled),
                actor=drain.actor,
                create_time=drain.created_at,
                update_time=drain.updated_at,
                finish_time=drain.finished_at,
                version=drain.version,
            )
        except Duplicate:
            return None
        return replace(drain, id=number)

    async def drain(self, drain_id: int, *, lock: bool = False) -> Drain | None:
        """One plan."""
        return _one(await self._session.row("drain_locked" if lock else "drain", id=drain_id))

    async def free_drain(self, drain_id: int) -> Drain | None:
        """One plan, locked; None while another transaction holds it."""
        return _one(await self._session.row("drain_free", id=drain_id))

    async def live_drains(self) -> Sequence[Drain]:
        """Plans that are not over."""
        return [_drain(row) for row in await self._session.rows("live_drains")]

    async def live_drain_of(self, node_id: int) -> Drain | None:
        """The node's plan that is not over."""
        return _one(await self._session.row("live_drain_of", node_id=node_id))

    async def newest_drain_of(self, node_id: int) -> Drain | None:
        """The node's newest plan."""
        return _one(await self._session.row("newest_drain_of", node_id=node_id))

    async def drains_before(self, before: int, limit: int) -> Sequence[Drain]:
        """Plans with an id below `before`, newest first."""
        return [_drain(row) for row in await self._session.rows("drains_before", before=before, limit=limit)]

    async def save_drain(self, drain: Drain, was: Drain) -> bool:
        """False when the row moved on or the node has another live plan."""
        try:
            changed = await self._session.change(
                "save_drain",
                id=drain.id,
                state=drain.state.value,
                update_time=drain.updated_at,
                finish_time=drain.finished_at,
                version=was.version + 1,
                was_version=was.version,
            )
        except Duplicate:
            return False
        return changed == 1

    async def draining_nodes(self) -> frozenset[int]:
        """Nodes with a live plan."""
        return frozenset(drain.node_id for drain in await self.live_drains())

    async def insert_move(self, move: Move) -> None:
        """One app of a new plan."""
        await self._session.change("insert_drain_move", **_columns(move))

    async def moves(self, drain_id: int) -> Sequence[Move]:
        """All moves of a plan by app id."""
        return [_move(row) for row in await self._session.rows("drain_moves", drain_id=drain_id)]

    async def save_move(self, move: Move) -> None:
        """Write all but its key."""
        await self._session.change("save_drain_move", **_columns(move))

    async def move_counts(self, drain_ids: Collection[int]) -> Mapping[int, Mapping[MoveState, int]]:
        """How many moves of each plan are in each state."""
        counts: dict[int, dict[MoveState, int]] = defaultdict(dict)
        if drain_ids:
            for row in await self._session.rows("drain_counts", drain_ids=list(drain_ids)):
                counts[row["drain_id"]][MoveState(row["state"])] = int(row["moves"])
        return counts

    async def failed_moves(self, drain_ids: Collection[int], limit: int) -> Sequence[Move]:
        """Some failed moves of these plans."""
        if not drain_ids:
            return []
        rows = await self._session.rows("drain_failures", drain_ids=list(drain_ids), limit=limit)
        return [_move(row) for row in rows]


class ResidentStatements:
    """The port `ResidentRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def apps_on(self, node_id: int, limit: int) -> Sequence[str]:
        """Apps that are placed on the node or run there."""
        rows = await self._session.rows("apps_on_node", node_id=node_id, limit=limit)
        return [str(row["app_id"]) for row in rows]

    async def newest_releases(self, app_ids: Collection[str]) -> Mapping[str, Release]:
        """The newest release of each of these apps that has one."""
        if not app_ids:
            return {}
        rows = await self._session.rows("newest_releases", app_ids=list(app_ids))
        return {release.app_id: release for release in map(release_of, rows)}

    async def newest_success(self, app_id: str) -> Job | None:
        """The newest job of the app that succeeded."""
        row = await self._session.row("newest_success", app_id=app_id)
        return None if row is None else job_of(row)


def _one(row: Row | None) -> Drain | None:
    return None if row is None else _drain(row)


def _drain(row: Row) -> Drain:
    return Drain(
        id=row["id"],
        node_id=row["node_id"],
        kind=DrainKind(row["kind"]),
        state=DrainState(row["state"]),
        max_parallel=row["max_parallel"],
        partial=bool(row["is_partial"]),
        was_enabled=bool(row["was_enabled"]),
        actor=row["actor"],
        created_at=row["create_time"],
        updated_at=row["update_time"],
        finished_at=row["finish_time"],
        version=row["version"],
    )


def _columns(move: Move) -> dict[str, str | int | None]:
    return {
        "drain_id": move.drain_id,
        "app_id": move.app_id,
        "state": move.state.value,
        "target_node_id": move.target_id,
        "job_id": move.job_id,
        "attempts": move.attempts,
        "tried": ",".join(map(str, move.tried)),
        "message": move.message,
        "update_time": move.updated_at,
    }


def _move(row: Row) -> Move:
    return Move(
        drain_id=row["drain_id"],
        app_id=row["app_id"],
        state=MoveState(row["state"]),
        updated_at=row["update_time"],
        target_id=row["target_node_id"],
        job_id=row["job_id"],
        attempts=row["attempts"],
        tried=tuple(int(number) for number in row["tried"].split(",") if number),
        message=row["message"],
    )
