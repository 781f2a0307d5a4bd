"""Rows of what there is: nodes, placements, what runs where, and runners."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from daemons.deploy.domain.nodes import AppRun, Placement, Runner, RuntimeNode, ServingNode


class NodeRows(Protocol):
    """Table `fun_ai_deploy_runtime_node`."""

    async def nodes(self) -> Sequence[RuntimeNode]:
        """All nodes by id."""
        ...

    async def nodes_lately(self) -> Sequence[RuntimeNode]:
        """All nodes by id, as this process wrote them or another one had up to two seconds ago: for what is shown, and
        for choices that are checked on the rows before they are carried out."""
        ...

    async def nodes_of(self, node_ids: Collection[int]) -> Sequence[RuntimeNode]:
        """Those of these nodes that there are."""
        ...

    async def node(self, node_id: int) -> RuntimeNode | None:
        """One node."""
        ...

    async def node_named(self, name: str, *, lock: bool = False) -> RuntimeNode | None:
        """One node by its unique name."""
        ...

    async def nodes_named(self, names: Collection[str]) -> Mapping[str, RuntimeNode]:
        """Those of these nodes that there are, by name, locked until the transaction ends."""
        ...

    async def write_beats(self, nodes: Collection[RuntimeNode]) -> None:
        """Write the figures, the interval, the version and the times of these nodes, and nothing else."""
        ...

    async def insert_node(self, node: RuntimeNode) -> RuntimeNode | None:
        """The node with the id it was given (`node.id` is ignored); None when the name is taken."""
        ...

    async def save_node(self, node: RuntimeNode) -> None:
        """Write every column but the id and the name."""
        ...


class PlacementRows(Protocol):
    """Table `fun_ai_deploy_runtime_placement`: one row per app."""

    async def placement(self, app_id: str) -> Placement | None:
        """Where the app lives."""
        ...

    async def placements_of(self, app_ids: Collection[str]) -> Mapping[str, Placement]:
        """Where these apps live, by app id."""
        ...

    async def serving_node(self, app_id: str) -> ServingNode | None:
        """The node that visitors of the app are led to: where it came up last, or else where it is to live."""
        ...

    async def all_placements(self, limit: int) -> Sequence[Placement]:
        """The first `limit` placements by app id."""
        ...

    async def placements_on(self, node_id: int, offset: int, limit: int) -> Sequence[Placement]:
        """One page of a node's placements, ordered by app id as text."""
        ...

    async def count_placements(self) -> Mapping[int, int]:
        """How many apps live on each node."""
        ...

    async def count_placements_on(self, node_ids: Collection[int]) -> Mapping[int, int]:
        """The same for these nodes alone."""
        ...

    async def placed_since(self, since: int) -> Mapping[int, int]:
        """How many placements each node got at or after `since`: they are not in its last heartbeat's figures yet."""
        ...

    async def unseen_placements(self, since: int, limit: int) -> Mapping[int, int]:
        """How many of the newest `limit` placements, made at or after `since`, the figures of each node cannot show
        yet: those whose app was not deployed there before the node's last heartbeat."""
        ...

    async def put_placements(self, placements: Sequence[Placement]) -> None:
        """As `put_placement` for each."""
        ...

    async def put_placement(self, placement: Placement) -> None:
        """Insert or move."""
        ...

    async def delete_placement(self, app_id: str) -> bool:
        """Whether there was one."""
        ...


class AppRunRows(Protocol):
    """Table `fun_ai_deploy_app_run`."""

    async def app_run(self, app_id: str) -> AppRun | None:
        """The last known state of one app."""
        ...

    async def app_runs(self, limit: int) -> Sequence[AppRun]:
        """The first `limit` by app id."""
        ...

    async def put_app_run(self, run: AppRun) -> None:
        """Insert or overwrite."""
        ...

    async def delete_app_run(self, app_id: str) -> bool:
        """Whether there was one."""
        ...


class RunnerRows(Protocol):
    """Table `fun_ai_deploy_runner`."""

    async def touch_runners(self, runners: Sequence[Runner]) -> None:
        """Insert or update, in the order of their ids; fields that are None keep their stored value."""
        ...

    async def lock_runners(self, ids: Collection[str], now: int) -> None:
        """Lock these rows until the transaction ends, making those that are new."""
        ...

    async def drain_runner(self, runner: Runner) -> None:
        """Write `drained_at` and `drained_by` of a runner that is there."""
        ...

    async def drained_runners(self, ids: Collection[str]) -> Collection[str]:
        """Those of these runners that are drained."""
        ...

    async def runners_named(self, ids: Collection[str]) -> Mapping[str, Runner]:
        """Those of these runners that are known, by id."""
        ...

    async def runners_lately(self) -> Sequence[Runner]:
        """All runners by id, as this process wrote them or another one had up to two seconds ago: for what is shown."""
        ...

    async def runners(self) -> Sequence[Runner]:
        """All runners by id."""
        ...

    async def forget_runners(self, unseen_since: int) -> int:
        """Delete runners last seen before; how many."""
        ...
