"""Rows of plans that drain nodes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.drains import Drain, Move
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.releases import Release
from protocol.drains import MoveState


class DrainRows(Protocol):
    """Tables `fun_ai_deploy_drain` and `fun_ai_deploy_drain_move`. Who writes a move holds its plan's row."""

    async def insert_drain(self, drain: Drain) -> Drain | None:
        """The plan with the id it was given (`drain.id` is ignored); None when the node has a live one."""
        ...

    async def drain(self, drain_id: int, *, lock: bool = False) -> Drain | None:
        """One plan, optionally locked until the transaction ends."""
        ...

    async def free_drain(self, drain_id: int) -> Drain | None:
        """One plan, locked; None while another transaction holds it."""
        ...

    async def live_drains(self) -> Sequence[Drain]:
        """Plans that are not over, by id."""
        ...

    async def live_drain_of(self, node_id: int) -> Drain | None:
        """The node's plan that is not over."""
        ...

    async def newest_drain_of(self, node_id: int) -> Drain | None:
        """The node's newest plan."""
        ...

    async def drains_before(self, before: int, limit: int) -> Sequence[Drain]:
        """Plans with an id below `before`, newest first."""
        ...

    async def save_drain(self, drain: Drain, was: Drain) -> bool:
        """Write state and times; False when the row moved on or the node has another live plan."""
        ...

    async def draining_nodes(self) -> frozenset[int]:
        """Nodes with a live plan."""
        ...

    async def insert_move(self, move: Move) -> None:
        """One app of a new plan."""
        ...

    async def moves(self, drain_id: int) -> Sequence[Move]:
        """All moves of a plan by app id."""
        ...

    async def save_move(self, move: Move) -> None:
        """Write all but its key."""
        ...

    async def move_counts(self, drain_ids: Collection[int]) -> Mapping[int, Mapping[MoveState, int]]:
        """How many moves of each plan are in each state."""
        ...

    async def failed_moves(self, drain_ids: Collection[int], limit: int) -> Sequence[Move]:
        """Some failed moves of these plans."""
        ...


class ResidentRows(Protocol):
    """What is on a node, over several tables."""

    async def apps_on(self, node_id: int, limit: int) -> Sequence[str]:
        """Apps that are placed on the node or run there, by id."""
        ...

    async def newest_releases(self, app_ids: Collection[str]) -> Mapping[str, Release]:
        """The newest release of each of these apps that has one."""
        ...

    async def newest_success(self, app_id: str) -> Job | None:
        """The newest job of the app that succeeded."""
        ...
