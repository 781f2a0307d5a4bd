"""Moves of workspaces between nodes on the wire: what operators order and see, and what the API orders of nodes."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.workspace_nodes import Count, Flag, NodeNumber
from protocol.workspace_previews import PreviewRule
from protocol.workspaces import Epoch

MoveNumber = Annotated[int, Field(ge=1, le=2**53 - 1)]
#: A type of run, as `RunType` has them; empty: none.
RunKind = Annotated[str, StringConstraints(pattern=r"^[A-Z]{0,16}$")]
#: Names one pass of one move; the source makes it.
PassToken = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")]


#: Of the apps that have rules of their own.
PreviewRules = Annotated[tuple[PreviewRule, ...], Field(max_length=10_000)]


class WorkspaceMoveState(StrEnum):
    """Where a move is.

    - QUEUED: nothing was done yet.
    - COPYING: files go to the target while the workspace is used as ever.
    - FROZEN: the workspace stands still and refuses calls; the rest is copied and compared.
    - SETTLING: the target is told that it is to be the workspace's node.
    - SWITCHED: the workspace lives on the target; the source is told.
    - KEEPING: all is done, but the source's former files are kept for a while.
    - DONE: they are gone.
    - ROLLING_BACK: it failed or was cancelled; the source is set free, the target's copy removed.
    - FAILED, CANCELLED: the workspace is where it was, and nothing of the move is left.
    """

    QUEUED = "QUEUED"
    COPYING = "COPYING"
    FROZEN = "FROZEN"
    SETTLING = "SETTLING"
    SWITCHED = "SWITCHED"
    KEEPING = "KEEPING"
    DONE = "DONE"
    ROLLING_BACK = "ROLLING_BACK"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StartWorkspaceMove(Wire):
    """Whose workspace is to go to another node; without a target the API chooses one when the move begins."""

    user_id: UserId
    target_node_id: NodeNumber | None = None


class OfWorkspaceMove(Wire):
    """Which move."""

    move_id: MoveNumber


class ListWorkspaceMoves(Wire):
    """Which moves: from or to a node, those that go on or only others; absent means any."""

    node_id: NodeNumber | None = None
    active: Flag | None = None


class WorkspaceMove(Wire):
    """A move as operators see it. `epoch` is the workspace's before the switch; `passes` how many times the tree was
    gone over; `copiedFiles` and `copiedBytes` were sent so far; `totalBytes` is what the source's disk held at the
    beginning; `frozenMs` how long the workspace stood still, once that is over; `skipped` names what is not copied
    (sockets, pipes, devices), at most the first of them; times in epoch milliseconds."""

    move_id: MoveNumber
    user_id: UserId
    state: WorkspaceMoveState
    source_node_id: NodeNumber
    source_node: str
    target_node_id: NodeNumber | None = None
    target_node: str | None = None
    epoch: Epoch
    passes: Count = 0
    copied_files: Count = 0
    copied_bytes: Count = 0
    total_bytes: Count = 0
    skipped: tuple[str, ...] = ()
    cancel_requested: Flag = False
    error: str = ""
    created_at_ms: Count
    updated_at_ms: Count
    frozen_ms: Count | None = None
    ended_at_ms: Count | None = None


class WorkspaceMoves(Wire):
    """Some moves, the newest first, and how many there are."""

    total: Count
    items: tuple[WorkspaceMove, ...]


class CordonWorkspaceNode(Wire):
    """Whether a node takes no new users; those who live there are served as ever."""

    node_id: NodeNumber
    cordoned: Flag


class DrainWorkspaceNode(Wire):
    """A node that is to lose its users; without a target each goes where there is room when its turn comes."""

    node_id: NodeNumber
    target_node_id: NodeNumber | None = None


class WorkspaceNodeDrain(Wire):
    """What a drain began: the node takes no new users, and so many of its users are on their way or wait for it."""

    node_id: NodeNumber
    users: Count
    started: Count


class WorkspaceHold(Wire):
    """What a move has to do with a user's workspace, as its node answers. On the source, `frozen` says that it stands
    still; on the target, `token` names the last pass that was received whole (empty: none), and `reason` and `error`
    say what the one after it failed with. A source that stands still says whose server ran in it (`runApp`, `runType`),
    so that it runs on the target, and who may see its previews (`access`), so that no private one is public there."""

    user_id: UserId
    move_id: MoveNumber
    epoch: Epoch
    used_bytes: Count = 0
    frozen: Flag = False
    token: PassToken = ""
    reason: str = ""
    error: str = ""
    run_app: AppId | None = None
    run_type: RunKind = ""
    access: PreviewRules = ()


class WorkspacePass(Wire):
    """What a target received in one pass. `matches`: its tree was compared with the source's, and is the same."""

    user_id: UserId
    move_id: MoveNumber
    token: PassToken
    copied_files: Count
    copied_bytes: Count
    skipped: tuple[str, ...] = ()
    matches: Flag = False


class OfWorkspaceHold(Wire):
    """An order of the API to a node about a move: whose workspace, and at which epoch it is or is to be there."""

    user_id: UserId
    move_id: MoveNumber
    epoch: Epoch


class SettleWorkspace(OfWorkspaceHold):
    """The workspace is the target's; which app's server is started there with the next visit, and who may see what."""

    run_app: AppId | None = None
    run_type: RunKind = ""
    access: PreviewRules = ()


class OfWorkspacePass(OfWorkspaceHold):
    """A pass: after which one the target's copy stands, and whether source and target are compared when it is over."""

    after: PassToken = ""
    compare: Flag = False


class BackupWorkspace(Wire):
    """Whose workspace is to be sent as a backup, and whether folders called `node_modules` come along."""

    user_id: UserId
    node_modules: Flag = True


class RestoreWorkspace(Wire):
    """Whose workspace is to be what the backup holds that is sent along."""

    user_id: UserId


class WorkspaceRestored(Wire):
    """A workspace is what a backup held, `ofUserId`'s; the former content is kept under the number `moveId` until
    that is confirmed. `skipped` and `leftOut` say what the backup did not take along when it was made."""

    user_id: UserId
    move_id: MoveNumber
    of_user_id: UserId
    entries: Count
    content_bytes: Count
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
