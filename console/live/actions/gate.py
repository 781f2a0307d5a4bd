"""The only way from a confirmed action to the network: every change that the console makes is made here."""

from typing import assert_never

from console.live.actions.entry_gate import Outcome, carry_out_at_entry, failed_at_entry
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
    WorkspaceOrder,
)
from console.live.actions.workspace_gate import NotSent, carry_out_there, failed_there
from console.live.cells import size
from console.live.commands import Commands
from console.live.plain import line
from console.live.views.jobs import short
from console.live.words import later, t, tn
from protocol.apps import AppCommand
from protocol.drains import DrainDetail, StartDrain
from protocol.nodes import NodeCollected, ReassignApp
from protocol.releases import RollbackApp

__all__ = ["NotSent", "carry_out", "failed"]


async def carry_out(plane: Commands, order: Order, key: str) -> Outcome:
    """Send an order and say what came of it. `key` makes one of the same order sent twice.

    Raises ClientError (`console.live.commands`) and NotSent.
    """
    match order:
        case DeployApp() | CancelJob() | RetryEnded() | ResendResult():
            return Outcome(await _job(plane, order, key))
        case SetNode() | CollectNode() | EmptyNode() | TurnPlan() | SetRunner():
            return Outcome(await _node(plane, order))
        case MoveApp() | StopApp() | RollBack() | PinRelease() | TurnOperation():
            return Outcome(await _app(plane, order, key))
        case _ if isinstance(order, WorkspaceOrder):
            return Outcome(await carry_out_there(plane.workspace_plane, order))
        case _:
            return await carry_out_at_entry(plane, order, key)


async def _job(plane: Commands, order: DeployApp | CancelJob | RetryEnded | ResendResult, key: str) -> str:
    match order:
        case DeployApp(wanted):
            job = await plane.create(wanted, idempotency_key=key)
            return t("Job {job} for app {app} was created.", job=short(job.id), app=line(job.app_id))
        case CancelJob(job_id, name, version):
            done = await plane.cancel(job_id, expected=version)
            return t("{name} is {status}.", name=name, status=done.status.value)
        case RetryEnded(job_id, name, version):
            again = await plane.retry(job_id, idempotency_key=key, expected=version)
            return t("{name} is retried as job {job}.", name=name, job=short(again.id))
        case ResendResult(number, app_id):
            sent = await plane.retry_webhook(number)
            return t("Result {number} of app {app} is sent again.", number=sent.id, app=app_id)
        case _:
            assert_never(order)


async def _node(plane: Commands, order: SetNode | CollectNode | EmptyNode | TurnPlan | SetRunner) -> str:
    match order:
        case SetNode(node, enabled, version):
            await plane.set_enabled(node, enabled=enabled, expected=version)
            if enabled:
                return t("Node {node} takes new deployments again.", node=node)
            return t("Node {node} takes no new deployments.", node=node)
        case CollectNode(node, version):
            done = await plane.collect(node, expected=version)
            return t("Node {node} {did}.", node=node, did=removed(done))
        case SetRunner(runner_id, drained, version):
            await plane.set_drained(runner_id, drained=drained, expected=version)
            if drained:
                return t("Runner {runner} gets no more work.", runner=runner_id)
            return t("Runner {runner} gets work again.", runner=runner_id)
        case EmptyNode(node, version, partial):
            return _planned(await plane.start_drain(StartDrain(node=node, partial=partial), expected=version), node)
        case TurnPlan(drain_id, turn, node, version):
            turns = {
                PlanTurn.PAUSE: plane.pause_drain,
                PlanTurn.RESUME: plane.resume_drain,
                PlanTurn.UNDO: plane.undo_drain,
                PlanTurn.CANCEL: plane.cancel_drain,
            }
            return _planned(await turns[turn](drain_id, expected=version), node)
        case _:
            assert_never(order)


def _planned(plan: DrainDetail, node: str) -> str:
    return t("Drain {number} of node {node}: {summary}.", number=plan.id, node=node, summary=line(plan.summary))


def removed(done: NodeCollected) -> str:
    """What a collection came to, after the node's name."""
    if done.pending:
        return t("is still at it; its page says what came of it")
    did = t(
        "removed {images} and cut {logs}, {size} are free again",
        images=tn("{count} image", "{count} images", done.images),
        logs=tn("{count} log", "{count} logs", done.logs),
        size=size(done.freed_bytes),
    )
    return f"{did}; {line(done.problem)}" if done.problem else did


