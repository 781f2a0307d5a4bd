"""What watchers are shown that is not in the event log: figures of nodes and runners, and why pending jobs wait.

They are read once a second for all watchers together, and sent when they changed. Of the pending jobs those are
followed that have waited longest and those that came last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import views
from daemons.deploy.domain.events import CONTROL_PLANE, Event
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import health, runner_health
from daemons.deploy.domain.waiting import Surroundings
from daemons.deploy.ports import Transaction
from daemons.deploy.services.census import Census
from daemons.deploy.services.reading import Thresholds, explained, look
from daemons.kit.sse import Frame
from protocol.events import JobEvent, NodeEvent, RunnerEvent
from protocol.jobs import WaitingFor

#: Oldest and newest pending jobs whose reasons are kept up to date, each.
_PENDING_FOLLOWED: Final = 250
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that is compared, as of one moment."""

    around: Surroundings
    placements: Mapping[int, int]
    homes: Mapping[str, int]
    pending: Sequence[Job]
    waits: Mapping[str, WaitingFor]


@dataclass(frozen=True, slots=True)
class _Shown:
    mark: object
    frame: Frame | None = None


class Vitals:
    """What was last sent, by kind and id."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._shown: dict[_Key, _Shown] = {}
        self._census = Census()

    async def read(self, tx: Transaction) -> Sight:
        """Look at everything."""
        around = await look(tx, self._thresholds)
        pending = await tx.pending_ends(_PENDING_FOLLOWED) if around.pending else ()
        waits = await explained(tx, pending, around) if pending else {}
        placements = await tx.placements_of({job.app_id for job in pending})
        homes = {app_id: placement.node_id for app_id, placement in placements.items()}
        return Sight(around, await self._census.counts(tx), homes, pending, waits)

    def news(self, sight: Sight) -> list[Frame]:
        """What changed since it was last sent."""
        before, self._shown = self._shown, {}
        frames = [*self._nodes(sight, before), *self._runners(sight, before), *self._jobs(sight, before)]
        return [frame for frame in frames if frame is not None]

    def heard(self, events: Sequence[Event]) -> None:
        """The log grew by these."""
        self._census.heard(events)

    def told(self, waits: Mapping[str, WaitingFor]) -> None:
        """Watchers learned this with numbered events."""
        self._shown.update({("job", job_id): _Shown(wait) for job_id, wait in waits.items()})

    def last(self) -> list[Frame]:
        """What was last sent of everything, for somebody who has just come."""
        return [shown.frame for shown in self._shown.values() if shown.frame is not None]

    def forget(self) -> None:
        """Nobody watched for a while: everything is news."""
        self._shown.clear()

    def _nodes(self, sight: Sight, before: Mapping[_Key, _Shown]) -> list[Frame | None]:
        now, policy, found = sight.around.now, self._thresholds.policy, list[Frame | None]()
        for node in sight.around.nodes:
            placements = sight.placements.get(node.id, 0)
            key, mark = ("node", node.name), (node, placements, health(node, policy, now))
            if self._same(key, mark, before):
                continue
            view = views.node_view(node, policy, now, placements)
            at = view.last_heartbeat_at or views.when(now)
            event = NodeEvent(at=at, change="figures", actor=CONTROL_PLANE.name, node=view)
            found.append(self._show(key, mark, Frame("node", event.to_json())))
        return found

    def _runners(self, sight: Sight, before: Mapping[_Key, _Shown]) -> list[Frame | None]:
        now, stale_ms, found = sight.around.now, self._thresholds.runner_stale_ms, list[Frame | None]()
        for runner in sight.around.runners:
            key, mark = ("runner", runner.id), (runner, runner_health(runner, stale_ms, now))
            if self._same(key, mark, before):
                continue
            event = RunnerEvent(at=views.when(runner.last_seen_at), runner=views.runner_view(runner, stale_ms, now))
            found.append(self._show(key, mark, Frame("runner", event.to_json())))
        return found

    def _jobs(self, sight: Sight, before: Mapping[_Key, _Shown]) -> list[Frame | None]:
        at, found = views.when(sight.around.now), list[Frame | None]()
        nodes = {node.id: node for node in sight.around.nodes}
        for job in sight.pending:
            key, mark = ("job", job.id), sight.waits[job.id]
            if self._same(key, mark, before):
                continue
            view = views.job_view(job, nodes.get(sight.homes.get(job.app_id, 0)), mark)
            event = JobEvent(at=at, change="waiting", actor=CONTROL_PLANE.name, job=view)
            found.append(self._show(key, mark, Frame("job", event.to_json())))
        return found

    def _same(self, key: _Key, mark: object, before: Mapping[_Key, _Shown]) -> bool:
        known = before.get(key)
        if known is None or known.mark != mark:
            return False
        self._shown[key] = known
        return True

    def _show(self, key: _Key, mark: object, frame: Frame) -> Frame:
        self._shown[key] = _Shown(mark, frame)
        return frame
