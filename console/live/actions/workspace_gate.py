"""The part of the gate that leads to workspaces."""

from typing import assert_never

from console.live.actions.orders import (
    AttachTerminal,
    MoveWorkspace,
    SetWorkspaceNode,
    StartWorkspace,
    StopWorkspace,
    VacateWorkspaceNode,
    WorkspaceOrder,
)
from console.live.commands import WorkspaceCommands
from console.live.words import t, tn


class NotSent(Exception):
    """The order could not be sent; the message says why."""


async def carry_out_there(plane: WorkspaceCommands, order: WorkspaceOrder) -> str:
    """Send an order and say what came of it. Raises ClientError and NotSent."""
    match order:
        case StartWorkspace(user_id):
            done = await plane.start_workspace(user_id)
            return t("The workspace of user {user} runs on {node}.", user=user_id, node=done.node)
        case StopWorkspace(user_id):
            done = await plane.stop_workspace(user_id)
            status = done.container_status.value
            return t("The workspace of user {user} is {status}.", user=user_id, status=status)
        case MoveWorkspace(user_id, target):
            move = await plane.start_move(user_id, target)
            where = move.target_node or t("a node that is yet to be chosen")
            return t(
                "Move {number}: the workspace of user {user} goes to {node}.",
                number=move.move_id,
                user=user_id,
                node=where,
            )
        case VacateWorkspaceNode(node_id, node):
            drained = await plane.drain_node(node_id)
            users = tn("{count} user moves away", "{count} users move away", drained.users)
            return t("Workspace node {node} takes no new users; {users}.", node=node, users=users)
        case SetWorkspaceNode(node_id, node, cordoned):
            await plane.cordon(node_id, cordoned=cordoned)
            if cordoned:
                return t("Workspace node {node} takes no new users.", node=node)
            return t("Workspace node {node} takes new users again.", node=node)
        case AttachTerminal(user_id):
            raise NotSent(t("A terminal needs one here: run funai workspaces exec {user} in a terminal.", user=user_id))
        case _:
            assert_never(order)


def failed_there(order: WorkspaceOrder) -> str:
    """How the sentence about a failure begins."""
    match order:
        case StartWorkspace(user_id):
            return t("The workspace of user {user} was not started", user=user_id)
        case StopWorkspace(user_id):
            return t("The workspace of user {user} was not stopped", user=user_id)
        case MoveWorkspace(user_id):
            return t("The workspace of user {user} was not moved", user=user_id)
        case VacateWorkspaceNode(node=node):
            return t("Workspace node {node} was not drained", node=node)
        case SetWorkspaceNode(node=node):
            return t("Workspace node {node} was not changed", node=node)
        case AttachTerminal(user_id):
            return t("No terminal was opened in the workspace of user {user}", user=user_id)
        case _:
            assert_never(order)