async def _app(plane: Commands, order: MoveApp | StopApp | RollBack | PinRelease | TurnOperation, key: str) -> str:
    match order:
        case MoveApp(app_id, target_id, target, version):
            await plane.reassign(ReassignApp(app_id=app_id, target_node_id=target_id), expected=version)
            placed = later("App {app} is placed on {node}; its container follows with its next deployment.")
            return t(placed, app=app_id, node=target)
        case StopApp():
            return await _stop(plane, order)
        case RollBack(app_id, user_id, release, version):
            wanted = RollbackApp(user_id=user_id, release=release)
            job = await plane.rollback(app_id, wanted, idempotency_key=key, expected=version)
            back = later("App {app} goes back to release {number} with job {job}.")
            return t(back, app=app_id, number=job.release, job=short(job.id))
        case PinRelease(app_id, number, pinned):
            await plane.pin_release(app_id, number, pinned=pinned)
            if pinned:
                return t("The image of release {number} of app {app} is kept for good.", number=number, app=app_id)
            kept = later("The image of release {number} of app {app} is kept only as long as it is one of the newest.")
            return t(kept, number=number, app=app_id)
        case TurnOperation(number, app_id, abandon):
            done = await (plane.abandon_operation(number) if abandon else plane.retry_operation(number))
            if abandon:
                return t("Operation {number} on app {app} is given up.", number=done.id, app=app_id)
            return t("Operation {number} on app {app} is tried now.", number=done.id, app=app_id)
        case _:
            assert_never(order)


async def _stop(plane: Commands, order: StopApp) -> str:
    user_id = order.user_id or (await plane.app(order.app_id)).user_id
    if user_id is None:
        why = later("App {app} was not stopped: nobody knows its owner; deploy it once more, then stop it.")
        raise NotSent(t(why, app=order.app_id))
    done = await plane.stop_app(AppCommand(user_id=user_id, app_id=order.app_id), expected=order.version)
    if done.pending:
        return t("App {app} will be stopped as soon as its node answers.", app=order.app_id)
    return t("App {app} is stopped.", app=order.app_id)


def failed(order: Order) -> str:
    """How the sentence about a failure begins."""
    match order:
        case DeployApp():
            return t("Nothing was deployed")
        case CancelJob(name=name):
            return t("{name} was not cancelled", name=name)
        case RetryEnded(name=name):
            return t("{name} was not retried", name=name)
        case SetNode() | CollectNode() | SetRunner() | EmptyNode() | TurnPlan():
            return _node_failed(order)
        case MoveApp() | StopApp() | RollBack() | PinRelease() | TurnOperation() | ResendResult():
            return _app_failed(order)
        case _ if isinstance(order, WorkspaceOrder):
            return failed_there(order)
        case _:
            return failed_at_entry(order)


def _node_failed(order: SetNode | CollectNode | SetRunner | EmptyNode | TurnPlan) -> str:
    match order:
        case SetNode(node=node) | CollectNode(node=node):
            return t("Node {node} was not changed", node=node)
        case SetRunner(runner_id=runner_id):
            return t("Runner {runner} was not changed", runner=runner_id)
        case EmptyNode(node=node):
            return t("Node {node} was not drained", node=node)
        case TurnPlan(drain_id=drain_id):
            return t("Drain {number} was not changed", number=drain_id)
        case _:
            assert_never(order)


def _app_failed(order: MoveApp | StopApp | RollBack | PinRelease | TurnOperation | ResendResult) -> str:
    match order:
        case MoveApp(app_id=app_id):
            return t("App {app} was not moved", app=app_id)
        case StopApp(app_id=app_id):
            return t("App {app} was not stopped", app=app_id)
        case RollBack(app_id=app_id):
            return t("App {app} was not rolled back", app=app_id)
        case PinRelease(number=number):
            return t("Release {number} was not changed", number=number)
        case TurnOperation(number=number):
            return t("Operation {number} was not changed", number=number)
        case ResendResult(number=number):
            return t("Result {number} was not sent again", number=number)
        case _:
            assert_never(order)
