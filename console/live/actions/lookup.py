"""What has to be read before an action can be asked about: releases, plans, what a drain would do. Changes nothing."""

from typing import Any, Final

from console.live.actions.apps import node_options, release_options
from console.live.actions.spec import Action, Aim, Found, Option, Reads
from console.live.commands import Lookups
from console.live.plain import line
from protocol.drains import DrainPreview, DrainState, DrainView, PreviewDrain
from protocol.operations import OperationState, OperationView
from protocol.webhooks import DeliveryState, DeliveryView

_MOST: Final = 50


async def look_up(plane: Lookups, action: Action[Any], aim: Aim[Any]) -> Found:
    """What the action can be done with. Raises ClientError (`console.live.commands`)."""
    value = aim.value
    match action.reads:
        case Reads.NODES:
            return _some(node_options(value, aim.scene), "there is no node")
        case Reads.RELEASES:
            options = release_options(await plane.releases(value.app_id, limit=_MOST), action.id)
            return _some(options, f"app {value.app_id} has no release yet")
        case Reads.PREVIEW:
            return preview(await plane.preview_drain(PreviewDrain(node=value.name)))
        case Reads.PLANS:
            page = await plane.drains(limit=_MOST)
            mine = tuple(_plan(each, action.id) for each in page.items if each.node_id == value.node_id)
            return _some(mine, f"node {value.name} was not drained lately")
        case Reads.OPERATIONS:
            pending = await plane.operations(state=OperationState.PENDING, app_id=value.app_id, limit=_MOST)
            return _some(tuple(map(_operation, pending.items)), f"no node has anything to do for app {value.app_id}")
        case Reads.DELIVERIES:
            page_of = await plane.webhooks(app_id=value.app_id, limit=_MOST)
            made = tuple(map(_delivery, page_of.items))
            return _some(made, f"no result of app {value.app_id} was sent")
        case Reads.NOTHING | Reads.FORM:
            return Found()


def preview(plan: DrainPreview) -> Found:
    """What a drain would do now, in words."""
    lines = tuple(
        line(f"{move.app_id} → {move.target or 'nowhere'}{f' ({move.note})' if move.note else _why(move.reasons)}")
        for move in plan.moves
    )
    said = (line(plan.explanation), *lines)
    if plan.fits:
        return Found(lines=said)
    if all(move.target is None for move in plan.moves):
        return Found(lines=said, refusal=line(plan.explanation))
    return Found(lines=(*said, "Those that go nowhere stay there."), partial=True)


def _why(reasons: tuple[str, ...]) -> str:
    return f": {'; '.join(reasons)}" if reasons else ""


def _some(options: tuple[Option, ...], none: str) -> Found:
    return Found(options) if options else Found(refusal=none)


def _plan(plan: DrainView, action: str) -> Option:
    refusal = None
    if action != "drain.undo" and not plan.state.live:
        refusal = f"it is over ({plan.state.value})"
    elif plan.state in (DrainState.UNDOING, DrainState.UNDONE):
        refusal = f"it is {plan.state.value}"
    elif action == "drain.pause" and plan.state is DrainState.PAUSED:
        refusal = "it is paused already"
    elif action == "drain.resume" and plan.state is DrainState.RUNNING:
        refusal = "it is not paused"
    return Option(str(plan.id), line(f"drain {plan.id} · {plan.state.value} · {plan.summary}"), plan, refusal)


def _operation(operation: OperationView) -> Option:
    words = f"{operation.kind.value} on node {operation.node_id} · {operation.message or 'waits for its node'}"
    return Option(str(operation.id), line(f"operation {operation.id} · {words}"), operation)


def _delivery(delivery: DeliveryView) -> Option:
    why = "its receiver has it" if delivery.state is DeliveryState.DELIVERED else None
    words = f"{delivery.event} · {delivery.state.value}{f' · {delivery.message}' if delivery.message else ''}"
    return Option(str(delivery.id), line(f"result {delivery.id} · {words}"), delivery, why)
