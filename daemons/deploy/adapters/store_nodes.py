"""Statements about nodes, the last known state of apps, and runners."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Generic, TypeVar

import orjson

from daemons.deploy.domain.nodes import AppRun, Runner, RuntimeNode
from daemons.kit.sql import Duplicate, Row, Session
from protocol.nodes import RunnerVitals

_RECENT_SECONDS: Final = 2.0
#: Places in the list that the statement `nodes` answers, which has the order of the fields of `RuntimeNode`.
_ENABLED: Final = 4
_LABELS: Final = 18
_FRACTIONS: Final = (7, 10, 12)
T = TypeVar("T")


class NodeStatements:
    """The port `NodeRows`. `nodes_changed` is true once the transaction wrote one, `beaten` are those of which it wrote
    but the figures; `recent_nodes` is what its process read of them last."""

    nodes_changed = False
    beaten: Sequence[RuntimeNode] = ()
    recent_nodes: "Recent[RuntimeNode] | None" = None

    def __init__(self, session: Session) -> None:
        self._session = session

    async def nodes(self) -> Sequence[RuntimeNode]:
        """All nodes by id."""
        return [_listed(row["node"]) for row in await self._session.rows("nodes")]

    async def nodes_lately(self) -> Sequence[RuntimeNode]:
        """All nodes by id, as this process wrote them or somebody else had up to two seconds ago."""
        if self.recent_nodes is None or self.nodes_changed or self.beaten:
            return await self.nodes()
        return await self.recent_nodes.read(self.nodes)

    async def nodes_of(self, node_ids: Collection[int]) -> Sequence[RuntimeNode]:
        """Those of these nodes that there are."""
        if not node_ids:
            return []
        return [_node(row) for row in await self._session.rows("nodes_together", keys=sorted(node_ids))]

    async def node(self, node_id: int) -> RuntimeNode | None:
        """One node."""
        row = await self._session.row("node", id=node_id)
        return None if row is None else _node(row)

    async def node_named(self, name: str, *, lock: bool = False) -> RuntimeNode | None:
        """One node by its unique name."""
        row = await self._session.row("node_named_locked" if lock else "node_named", name=name)
        return None if row is None else _node(row)

    async def nodes_named(self, names: Collection[str]) -> Mapping[str, RuntimeNode]:
        """Those of these nodes that there are, by name, locked in the order of their names."""
        if not names:
            return {}
        rows = await self._session.rows("nodes_named_locked", names=sorted(names))
        return {node.name: node for node in map(_node, rows)}

    async def write_beats(self, nodes: Collection[RuntimeNode]) -> None:
        """Write what heartbeats tell of these nodes but their addresses."""
        if nodes:
            self.beaten = [*self.beaten, *nodes]
            rows = [_beat_columns(node) for node in sorted(nodes, key=lambda node: node.id)]
            await self._session.change("write_beats", beats=json.dumps(rows))

    async def insert_node(self, node: RuntimeNode) -> RuntimeNode | None:
        """The node with its id; None when the name is taken."""
        self.nodes_changed = True
        try:
            number = await self._session.insert("insert_node", name=node.name, **_node_columns(node))
        except Duplicate:
            return None
        return replace(node, id=number)

    async def save_node(self, node: RuntimeNode) -> None:
        """Write every column but the id and the name."""
        self.nodes_changed = True
        await self._session.change("save_node", id=node.id, **_node_columns(node))


class Recent(Generic[T]):
    """Rows as one process read them last, for two seconds at most and until it writes one itself."""

    def __init__(self, same: Callable[[T], object]) -> None:
        self._same = same
        self._rows: Sequence[T] = ()
        self._until = 0.0
        self._writes = 0

    async def read(self, fetch: Callable[[], Awaitable[Sequence[T]]]) -> Sequence[T]:
        """What was read last, or else what `fetch` reads now."""
        began, writes = asyncio.get_running_loop().time(), self._writes
        if began < self._until:
            return self._rows
        found = await fetch()
        if writes == self._writes:
            self._rows, self._until = found, began + _RECENT_SECONDS
        return found

    def forget(self) -> None:
        """This process wrote a row; what a look that is under way finds may be from before."""
        self._writes += 1
        self._until = 0.0

    def refresh(self, rows: Sequence[T]) -> None:
        """This process wrote these rows, and they look like this now."""
        self._writes += 1
        new = {self._same(row): row for row in rows}
        self._rows = [new.get(self._same(row), row) for row in self._rows]


class AppRunStatements:
    """The port `AppRunRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def app_run(self, app_id: str) -> AppRun | None:
        """The last known state of one app."""
        row = await self._session.row("app_run", app_id=app_id)
        return None if row is None else app_run_of(row)

    async def app_runs(self, limit: int) -> Sequence[AppRun]:
        """The first `limit` by app id."""
        return [app_run_of(row) for row in await self._session.rows("app_runs", limit=limit)]

    async def put_app_run(self, run: AppRun) -> None:
        """Insert or overwrite."""
        await self._session.change(
            "put_app_run",
            app_id=run.app_id,
            node_id=run.node_id,
            last_job_id=run.last_job_id,
            last_job_status=run.last_job_status,
            last_error=run.last_error,
            last_deployed_at=run.last_deployed_at,
            last_active_at=run.last_active_at,
            built_by=run.built_by,
        )

    async def delete_app_run(self, app_id: str) -> bool:
        """Whether there was one."""
        return await self._session.change("delete_app_run", app_id=app_id) > 0


class RunnerStatements:
    """The port `RunnerRows`. `runners_changed` and `recent_runners` are as of nodes."""

    runners_changed = False
    recent_runners: "Recent[Runner] | None" = None

    def __init__(self, session: Session) -> None:
        self._session = session

    async def touch_runners(self, runners: Sequence[Runner]) -> None:
        """Insert or update; fields that are None keep their stored value."""
        if runners:
            self.runners_changed = True
            rows = [_runner_columns(runner) for runner in sorted(runners, key=lambda runner: runner.id)]
            await self._session.change("touch_runners", runners=json.dumps(rows))

    async def runners(self) -> Sequence[Runner]:
        """All runners by id."""
        return [_runner(row) for row in await self._session.rows("runners")]

    async def runners_lately(self) -> Sequence[Runner]:
        """All runners by id, as this process wrote them or somebody else had up to a second ago."""
        if self.recent_runners is None or self.runners_changed:
            return await self.runners()
        return await self.recent_runners.read(self.runners)

    async def runners_named(self, ids: Collection[str]) -> Mapping[str, Runner]:
        """Those of these runners that are known, by id."""
        if not ids:
            return {}
        rows = await self._session.rows("runners_named", ids=sorted(ids))
        return {runner.id: runner for runner in map(_runner, rows)}

    async def drain_runner(self, runner: Runner) -> None:
        """Write `drained_at` and `drained_by` of a runner that is there."""
        self.runners_changed = True
        at, by = runner.drained_at, runner.drained_by
        await self._session.change("drain_runner", id=runner.id, drained_at=at, drained_by=by)

    async def drained_runners(self, ids: Collection[str]) -> Collection[str]:
        """Those of these runners that are drained."""
        if not ids:
            return ()
        return {row["id"] for row in await self._session.rows("drained_runners", ids=sorted(ids))}

    async def lock_runners(self, ids: Collection[str], now: int) -> None:
        """Lock these runners' rows, making those that are new."""
        if not ids:
            return
        there = {row["id"] for row in await self._session.rows("lock_runners", ids=sorted(ids))}
        await self.touch_runners([Runner(name, now) for name in set(ids) - there])

    async def forget_runners(self, unseen_since: int) -> int:
        """Delete runners last seen before; how many."""
        self.runners_changed = True
        return await self._session.change("forget_runners", unseen_since=unseen_since)


def _node_columns(node: RuntimeNode) -> dict[str, str | int | float | None]:
    return {
        "agent_base_url": node.agent_base_url,
        "gateway_base_url": node.gateway_base_url,
        "enabled": int(node.enabled),
        "weight": node.weight,
        "create_time": node.created_at,
        **_figures(node),
    }


def _beat_columns(node: RuntimeNode) -> dict[str, str | int | float]:
    """What is not known is left out: an absent key of JSON is a NULL of its column."""
    return {"id": node.id} | {name: value for name, value in _figures(node).items() if value is not None}


def _figures(node: RuntimeNode) -> dict[str, str | int | float | None]:
    """What heartbeats tell."""
    return {
        "last_heartbeat_at": node.last_heartbeat_at,
        "disk_free_pct": node.disk_free_pct,
        "disk_free_bytes": node.disk_free_bytes,
        "disk_total_bytes": node.disk_total_bytes,
        "inodes_free_pct": node.inodes_free_pct,
        "container_count": node.container_count,
        "interval_seconds": node.interval_seconds,
        "agent_version": node.version,
        "update_time": node.updated_at,
        "inodes_total": node.inodes_total,
        "inodes_free": node.inodes_free,
        "labels_csv": ",".join(node.labels),
        "disk_level": node.disk_level,
        "disk_words": node.disk_words,
        "vitals_json": node.vitals,
    }


def _node(row: Row) -> RuntimeNode:
    return RuntimeNode(
        id=row["id"],
        name=row["name"],
        agent_base_url=row["agent_base_url"],
        gateway_base_url=row["gateway_base_url"],
        enabled=bool(row["enabled"]),
        weight=row["weight"],
        last_heartbeat_at=row["last_heartbeat_at"],
        disk_free_pct=row["disk_free_pct"],
        disk_free_bytes=row["disk_free_bytes"],
        disk_total_bytes=row["disk_total_bytes"],
        inodes_free_pct=row["inodes_free_pct"],
        container_count=row["container_count"],
        interval_seconds=row["interval_seconds"],
        version=row["agent_version"],
        created_at=row["create_time"],
        updated_at=row["update_time"],
        inodes_total=row["inodes_total"],
        inodes_free=row["inodes_free"],
        labels=_split(row["labels_csv"]),
        disk_level=row["disk_level"],
        disk_words=row["disk_words"],
        vitals=row["vitals_json"],
    )


def _split(joined: str) -> tuple[str, ...]:
    return tuple(filter(None, joined.split(",")))


def _listed(text: str) -> RuntimeNode:
    columns = orjson.loads(text)
    # MariaDB writes a whole number of a DOUBLE without a point.
    for place in _FRACTIONS:
        columns[place] = None if columns[place] is None else float(columns[place])
    columns[_ENABLED], columns[_LABELS] = bool(columns[_ENABLED]), _split(columns[_LABELS])
    return RuntimeNode(*columns)


def app_run_of(row: Row) -> AppRun:
    """A row as it is stored."""
    return AppRun(
        app_id=row["app_id"],
        node_id=row["node_id"],
        last_job_id=row["last_job_id"],
        last_job_status=row["last_job_status"],
        last_error=row["last_error"],
        last_deployed_at=row["last_deployed_at"],
        last_active_at=row["last_active_at"],
        built_by=row["built_by"],
    )


def _runner_columns(runner: Runner) -> dict[str, str | int]:
    said: dict[str, str | int | None] = {
        "id": runner.id,
        "last_seen_at": runner.last_seen_at,
        "slots": runner.slots,
        "runner_version": runner.version,
        "host": runner.host,
        "labels_csv": None if runner.labels is None else ",".join(runner.labels),
        "vitals_json": None if runner.vitals is None else _told(runner.vitals, runner.vitals_at),
    }
    return {name: value for name, value in said.items() if value is not None}


def _told(vitals: RunnerVitals, at: int) -> str:
    return orjson.dumps({"at": at, "vitals": vitals.to_data()}).decode()


def _runner(row: Row) -> Runner:
    told = orjson.loads(row["vitals_json"]) if row["vitals_json"] else None
    return Runner(
        id=row["id"],
        last_seen_at=row["last_seen_at"],
        slots=row["slots"],
        version=row["runner_version"],
        host=row["host"],
        labels=None if row["labels_csv"] is None else _split(row["labels_csv"]),
        vitals=RunnerVitals.model_validate(told["vitals"], strict=False) if told else None,
        vitals_at=told["at"] if told else 0,
        drained_at=row["drained_at"],
        drained_by=row["drained_by"],
    )
