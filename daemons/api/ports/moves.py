"""What moves of workspaces need: their rows, and nodes that obey."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from daemons.api.domain.moves import Move
from daemons.api.domain.workspaces import WorkspaceNode
from protocol.workspace_moves import WorkspaceHold, WorkspaceMoveState, WorkspacePass, WorkspaceRestored

#: Told how many bytes passed by, now and then; what it raises ends the pass.
Passing = Callable[[int], Awaitable[None]]


class OrderRefused(Exception):
    """A node refuses an order of a move; `for_good`: it will again."""

    def __init__(self, message: str, *, for_good: bool) -> None:
        super().__init__(message)
        self.for_good = for_good


class MoveStore(Protocol):
    """Table `fun_ai_workspace_move`."""

    @property
    def lease_seconds(self) -> float:
        """For how long a move is whose work it is, after each time that they say so."""
        ...

    async def begin(self, user_id: int, target_id: int | None) -> Move:
        """A move of the user from where the workspace is. Raises NoWorkspace, MoveRefused, MoveExists."""
        ...

    async def restoring(self, user_id: int, owner: str, why: str) -> Move:
        """The user's workspace is being restored by the owner, and if that is never heard of again, it is taken back
        with this reason. Raises NoWorkspace, MoveExists."""
        ...

    async def move(self, move_id: int) -> Move:
        """Raises UnknownMove."""
        ...

    async def moves(
        self, node_id: int | None, states: Sequence[WorkspaceMoveState], offset: int, limit: int
    ) -> tuple[int, Sequence[Move]]:
        """How many there are from or to the node in these states, and some of them, the newest first."""
        ...

    async def due(self, most: int) -> Sequence[Move]:
        """Those that nobody works on: begun ones first, then in their order."""
        ...

    async def kept(self, most: int) -> Sequence[Move]:
        """Those whose source may drop what it keeps."""
        ...

    async def working(self) -> int:
        """How many are worked on, or should be."""
        ...

    async def claim(self, move_id: int, owner: str) -> bool:
        """Work on it for a while; whether it was free."""
        ...

    async def renew(self, move_id: int, owner: str) -> None:
        """Work on it for a while longer. Raises MoveLost."""
        ...

    async def release(self, move_id: int, owner: str) -> None:
        """Whoever likes may work on it."""
        ...

    async def save(self, move: Move, owner: str, was: WorkspaceMoveState) -> Move:
        """As it is from now on. Raises MoveLost unless the owner has it, and it is where it was."""
        ...

    async def note(self, move_id: int, owner: str, copied_bytes: int) -> Move:
        """How far it is. Raises MoveLost."""
        ...

    async def switch(self, move: Move, owner: str) -> Move:
        """The workspace lives on the target from now on, at the next epoch. Raises MoveLost when the move was cancelled
        or is another's, PlacementChanged when the user lives elsewhere."""
        ...

    async def cancel(self, move_id: int) -> Move:
        """It will not be switched. Raises UnknownMove, TooLateToCancel."""
        ...

    async def cordon(self, node_id: int, *, cordoned: bool) -> WorkspaceNode:
        """Raises UnknownWorkspaceNode."""
        ...

    async def now(self) -> int:
        """The database's time."""
        ...


class MovingNodes(Protocol):
    """Orders to nodes. All raise NodeUnreachable, OrderRefused."""

    async def order(self, node: WorkspaceNode, name: str, move: Move, epoch: int) -> WorkspaceHold:
        """`hold`, `release`, `leave`, `usage` of a source; `arrive`, `abandon` of a target."""
        ...

    async def settle(self, node: WorkspaceNode, move: Move, held: WorkspaceHold) -> WorkspaceHold:
        """The target is to have the workspace; `held` is what the source said of it."""
        ...

    async def drop(self, node: WorkspaceNode, move: Move) -> None:
        """The source's kept files are gone."""
        ...

    async def copy(
        self,
        source: WorkspaceNode,
        target: WorkspaceNode,
        move: Move,
        after: str,
        passing: Passing,
        *,
        compare: bool,
    ) -> WorkspacePass:
        """One pass from source to target."""
        ...

    def archive(
        self, node: WorkspaceNode, user_id: int, *, node_modules: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A backup, as it comes."""
        ...

    async def restore(self, node: WorkspaceNode, move: Move, pieces: AsyncIterator[bytes]) -> WorkspaceRestored:
        """The workspace is what the backup holds; it is held. Also raises what the pieces raise."""
        ...
