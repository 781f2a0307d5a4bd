"""What a move does to the workspace on its source and on its target. Every order may come twice, or late.

Source: held (LEAVING), then released, or MOVED. Target: ARRIVING, then settled (its node, at the next epoch), or
abandoned. Numbers of moves rise; an order of one that is over here does nothing any more, so that a caller who was
stopped for an hour in the middle of it cannot hold or take what meanwhile goes on.
"""

from dataclasses import replace

from daemons.workspace.domain.workspaces import MovedAway, Phase, Seen, StaleEpoch, Workspace, observed


class MoveOver(Exception):
    """The move is over on this node, or another one holds the workspace."""


class InTheWay(Exception):
    """The node has files of the user that no move brought; they are not overwritten."""


def held(workspace: Workspace, move: int, epoch: int, now_ms: int) -> Workspace:
    """The source's workspace from its freezing on. Raises MoveOver, MovedAway, StaleEpoch."""
    if workspace.phase is Phase.MOVED:
        raise MovedAway("the workspace lives on another node now")
    if workspace.phase is Phase.LEAVING and workspace.move == move:
        return workspace
    if move <= workspace.ended_move or workspace.phase in (Phase.LEAVING, Phase.ARRIVING):
        raise MoveOver(f"move {move} has nothing to hold here")
    if epoch < workspace.epoch:
        raise StaleEpoch(f"epoch {epoch} is over: the workspace is at {workspace.epoch}")
    return replace(workspace, phase=Phase.LEAVING, move=move, epoch=epoch, changed_at_ms=now_ms)


def released(workspace: Workspace, move: int, seen: Seen, now_ms: int) -> Workspace:
    """The source's workspace when its move is not to be; whatever else comes of that move is late."""
    ended = replace(workspace, ended_move=max(workspace.ended_move, move))
    if workspace.phase is not Phase.LEAVING or workspace.move != move:
        return ended
    return observed(replace(ended, phase=Phase.ABSENT, move=0, changed_at_ms=now_ms), seen, now_ms)


def holding(workspace: Workspace | None, move: int) -> None:
    """Raises MoveOver unless that move holds the workspace."""
    if workspace is None or workspace.phase is not Phase.LEAVING or workspace.move != move:
        raise MoveOver(f"move {move} does not hold the workspace")


def left(workspace: Workspace, move: int, now_ms: int) -> Workspace:
    """The source's workspace when it lives on the target. Raises MoveOver."""
    if workspace.phase is Phase.MOVED and workspace.ended_move == move:
        return workspace
    holding(workspace, move)
    return replace(workspace, phase=Phase.MOVED, move=0, ended_move=move, changed_at_ms=now_ms)


def arriving(workspace: Workspace, move: int, epoch: int, now_ms: int, *, files: bool) -> Workspace:
    """The target's workspace while a move brings it, which will live here at that epoch. `files`: there are some of the
    user's here. Raises MoveOver, StaleEpoch, InTheWay."""
    if workspace.phase is Phase.ARRIVING and workspace.move == move:
        return workspace
    if move <= max(workspace.ended_move, workspace.move) or workspace.phase is Phase.LEAVING:
        raise MoveOver(f"move {move} has nothing to bring here")
    if epoch < workspace.epoch:
        raise StaleEpoch(f"epoch {epoch} is over: the workspace is at {workspace.epoch}")
    if files and workspace.phase is not Phase.MOVED and not workspace.move:
        raise InTheWay("this node has files of the user that no move brought; look at them, and take them away")
    return replace(workspace, phase=Phase.ARRIVING, move=move, token="", error="", changed_at_ms=now_ms)


def received(workspace: Workspace, move: int, token: str) -> Workspace:
    """The target's copy stands after that pass. Raises MoveOver."""
    return replace(incoming(workspace, move), token=token, error="")


def incoming(workspace: Workspace, move: int) -> Workspace:
    """The workspace, if that move brings it. Raises MoveOver."""
    if workspace.phase is not Phase.ARRIVING or workspace.move != move:
        raise MoveOver(f"move {move} brings nothing here")
    return workspace


def settled(workspace: Workspace, move: int, epoch: int, now_ms: int) -> Workspace:
    """The target's workspace, which is this node's from that epoch on. Raises MoveOver."""
    if workspace.phase is Phase.ABSENT and workspace.move == move and workspace.epoch == epoch:
        return workspace
    return replace(incoming(workspace, move), phase=Phase.ABSENT, epoch=epoch, changed_at_ms=now_ms)


def brought(workspace: Workspace | None, move: int) -> bool:
    """Whether that move brought what is here, and nobody has used it yet."""
    return workspace is not None and workspace.move == move and workspace.phase in (Phase.ARRIVING, Phase.ABSENT)


def abandoned(workspace: Workspace, move: int, now_ms: int) -> Workspace:
    """The target's workspace when its move is not to be: it never was here."""
    ended = replace(workspace, ended_move=max(workspace.ended_move, move))
    if not brought(workspace, move):
        return ended
    return replace(ended, phase=Phase.ABSENT, move=0, token="", error="", changed_at_ms=now_ms)
