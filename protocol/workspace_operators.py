"""What operators see of users' workspaces, and how they run something in one. Times are milliseconds since 1970.

A run is a line of frames as in `protocol.shell`, which begins with an `ExecStart`. Without a terminal each frame of
bytes that comes back begins with the number of its stream (1 output, 2 errors), and an `ExecEof` ends the input.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from protocol.base import LATE, Wire
from protocol.names import AppId, UserId
from protocol.shell import ShellResize, ShellStart
from protocol.workspace_nodes import Count, NodeNumber
from protocol.workspace_runs import RunState, RunType
from protocol.workspaces import ContainerStatus, Epoch, UserRef

#: Of so many users a node tells at once.
MOST_ASKED: Final = 1000


class WorkspaceFigures(Wire):
    """A workspace as its node has it. What was not measured is absent; `cpuPct` is per cent of one processor, and
    `usedAtMs` when somebody used it last."""

    user_id: UserId
    container_status: ContainerStatus = ContainerStatus.UNKNOWN
    epoch: Epoch = 0
    changed_at_ms: Count | None = None
    used_at_ms: Count | None = None
    cpu_pct: float | None = None
    memory_bytes: Count | None = None
    memory_limit_bytes: Count | None = None
    disk_used_bytes: Count | None = None
    disk_total_bytes: Count | None = None
    run_type: RunType | None = None
    run_state: RunState | None = None
    app_id: AppId | None = None
    terminals: Count = 0
    message: str = ""


class AskFigures(Wire):
    """Whose workspaces a node is asked about."""

    user_ids: Annotated[tuple[UserId, ...], Field(max_length=MOST_ASKED)]


class FiguresTold(Wire):
    """Those of them that the node has."""

    items: tuple[WorkspaceFigures, ...]


class WorkspaceStanding(WorkspaceFigures):
    """A workspace as operators see it: where it lives, and how it stands there; `reason` says why that is not known,
    or what is wrong with it."""

    node_id: NodeNumber
    node: str
    reason: str | None = None


class WorkspaceStandings(Wire):
    """Some of a node's workspaces, in the order of their users' ids, and how many there are."""

    node_id: NodeNumber
    total: Count
    items: tuple[WorkspaceStanding, ...]


class ExecRef(UserRef):
    """Where something is run: in the app's folder, or else in the user's."""

    app_id: AppId | None = None


class ExecStart(ShellStart):
    """What is run (nothing: a shell), on a terminal or with streams of its own."""

    terminal: bool = True


class ExecEof(Wire):
    """There is no more input."""

    kind: Literal["eof"] = "eof"


#: What an operator says.
ExecOrder = Annotated[ExecStart | ShellResize | ExecEof, Field(discriminator="kind")]
EXEC_ORDER: TypeAdapter[ExecStart | ShellResize | ExecEof] = TypeAdapter(ExecOrder, config=LATE)
