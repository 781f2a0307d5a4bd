"""What has to be read before an action can be asked about: releases, plans, what a drain would do. Changes nothing."""

from typing import Any, Final

from console.live.actions.apps import node_options, release_options
from console.live.actions.spec import Action, Aim, Found, Option, Reads
from console.live.actions.users import role_options
from console.live.actions.workspaces import target_options
from console.live.commands import Lookups
from console.live.plain import line
from console.live.words import t
from protocol.drains import DrainPreview, DrainState, DrainView, PreviewDrain
from protocol.operations import OperationState, OperationView
from protocol.webhooks import DeliveryState, DeliveryView

_MOST: Final = 50


async def look_up(plane: Lookups, action: Action[Any], aim: Aim[Any]) -> Found:
    """What the action can be done with. Raises ClientError (`console.live.commands`)."""
    value = aim.value
    match action.reads:
        case Reads.NODES:
            return _some(node_options(value, aim.scene), t("there is no node"))
        case Reads.RELEASES:
            options = release_options(await plane.releases(value.app_id, limit=_MOST), action.id, aim.scene.now)
            return _some(options, t("app {app} has no release yet", app=value.app_id))
        case Reads.PREVIEW:
            return preview(await plane.preview_drain(PreviewDrain(node=value.name)))
        case Reads.PLANS:
            page = await plane.drains(limit=_MOST)
            mine = tuple(_plan(each, action.id) for each in page.items if each.node_id == value.node_id)
            return _some(mine, t("node {node} was not drained lately", node=value.name))
        case Reads.OPERATIONS:
            return await _operations(plane, value.app_id)
        case Reads.DELIVERIES:
            return await _deliveries(plane, value.app_id)
        case Reads.ROLES:
            return Found(role_options(value))
        case _:
            return await _of_workspaces(plane, action, value)


async def _of_workspaces(plane: Lookups, action: Action[Any], value: Any) -> Found:
    if action.reads is Reads.WORKSPACE_NODES:
        return Found(target_options(value, await plane.workspace_plane.nodes()))
    return Found()


async def _operations(plane: Lookups, app_id: str) -> Found:
    pending = await plane.operations(state=OperationState.PENDING, app_id=app_id, limit=_MOST)
    return _some(tuple(map(_operation, pending.items)), t("no node has anything to do for app {app}", app=app_id))


async def _deliveries(plane: Lookups, app_id: str) -> Found:
    page = await plane.webhooks(app_id=app_id, limit=_MOST)
    return _some(tuple(map(_delivery, page.items)), t("no result of app {app} was sent", app=app_id))


def preview(plan: DrainPreview) -> Found:
    """What a drain would do now, in words."""
    lines = tuple(
        line(f"{move.app_id} → {move.target or t('nowhere')}{f' ({move.note})' if move.note else _why(move.reasons)}")
        for move in plan.moves
    )
    said = (line(plan.explanation), *lines)
    if plan.fits:
        return Found(lines=said)
    if all(move.target is None for move in plan.moves):
        return Found(lines=said, refusal=line(plan.explanation))
    return Found(lines=(*said, t("Those that go nowhere stay there.")), partial=True)


def _why(reasons: tuple[str, ...]) -> str:
    return f": {'; '.join(reasons)}" if reasons else ""


def _some(options: tuple[Option, ...], none: str) -> Found:
    return Found(options) if options else Found(refusal=none)


def _plan(plan: DrainView, action: str) -> Option:
    refusal = None
    if action != "drain.undo" and not plan.state.live:
        refusal = t("it is over ({state})", state=plan.state.value)
    elif plan.state in (DrainState.UNDOING, DrainState.UNDONE):
        refusal = t("it is {state}", state=plan.state.value)
    elif action == "drain.pause" and plan.state is DrainState.PAUSED:
        refusal = t("it is paused already")
    elif action == "drain.resume" and plan.state is DrainState.RUNNING:
        refusal = t("it is not paused")
    name = t("drain {number}", number=plan.id)
    return Option(str(plan.id), line(f"{name} · {plan.state.value} · {plan.summary}"), plan, refusal)


def _operation(operation: OperationView) -> Option:
    words = t(
        "operation {number} · {kind} on node {node} · {why}",
        number=operation.id,
        kind=operation.kind.value,
        node=operation.node_id,
        why=operation.message or t("waits for its node"),
    )
    return Option(str(operation.id), line(words), operation)


def _delivery(delivery: DeliveryView) -> Option:
    why = t("its receiver has it") if delivery.state is DeliveryState.DELIVERED else None
    words = f"{delivery.event} · {delivery.state.value}{f' · {delivery.message}' if delivery.message else ''}"
    return Option(str(delivery.id), line(f"{t('result {number}', number=delivery.id)} · {words}"), delivery, why)
