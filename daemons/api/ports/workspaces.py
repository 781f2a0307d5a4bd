"""What the API needs to find users' workspace nodes and to call them, and how that fails."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from daemons.api.domain.capacity import Busy
from daemons.api.domain.workspaces import Beat, Placement, Users, WorkspaceNode
from daemons.kit.sockets import End
from protocol.workspace_operators import WorkspaceFigures
from protocol.workspace_runs import RunView

#: A pure choice of a node, over all of them, their users and the database's time in epoch milliseconds.
Choice = Callable[[Sequence[WorkspaceNode], Mapping[int, Users], int], WorkspaceNode]


class NodeUnreachable(Exception):
    """The user's node does not answer, or broke off."""


class NodeRefusedSocket(Exception):
    """The node did not open a line, and answered with this status; `fenced` because the workspace is not its own, or
    on its way."""

    def __init__(self, status: int, *, fenced: bool = False) -> None:
        super().__init__(f"the workspace node did not open the line (HTTP {status})")
        self.status = status
        self.fenced = fenced


class NotTheNode(Exception):
    """The node says that the workspace is another's, or on its way there; nothing was done."""


class CallRefused(Exception):
    """The node said no to what the API asked it for a user: its status, its words, its reason if it gave one."""

    def __init__(self, status: int, message: str, reason: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class BodyRefused(Exception):
    """This call takes no such body."""


class WorkspaceStore(Protocol):
    """Tables `fun_ai_workspace_node` and `fun_ai_workspace_placement`."""

    async def hear(self, beat: Beat) -> WorkspaceNode:
        """The node of that name, made if need be, with what it reported now."""
        ...

    async def nodes(self) -> tuple[Sequence[WorkspaceNode], Mapping[int, Users], int]:
        """All nodes in the order of their ids, how many users each has, and the database's time."""
        ...

    async def node(self, node_id: int) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""
        ...

    async def save(self, node: WorkspaceNode) -> WorkspaceNode:
        """Keep what operators say of a node: the one with the id, or without one (0) that of the name, made if need be.
        Raises UnknownWorkspaceNode, WorkspaceNodeNameTaken."""
        ...

    async def enable(self, node_id: int, *, enabled: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""
        ...

    async def placement(self, user_id: int) -> tuple[Placement, WorkspaceNode] | None:
        """Where the user lives. A placement that was not used for a minute is noted as used now."""
        ...

    async def look(self, user_id: int) -> tuple[Placement, WorkspaceNode] | None:
        """Where the user lives; nothing is noted."""
        ...

    async def place(self, user_id: int, choice: Choice) -> tuple[Placement, WorkspaceNode]:
        """Where the user lives, from now on if need be. Raises what `choice` raises."""
        ...

    async def move(self, placement: Placement, target: int) -> Placement:
        """The user lives on the other node from now on. Raises PlacementChanged."""
        ...

    async def placements(self, node_id: int, offset: int, limit: int) -> tuple[int, Sequence[Placement]]:
        """How many users a node has, and some of them in the order of their ids."""
        ...

    async def users(self) -> int:
        """How many users there are."""
        ...


class Movers(Protocol):
    """Brings workspaces from node to node."""

    async def move(self, user_id: int, source: WorkspaceNode, target: WorkspaceNode) -> None:
        """All that the user has is on the target and the source gave it up. Raises MoveRefused, NodeUnreachable."""
        ...


class Holdings(Protocol):
    """What nodes have of users."""

    async def holds(self, node: WorkspaceNode, user_id: int) -> bool:
        """Whether the node has anything of the user's. Raises NodeUnreachable."""
        ...


class NodeFigures(Protocol):
    """How nodes say that workspaces stand."""

    async def figures(self, node: WorkspaceNode, user_ids: Sequence[str]) -> Mapping[str, WorkspaceFigures]:
        """By user; who is not in it has nothing there. Raises NodeUnreachable."""
        ...


@dataclass(frozen=True, slots=True)
class NodeCall:
    """A call to a node; path and query as they are sent. `body` is None, whole, or in pieces that are signed while they
    are sent; then `length` is how many bytes come, if that is known. `patience` is how many seconds the node may take
    to begin its answer."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes] | None = None
    length: int | None = None
    patience: float = 60.0


class NodeAnswer(Protocol):
    """What a node answers, while it does."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """As they came."""
        ...

    @property
    def length(self) -> int | None:
        """Bytes of the body, if that was said."""
        ...

    async def whole(self) -> bytes:
        """A short body. Raises NodeUnreachable."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises NodeUnreachable when it breaks off."""
        ...


class NodeCalls(NodeFigures, Protocol):
    """Signed calls to nodes. Entering either raises NodeUnreachable."""

    def call(self, node: WorkspaceNode, call: NodeCall) -> AbstractAsyncContextManager[NodeAnswer]:
        """An HTTP call. A GET whose connection was dead is made once more. Also raises BodyRefused."""
        ...

    def socket(self, node: WorkspaceNode, call: NodeCall) -> AbstractAsyncContextManager[End]:
        """A WebSocket. Also raises NodeRefusedSocket."""
        ...


class BusyNodes(Protocol):
    """How many runs nodes carry."""

    @property
    def patience(self) -> float:
        """After so many seconds an answer does not come any more."""
        ...

    async def busy(self, placement: Placement, node: WorkspaceNode) -> Busy:
        """Raises NodeUnreachable, NotTheNode, CallRefused by a node that does not know the question."""
        ...


class Editing(Protocol):
    """What an editor needs of a user's workspace. All raise NodeUnreachable, CallRefused, NotTheNode."""

    async def folder(self, placement: Placement, node: WorkspaceNode, app_id: int) -> str:
        """The app's folder as programs in the workspace see it; it is there, and the container runs."""
        ...

    async def has_package(self, placement: Placement, node: WorkspaceNode, app_id: int) -> bool:
        """Whether there is a `package.json` in the folder, or in a folder of it."""
        ...

    async def run(self, placement: Placement, node: WorkspaceNode) -> RunView:
        """How the user's run goes; nothing is started."""
        ...
