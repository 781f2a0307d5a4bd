"""Which node a job is for, during one transaction: the one its app lives on, or one that is chosen and written down."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from daemons.deploy.domain import moves
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.line import Candidate
from daemons.deploy.domain.nodes import NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.placement import (
    Board,
    Decision,
    NoNode,
    obstacle_to_new_app,
    obstacle_to_redeploy,
    obstacle_to_return,
    unseen_since,
)
from daemons.deploy.ports import Transaction
from protocol.jobs import JobType

#: Of more placements within two minutes the newest tell well enough how a burst spread.
_MOST_UNSEEN: Final = 5000


@dataclass(frozen=True, slots=True)
class Home:
    """The node a job is for. `serving` is the one that is being drained and that the app serves on until then: the
    job's success, not its claim, moves it. `returns`: nothing is built, and the app serves there already."""

    node: RuntimeNode
    serving: int | None = None
    returns: bool = False


@dataclass(slots=True)
class Homes:
    """The nodes as this process knows them: what it chooses may be based on what was true a second ago, so the caller
    has `confirmed` check it on the rows before it hands anything out, and then writes what is `placed`.

    That an app came up on a node within that second, and that another replica has taken the node's report since, is
    all that then goes unseen: one app fewer counts against the node, for a second.
    """

    tx: Transaction
    policy: NodePolicy
    now: int
    nodes: Sequence[RuntimeNode]
    takes_new_apps: bool
    draining: Collection[int] | None = None
    placed: list[Placement] = field(default_factory=list)
    board: Board | None = None

    @classmethod
    async def look(cls, tx: Transaction, policy: NodePolicy, now: int) -> "Homes":
        """The nodes as of about now (epoch ms)."""
        nodes = await tx.nodes_lately()
        takes_new_apps = any(obstacle_to_new_app(node, policy, now) is None for node in nodes)
        return cls(tx, policy, now, nodes, takes_new_apps)

    async def consider(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Those of them for which there is a node, as far as can be told without locks."""
        homes = {job.home for job in candidates} - {None}
        unfit = [node for node in self.nodes if node.id in homes and self._unfit(node)]
        if unfit:
            await self._draining()
        return [job for job in candidates if self.has_place(job)]

    def has_place(self, job: Candidate) -> bool:
        """Whether there is a node for the job; `consider` has found out which are being drained."""
        if job.target is not None:
            return self._takes_move(self._node(job.target))
        home = self._node(job.home)
        if home is not None and (not self._unfit(home) or (job.settled and not job.builds and self._lets_back(home))):
            return True
        tied = home is not None and job.settled and home.id not in (self.draining or ())
        return self.takes_new_apps and not tied

    async def of(self, job: Job, placement: Placement | None) -> Home | None:
        """The node for a job that is locked; an app that has none, or never came up on it, is placed."""
        if job.type is JobType.MIGRATE_APP:
            target = moves.target_of(job, self.nodes)
            return Home(target) if target is not None and self._takes_move(target) else None
        home = self._node(placement.node_id if placement else None)
        if home is not None and not self._unfit(home):
            return Home(home)
        serving = home.id if home is not None and await self._has_run(job.app_id) else None
        if home is not None and serving is not None and "image" in job.payload and self._lets_back(home):
            return Home(home, returns=True)
        if serving is not None and serving not in await self._draining():
            return None
        found = await self._chosen(job.app_id)
        if found is None:
            return None
        if serving is None:
            self.placed.append(Placement(job.app_id, found.node.id, self.now, self.now, found.reasons))
        return Home(found.node, serving)

    async def confirmed(self, chosen: Sequence[tuple[Job, Home]]) -> Mapping[str, Home]:
        """By the job's id, those homes that may be used, read anew: a node that an operator has disabled, deleted or
        moved since gets nothing that is not meant for it."""
        rows = {node.id: node for node in await self.tx.nodes_of({home.node.id for _, home in chosen})}
        kept: dict[str, Home] = {}
        for job, home in chosen:
            node = rows.get(home.node.id)
            check = obstacle_to_return if home.returns else obstacle_to_redeploy
            check = moves.obstacle_to_move if job.type is JobType.MIGRATE_APP else check
            if node is not None and check(node, self.policy, self.now) is None:
                kept[job.id] = replace(home, node=node)
        if len(kept) < len(chosen):
            left_out = {job.app_id for job, _ in chosen if job.id not in kept}
            self.placed = [each for each in self.placed if each.app_id not in left_out]
            self.nodes, self.board = await self.tx.nodes(), None
        return kept

    async def _chosen(self, app_id: str) -> Decision | None:
        if self.board is None:
            since = unseen_since(self.nodes, self.policy, self.now)
            unseen = await self.tx.unseen_placements(since, _MOST_UNSEEN)
            self.board = Board(self.nodes, unseen, self.policy, self.now)
        try:
            return self.board.decide(app_id)
        except NoNode:
            return None

    async def _draining(self) -> Collection[int]:
        if self.draining is None:
            self.draining = await self.tx.draining_nodes()
        return self.draining

    def _unfit(self, node: RuntimeNode) -> bool:
        return obstacle_to_redeploy(node, self.policy, self.now) is not None

    def _lets_back(self, home: RuntimeNode) -> bool:
        return obstacle_to_return(home, self.policy, self.now) is None

    def _takes_move(self, target: RuntimeNode | None) -> bool:
        return target is not None and moves.obstacle_to_move(target, self.policy, self.now) is None

    def _node(self, node_id: int | None) -> RuntimeNode | None:
        return next((node for node in self.nodes if node.id == node_id), None)

    async def _has_run(self, app_id: str) -> bool:
        """An app that never came up has nothing on its node that would tie it there."""
        run = await self.tx.app_run(app_id)
        return run is not None and run.last_deployed_at is not None
