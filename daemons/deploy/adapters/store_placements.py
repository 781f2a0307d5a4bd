"""Statements about placements: which node an app lives on, and why there."""

from collections.abc import Collection, Mapping, Sequence

import orjson

from daemons.deploy.domain.nodes import Placement, Reason, ServingNode
from daemons.kit.sql import Row, Session


class PlacementStatements:
    """The port `PlacementRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def placement(self, app_id: str) -> Placement | None:
        """Where the app lives."""
        row = await self._session.row("placement", app_id=app_id)
        return None if row is None else _placement(row)

    async def placements_of(self, app_ids: Collection[str]) -> Mapping[str, Placement]:
        """Where these apps live, by app id."""
        if not app_ids:
            return {}
        rows = await self._session.rows("placements_of", app_ids=list(app_ids))
        return {placement.app_id: placement for placement in map(_placement, rows)}

    async def serving_node(self, app_id: str) -> ServingNode | None:
        """The node that visitors of the app are led to."""
        row = await self._session.row("serving_node", app_id=app_id)
        return None if row is None else ServingNode(row["name"], row["agent_base_url"], row["gateway_base_url"])

    async def all_placements(self, limit: int) -> Sequence[Placement]:
        """The first `limit` placements by app id."""
        return [_placement(row) for row in await self._session.rows("all_placements", limit=limit)]

    async def placements_on(self, node_id: int, offset: int, limit: int) -> Sequence[Placement]:
        """One page of a node's placements, by app id as text."""
        rows = await self._session.rows("placements_on", node_id=node_id, offset=offset, limit=limit)
        return [_placement(row) for row in rows]

    async def count_placements(self) -> Mapping[int, int]:
        """How many apps live on each node."""
        return {int(row["node_id"]): int(row["apps"]) for row in await self._session.rows("count_placements")}

    async def count_placements_on(self, node_ids: Collection[int]) -> Mapping[int, int]:
        """How many apps live on each of these nodes that has any."""
        if not node_ids:
            return {}
        rows = await self._session.rows("count_placements_on", node_ids=sorted(node_ids))
        return {int(row["node_id"]): int(row["apps"]) for row in rows}

    async def placed_since(self, since: int) -> Mapping[int, int]:
        """How many apps came to each node, new or moved, with a `last_active_at` at or after `since`."""
        rows = await self._session.rows("placed_since", since=since)
        return {int(row["node_id"]): int(row["apps"]) for row in rows}

    async def unseen_placements(self, since: int, limit: int) -> Mapping[int, int]:
        """How many of the newest `limit` placements since then the figures of each node cannot show yet."""
        rows = await self._session.rows("unseen_placements", since=since, limit=limit)
        return {int(row["node_id"]): int(row["apps"]) for row in rows}

    async def put_placement(self, placement: Placement) -> None:
        """Insert or move; the first `created_at` stays, and 0 means `last_active_at`."""
        await self._session.change("put_placement", **_placement_columns(placement))

    async def put_placements(self, placements: Sequence[Placement]) -> None:
        """Insert or move each."""
        if placements:
            await self._session.execute_each("put_placement", [_placement_columns(each) for each in placements])

    async def delete_placement(self, app_id: str) -> bool:
        """Whether there was one."""
        return await self._session.change("delete_placement", app_id=app_id) > 0


def _placement_columns(placement: Placement) -> dict[str, str | int | None]:
    return {
        "app_id": placement.app_id,
        "node_id": placement.node_id,
        "last_active_at": placement.last_active_at,
        "create_time": placement.created_at or placement.last_active_at,
        "reasons_json": _reasons_text(placement),
    }


def _reasons_text(placement: Placement) -> str | None:
    """With the node that they speak of: a replica of the release before moves apps and leaves this column alone."""
    if not placement.reasons:
        return None
    pairs = [[str(reason.slug), reason.words] for reason in placement.reasons]
    return orjson.dumps({"node": placement.node_id, "reasons": pairs}).decode()


def _reasons(row: Row) -> tuple[Reason, ...]:
    kept = orjson.loads(row["reasons_json"]) if row["reasons_json"] else None
    if kept is None or kept["node"] != row["node_id"]:
        return ()
    return tuple(Reason(slug, words) for slug, words in kept["reasons"])


def _placement(row: Row) -> Placement:
    return Placement(
        app_id=row["app_id"],
        node_id=row["node_id"],
        last_active_at=row["last_active_at"],
        created_at=row["create_time"],
        reasons=_reasons(row),
    )
