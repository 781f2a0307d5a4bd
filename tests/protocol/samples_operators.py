"""One full value of every wire model of what operators see of workspaces and run in them."""

from protocol import workspace_operators as operators
from protocol.base import Wire
from protocol.workspace_runs import RunState, RunType
from protocol.workspaces import ContainerStatus

FIGURES = operators.WorkspaceFigures(
    user_id="7",
    container_status=ContainerStatus.RUNNING,
    epoch=3,
    changed_at_ms=1767323045678,
    used_at_ms=1767323046789,
    cpu_pct=12.5,
    memory_bytes=412_000_000,
    memory_limit_bytes=2_147_483_648,
    disk_used_bytes=3_100_000_000,
    disk_total_bytes=10_737_418_240,
    run_type=RunType.DEV,
    run_state=RunState.RUNNING,
    app_id="20001",
    terminals=2,
    message="the engine could not start it",
)
STANDING = operators.WorkspaceStanding(
    **FIGURES.model_dump(), node_id=1, node="ws-node-01", reason="workspace node ws-node-01 does not answer"
)
OPERATOR_SAMPLES: tuple[Wire, ...] = (
    FIGURES,
    operators.AskFigures(user_ids=("7", "8")),
    operators.FiguresTold(items=(FIGURES,)),
    STANDING,
    operators.WorkspaceStandings(node_id=1, total=1, items=(STANDING,)),
    operators.ExecRef(user_id="7", epoch=3, app_id="20001"),
    operators.ExecStart(command=("ls", "-l"), cols=120, rows=40, term="xterm-256color", terminal=False),
    operators.ExecEof(),
)
