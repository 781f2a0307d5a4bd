"""One full value of every wire model of moves of workspaces."""

from protocol import workspace_moves as moves
from protocol.base import Wire
from protocol.workspace_previews import PreviewRule, Visibility

_TOKEN = "00112233445566778899aabbccddeeff"
_ACCESS = (PreviewRule(app_id="20001", visibility=Visibility.PRIVATE, generation=2),)
_MOVE = moves.WorkspaceMove(
    move_id=11,
    user_id="7",
    state=moves.WorkspaceMoveState.KEEPING,
    source_node_id=1,
    source_node="ws-node-01",
    target_node_id=2,
    target_node="ws-node-02",
    epoch=3,
    passes=3,
    copied_files=50000,
    copied_bytes=2147483648,
    total_bytes=2200000000,
    skipped=("apps/20001/dev.sock",),
    cancel_requested=False,
    error="",
    created_at_ms=1767323045678,
    updated_at_ms=1767323145678,
    frozen_ms=1830,
    ended_at_ms=1767323245678,
)
MOVE_SAMPLES: tuple[Wire, ...] = (
    moves.StartWorkspaceMove(user_id="7", target_node_id=2),
    moves.OfWorkspaceMove(move_id=11),
    moves.ListWorkspaceMoves(node_id=1, active=True),
    _MOVE,
    moves.WorkspaceMoves(total=12, items=(_MOVE,)),
    moves.CordonWorkspaceNode(node_id=1, cordoned=True),
    moves.DrainWorkspaceNode(node_id=1, target_node_id=2),
    moves.WorkspaceNodeDrain(node_id=1, users=40, started=39),
    moves.WorkspaceHold(
        user_id="7",
        move_id=11,
        epoch=3,
        used_bytes=2200000000,
        frozen=True,
        token=_TOKEN,
        reason="disk_full",
        error="the workspace's disk is full",
        run_app="20001",
        run_type="DEV",
        access=_ACCESS,
    ),
    moves.WorkspacePass(
        user_id="7",
        move_id=11,
        token=_TOKEN,
        copied_files=50000,
        copied_bytes=2147483648,
        skipped=("apps/20001/dev.sock",),
        matches=True,
    ),
    *_ACCESS,
    moves.OfWorkspaceHold(user_id="7", move_id=11, epoch=4),
    moves.SettleWorkspace(user_id="7", move_id=11, epoch=4, run_app="20001", run_type="DEV", access=_ACCESS),
    moves.OfWorkspacePass(user_id="7", move_id=11, epoch=4, after=_TOKEN, compare=True),
    moves.BackupWorkspace(user_id="7", node_modules=False),
    moves.RestoreWorkspace(user_id="7"),
    moves.WorkspaceRestored(
        user_id="7",
        move_id=12,
        of_user_id="8",
        entries=50000,
        content_bytes=2147483648,
        skipped=("apps/20001/dev.sock",),
        left_out=("node_modules",),
    ),
)
