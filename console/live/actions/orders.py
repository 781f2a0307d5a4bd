"""What is sent once an operator has confirmed it: one frozen value for each kind of change. Pure.

`version` is what the object looked like when the question was put (`protocol.versions`).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from protocol.accounts import Role
from protocol.jobs import CreateJob


@dataclass(frozen=True, slots=True)
class DeployApp:
    """A new job."""

    order: CreateJob


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End a job without an outcome."""

    job_id: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class RetryEnded:
    """A new job with the order of one that ended."""

    job_id: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class SetNode:
    """Cordon (`enabled` false) or uncordon a node."""

    node: str
    enabled: bool
    version: str


@dataclass(frozen=True, slots=True)
class CollectNode:
    """Have a node remove what nobody needs."""

    node: str
    version: str


@dataclass(frozen=True, slots=True)
class EmptyNode:
    """Cordon a node and move its apps away; with `partial` those stay that fit nowhere else."""

    node: str
    version: str
    partial: bool = False


@dataclass(frozen=True, slots=True)
class SetRunner:
    """Drain (`drained`) or undrain a runner."""

    runner_id: str
    drained: bool
    version: str


class PlanTurn(StrEnum):
    """What can be done with a plan that drains a node."""

    PAUSE = "pause"
    RESUME = "resume"
    UNDO = "undo"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Pause, resume, undo or give up a plan."""

    drain_id: int
    turn: PlanTurn
    node: str
    version: str


@dataclass(frozen=True, slots=True)
class MoveApp:
    """Place an app on another node."""

    app_id: str
    target_id: int
    target: str
    version: str


@dataclass(frozen=True, slots=True)
class StopApp:
    """Stop an app wherever it runs."""

    app_id: str
    user_id: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class RollBack:
    """Deploy an earlier release again."""

    app_id: str
    user_id: str
    release: int
    version: str | None


@dataclass(frozen=True, slots=True)
class PinRelease:
    """Keep a release's image for good, or no longer."""

    app_id: str
    number: int
    pinned: bool


@dataclass(frozen=True, slots=True)
class TurnOperation:
    """Have a pending operation tried now, or (with `abandon`) give it up."""

    number: int
    app_id: str
    abandon: bool


@dataclass(frozen=True, slots=True)
class ResendResult:
    """Send the result of a job to its receiver once more."""

    number: int
    app_id: str


@dataclass(frozen=True, slots=True)
class StartWorkspace:
    """Have a user's container run."""

    user_id: str


@dataclass(frozen=True, slots=True)
class StopWorkspace:
    """End a user's container; files stay."""

    user_id: str


@dataclass(frozen=True, slots=True)
class MoveWorkspace:
    """Let a user's workspace live on another node; None: the API chooses."""

    user_id: str
    target_id: int | None
    target: str


@dataclass(frozen=True, slots=True)
class VacateWorkspaceNode:
    """Move all users of a workspace node away."""

    node_id: int
    node: str


@dataclass(frozen=True, slots=True)
class SetWorkspaceNode:
    """Let a workspace node take no new users (`cordoned`), or again."""

    node_id: int
    node: str
    cordoned: bool


@dataclass(frozen=True, slots=True)
class AttachTerminal:
    """A shell in a user's workspace, on the operator's own terminal; `plane` is the context it is opened from."""

    user_id: str
    plane: str = ""


@dataclass(frozen=True, slots=True)
class DeployForOwner:
    """Deploy an app as its owner would; what is not said is as in its newest job."""

    app_id: str
    git_ref: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class RollBackForOwner:
    """Deploy an earlier release of somebody's app again; `version` is what its releases looked like."""

    app_id: str
    release: int
    version: str | None


@dataclass(frozen=True, slots=True)
class StopForOwner:
    """Stop somebody's app, and free its owner's place."""

    app_id: str


@dataclass(frozen=True, slots=True)
class DeleteForOwner:
    """Delete somebody's app everywhere and for good; `user_id` is whose it was seen to be."""

    app_id: str
    user_id: str | None


@dataclass(frozen=True, slots=True)
class SetAccount:
    """Let a user log in (`enabled`), or no longer."""

    user_id: str
    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class SetRole:
    """Let a user be something else."""

    user_id: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Give a user another password."""

    user_id: str
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddAccount:
    """A new account; without `user_id` of a new user."""

    name: str
    role: Role
    password: str = field(repr=False)
    user_id: str | None = None


AccountOrder = SetAccount | SetRole | SetPassword | AddAccount
EntryOrder = DeployForOwner | RollBackForOwner | StopForOwner | DeleteForOwner | AccountOrder

WorkspaceOrder = (
    StartWorkspace | StopWorkspace | MoveWorkspace | VacateWorkspaceNode | SetWorkspaceNode | AttachTerminal
)

Order = (
    DeployApp
    | CancelJob
    | RetryEnded
    | SetNode
    | CollectNode
    | EmptyNode
    | TurnPlan
    | SetRunner
    | MoveApp
    | StopApp
    | RollBack
    | PinRelease
    | TurnOperation
    | ResendResult
    | WorkspaceOrder
    | EntryOrder
)
