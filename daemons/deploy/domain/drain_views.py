"""Plans that drain nodes as wire models."""

from collections.abc import Mapping, Sequence

from daemons.deploy.domain.capacity import Destination, Forecast, Room, explanation
from daemons.deploy.domain.drains import Drain, Move, summary
from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.domain.views import when
from protocol.drains import DrainDetail, DrainMove, DrainPreview, DrainView, MoveState, NodeRoom, PlannedMove


def drain_view(drain: Drain, node: str, counts: Mapping[MoveState, int], failures: Sequence[Move]) -> DrainView:
    """A plan as operators list it; `failures` are some of its failed moves."""
    return DrainView(
        id=drain.id,
        kind=drain.kind,
        state=drain.state,
        node_id=drain.node_id,
        node=node,
        max_parallel=drain.max_parallel,
        partial=drain.partial,
        actor=drain.actor,
        summary=summary(drain, counts, failures),
        counts={state: counts[state] for state in MoveState if counts.get(state)},
        created_at=when(drain.created_at),
        updated_at=when(drain.updated_at),
        finished_at=None if drain.finished_at is None else when(drain.finished_at),
    )


def drain_detail(view: DrainView, moves: Sequence[Move]) -> DrainDetail:
    """A plan with moves."""
    known = {name: getattr(view, name) for name in DrainView.model_fields}
    return DrainDetail(**known, moves=tuple(map(move_view, moves)))


def move_view(move: Move) -> DrainMove:
    """One app of a plan."""
    return DrainMove(
        app_id=move.app_id,
        state=move.state,
        target_node_id=move.target_id,
        job_id=move.job_id,
        attempts=move.attempts,
        message=move.message,
        updated_at=when(move.updated_at),
    )


def preview_view(node: RuntimeNode, forecast: Forecast) -> DrainPreview:
    """What a drain of the node would do."""
    return DrainPreview(
        node_id=node.id,
        node=node.name,
        fits=forecast.fits,
        moves=tuple(map(_planned, forecast.moves)),
        targets=tuple(map(_room, forecast.rooms)),
        explanation=explanation(forecast),
    )


def _planned(move: Destination) -> PlannedMove:
    resident = move.resident
    return PlannedMove(
        app_id=resident.app_id,
        runs=resident.cargo is not None or resident.unknown,
        target_node_id=move.target.id if move.target else None,
        target=move.target.name if move.target else None,
        image=resident.image,
        reasons=move.reasons,
        note=resident.note,
    )


def _room(room: Room) -> NodeRoom:
    return NodeRoom(
        node_id=room.node.id,
        name=room.node.name,
        apps=room.apps,
        disk_free_bytes=room.node.disk_free_bytes,
        disk_free_bytes_after=room.after.disk_free_bytes,
        disk_free_pct=room.node.disk_free_pct,
        disk_free_pct_after=room.after.disk_free_pct,
        inodes_free_pct=room.node.inodes_free_pct,
        inodes_free_pct_after=room.after.inodes_free_pct,
        stops=room.stops,
    )
