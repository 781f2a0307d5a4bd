"""The only way from a confirmed action to the network: every change that the console makes is made here."""

from typing import assert_never

from console.live.actions.orders import (
    CancelJob,
    CollectNode,
    DeployApp,
    EmptyNode,
    MoveApp,
    Order,
    PinRelease,
    PlanTurn,
    ResendResult,
    RetryEnded,
    RollBack,
    SetNode,
    SetRunner,
    StopApp,
    TurnOperation,
    TurnPlan,
)
from console.live.cells import size
from console.live.commands import Commands
from console.live.plain import line
from console.live.views.jobs import short
from protocol.apps import AppCommand
from protocol.drains import StartDrain
from protocol.nodes import NodeCollected, ReassignApp
from protocol.releases import RollbackApp


class NotSent(Exception):
    """The order could not be sent; the message says why."""


async def carry_out(plane: Commands, order: Order, key: str) -> str:
    """Send an order and say what came of it. `key` makes one of the same order sent twice.

    Raises ClientError (`console.live.commands`) and NotSent.
    """
    match order:
        case DeployApp() | CancelJob() | RetryEnded() | ResendResult():
            return await _job(plane, order, key)
        case SetNode() | CollectNode() | EmptyNode() | TurnPlan() | SetRunner():
            return await _node(plane, order)
        case MoveApp() | StopApp() | RollBack() | PinRelease() | TurnOperation():
            return await _app(plane, order, key)
        case _:
            assert_never(order)


async def _job(plane: Commands, order: DeployApp | CancelJob | RetryEnded | ResendResult, key: str) -> str:
    match order:
        case DeployApp(wanted):
            job = await plane.create(wanted, idempotency_key=key)
            return f"Job {short(job.id)} for app {line(job.app_id)} was created."
        case CancelJob(job_id, name, version):
            done = await plane.cancel(job_id, expected=version)
            return f"{name} is {done.status.value}."
        case RetryEnded(job_id, name, version):
            again = await plane.retry(job_id, idempotency_key=key, expected=version)
            return f"{name} is retried as job {short(again.id)}."
        case ResendResult(number, app_id):
            sent = await plane.retry_webhook(number)
            return f"Result {sent.id} of app {app_id} is sent again."
        case _:
            assert_never(order)


async def _node(plane: Commands, order: SetNode | CollectNode | EmptyNode | TurnPlan | SetRunner) -> str:
    match order:
        case SetNode(node, enabled, version):
            await plane.set_enabled(node, enabled=enabled, expected=version)
            takes = "takes new deployments again" if enabled else "takes no new deployments"
            return f"Node {node} {takes}."
        case CollectNode(node, version):
            return f"Node {node} {removed(await plane.collect(node, expected=version))}."
        case SetRunner(runner_id, drained, version):
            await plane.set_drained(runner_id, drained=drained, expected=version)
            return f"Runner {runner_id} {'gets no more work' if drained else 'gets work again'}."
        case EmptyNode(node, version, partial):
            plan = await plane.start_drain(StartDrain(node=node, partial=partial), expected=version)
            return f"Drain {plan.id} of node {node}: {line(plan.summary)}."
        case TurnPlan(drain_id, turn, node, version):
            turns = {
                PlanTurn.PAUSE: plane.pause_drain,
                PlanTurn.RESUME: plane.resume_drain,
                PlanTurn.UNDO: plane.undo_drain,
                PlanTurn.CANCEL: plane.cancel_drain,
            }
            plan = await turns[turn](drain_id, expected=version)
            return f"Drain {plan.id} of node {node}: {line(plan.summary)}."
        case _:
            assert_never(order)


def removed(done: NodeCollected) -> str:
    """What a collection came to, after the node's name."""
    if done.pending:
        return "is still at it; its page says what came of it"
    did = f"removed {done.images} images and cut {done.logs} logs, {size(done.freed_bytes)} are free again"
    return f"{did}; {line(done.problem)}" if done.problem else did


async def _app(plane: Commands, order: MoveApp | StopApp | RollBack | PinRelease | TurnOperation, key: str) -> str:
    match order:
        case MoveApp(app_id, target_id, target, version):
            await plane.reassign(ReassignApp(app_id=app_id, target_node_id=target_id), expected=version)
            return f"App {app_id} is placed on {target}; its container follows with its next deployment."
        case StopApp():
            return await _stop(plane, order)
        case RollBack(app_id, user_id, release, version):
            wanted = RollbackApp(user_id=user_id, release=release)
            job = await plane.rollback(app_id, wanted, idempotency_key=key, expected=version)
            return f"App {app_id} goes back to release {job.release} with job {short(job.id)}."
        case PinRelease(app_id, number, pinned):
            await plane.pin_release(app_id, number, pinned=pinned)
            kept = "is kept for good" if pinned else "is kept only as long as it is one of the newest"
            return f"The image of release {number} of app {app_id} {kept}."
        case TurnOperation(number, app_id, abandon):
            done = await (plane.abandon_operation(number) if abandon else plane.retry_operation(number))
            return f"Operation {done.id} on app {app_id} is {'given up' if abandon else 'tried now'}."
        case _:
            assert_never(order)


async def _stop(plane: Commands, order: StopApp) -> str:
    user_id = order.user_id or (await plane.app(order.app_id)).user_id
    if user_id is None:
        raise NotSent(f"App {order.app_id} was not stopped: nobody knows its owner; deploy it once more, then stop it.")
    done = await plane.stop_app(AppCommand(user_id=user_id, app_id=order.app_id), expected=order.version)
    return f"App {order.app_id} {'will be stopped as soon as its node answers' if done.pending else 'is stopped'}."


def failed(order: Order) -> str:
    """How the sentence about a failure begins."""
    match order:
        case DeployApp():
            return "Nothing was deployed"
        case CancelJob(name=name):
            return f"{name} was not cancelled"
        case RetryEnded(name=name):
            return f"{name} was not retried"
        case SetNode(node=node) | CollectNode(node=node):
            return f"Node {node} was not changed"
        case SetRunner(runner_id=runner_id):
            return f"Runner {runner_id} was not changed"
        case EmptyNode(node=node):
            return f"Node {node} was not drained"
        case TurnPlan(drain_id=drain_id):
            return f"Drain {drain_id} was not changed"
        case _:
            return _app_failed(order)


def _app_failed(order: MoveApp | StopApp | RollBack | PinRelease | TurnOperation | ResendResult) -> str:
    match order:
        case MoveApp(app_id=app_id):
            return f"App {app_id} was not moved"
        case StopApp(app_id=app_id):
            return f"App {app_id} was not stopped"
        case RollBack(app_id=app_id):
            return f"App {app_id} was not rolled back"
        case PinRelease(number=number):
            return f"Release {number} was not changed"
        case TurnOperation(number=number):
            return f"Operation {number} was not changed"
        case ResendResult(number=number):
            return f"Result {number} was not sent again"
        case _:
            assert_never(order)
