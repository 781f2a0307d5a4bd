"""One round of handing out: a short transaction that gives pending jobs to waiting runners.

It looks at the line through a window of users and reads their jobs without locks. Only then it locks: the runners, so
that what they hold is counted exactly, then the rows of the apps, then the jobs that were chosen. Orders lock in the
same sequence, an app's row before its jobs, and here whatever another transaction holds is left out and the rest chosen
anew: nobody waits in a circle.
"""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.deploy.domain import jobs, moves
from daemons.deploy.domain.events import CONTROL_PLANE, Actor
from daemons.deploy.domain.jobs import Job, Lease
from daemons.deploy.domain.line import Candidate, Line, Standing
from daemons.deploy.domain.matching import Offer, Reserved, full, match, warm_until
from daemons.deploy.domain.nodes import NodePolicy, Placement, Runner, RuntimeNode
from daemons.deploy.ports import Transaction
from daemons.deploy.services.homes import Home, Homes
from daemons.deploy.services.journal import RowMoved, event_of_job, event_of_placement, node_for, write_job

#: Jobs handed out in one transaction, at most.
JOBS: Final = 64
_USERS: Final = 32
_OLDEST: Final = 32
_LOOKED_THROUGH: Final = 1000
_WIDER: Final = 4
_WAVES: Final = 3

Pick = tuple[Candidate, Offer]


@dataclass(frozen=True, slots=True)
class Handed:
    """A job given to a runner, and the node it is for; `again` when the same claim may have been answered before."""

    job: Job
    node: RuntimeNode
    again: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What operators allow: the nodes' policy, when a runner counts as gone, and how long a job waits for the runner
    that built its app last (both in milliseconds)."""

    nodes: NodePolicy
    runner_stale_ms: int
    warm_ms: int


@dataclass(slots=True)
class Round:
    """The round for these offers, in their order; `fresh` are those that may be claims sent again. `after` is the user
    behind whom the window of users begins."""

    tx: Transaction
    terms: Terms
    offers: list[Offer]
    fresh: Sequence[Offer]
    after: str
    #: An app whose row was held when its job's turn came.
    awaited: str | None = None
    handed: list[tuple[Offer, Handed]] = field(default_factory=list)
    #: When (epoch ms) a job that now waits for its warm runner goes to anybody.
    reserved_until: int | None = None
    #: An app that the next round is to wait for.
    held_back: str | None = None
    now: int = 0
    #: No job at all is PENDING.
    nothing_waits: bool = False
    _warm: dict[str, Runner] = field(default_factory=dict)
    _looked: dict[str, int] = field(default_factory=dict)
    _exhausted: set[str] = field(default_factory=set)
    _running: Counter[str] = field(default_factory=Counter)
    _locked: set[str] = field(default_factory=set)
    _keys: dict[str, str] = field(default_factory=dict)

    async def serve(self) -> None:
        """Fill `handed`; fewer than there are offers when there is no more to do, or `JOBS` when there may be."""
        if self.awaited is not None:
            # First of all, holding nothing that the other could wait for.
            await self.tx.lock_app(self.awaited)
        self.now = await self.tx.now()
        await self._deliver_again()
        await self._leave_out_drained()
        standings = await self._standings()
        if not standings:
            self.nothing_waits = True
            return
        homes, line = await Homes.look(self.tx, self.terms.nodes, self.now), Line(standings, self.now)
        await self._load(line, homes, line.first(min(JOBS, len(self.offers))))
        for _ in range(_WAVES):
            picks = await self._choose(line, homes)
            if not picks or await self._carry_out(line, homes, picks):
                return

    async def _deliver_again(self) -> None:
        asking = {offer.runner_id for offer in self.fresh if offer.key}
        keys = {held.claim_key: held.job_id for held in await self.tx.held_by(asking)}
        for offer in self.fresh:
            if offer.key in keys:
                await self._repeat(offer, keys[offer.key])

    async def _leave_out_drained(self) -> None:
        drained = await self.tx.drained_runners({offer.runner_id for offer in self.offers})
        self.offers = [offer for offer in self.offers if offer.runner_id not in drained]

    async def _repeat(self, offer: Offer, job_id: str) -> None:
        before = await self.tx.job(job_id, lock=True)
        after = jobs.redeliver(before, offer.key, offer.lease_ms, self.now) if before and offer.key else None
        node = await node_for(self.tx, after) if after else None
        if before is None or after is None or node is None:
            return
        await write_job(self.tx, after, before, None, _actor(offer))
        self._give(offer, Handed(after, node, again=True))

    async def _standings(self) -> Sequence[Standing]:
        found = {each.user_id: each for each in await self.tx.standings(self.after, _USERS)}
        if len(found) < _USERS:
            if self.after:
                found |= {each.user_id: each for each in await self.tx.standings("", _USERS)}
            self.after = ""
            return list(found.values())
        self.after = max(found)
        found |= {each.user_id: each for each in await self.tx.oldest_standings(_OLDEST)}
        return list(found.values())

    async def _choose(self, line: Line, homes: Homes) -> list[Pick]:
        """Jobs and the runners that shall have them; nothing is locked or written yet."""
        free, running = list(self.offers), self._running.copy()
        picks: list[Pick] = []
        while free and len(picks) + len(self.handed) < JOBS and (user := line.user()) is not None:
            job = line.job(user)
            if job is None:
                await self._load_more(line, homes, user)
                continue
            offer = match(job, free, running, self._reserved_until(job))
            if isinstance(offer, Reserved):
                self.reserved_until = min(self.reserved_until or offer.until, offer.until)
            if not isinstance(offer, Offer):
                line.skip(user)
                continue
            picks.append((line.take(user), offer))
            free.remove(offer)
            running[offer.runner_id] += 1
        return picks

    async def _load(self, line: Line, homes: Homes, users: Sequence[str]) -> None:
        """The first jobs of these users, in one look."""
        await self._look(line, homes, users, 0, JOBS // line.users + 2)

    async def _load_more(self, line: Line, homes: Homes, user: str) -> None:
        """The next jobs of a user, looked for further and further behind; the user leaves when there are none."""
        limit = JOBS // line.users + 2
        while user not in self._exhausted and sum(self._looked.values()) < _LOOKED_THROUGH:
            await self._look(line, homes, [user], self._looked.get(user, 0), limit)
            if line.job(user) is not None:
                return
            limit *= _WIDER
        line.leave(user)

    async def _look(self, line: Line, homes: Homes, users: Sequence[str], skip: int, limit: int) -> None:
        page = await self.tx.due_jobs(users, self.now, skip, limit)
        startable = await homes.consider([job for job in page if not job.blocked and self._is_offered(job)])
        await self._look_up_warm(startable)
        line.load(startable)
        seen = Counter(job.user_id for job in page)
        for user in users:
            self._looked[user] = skip + seen[user]
            if seen[user] < limit:
                self._exhausted.add(user)

    def _is_offered(self, job: Candidate) -> bool:
        return not job.requires or any(job.requires <= offer.labels for offer in self.offers)

    async def _look_up_warm(self, candidates: Sequence[Candidate]) -> None:
        names = {
            job.built_by
            for job in candidates
            if job.builds and job.built_by is not None and self.now < job.due_at + self.terms.warm_ms
        }
        self._warm.update(await self.tx.runners_named(names.difference(self._warm)))

    def _reserved_until(self, job: Candidate) -> int | None:
        warm = self._warm.get(job.built_by or "")
        return warm_until(job, warm, self.terms.runner_stale_ms, self.terms.warm_ms, self.now)

    async def _carry_out(self, line: Line, homes: Homes, picks: Sequence[Pick]) -> bool:
        """Hand out what was chosen; whether all of it could be."""
        kept = await self._with_room(line, picks)
        wanted = {job.app_id for job, _ in kept}
        fences = await self.tx.lock_free_apps(wanted)
        self.held_back = min(wanted - fences.keys(), default=self.held_back)
        locked = await self.tx.lock_due([job.id for job, _ in kept if job.app_id in fences], self.now)
        found = {job.id: job for job in locked}
        placements = await self.tx.placements_of({job.app_id for job in locked})
        chosen = await self._housed(homes, [found[job.id] for job, _ in kept if job.id in found], placements)
        gifts: list[tuple[Offer, Job, Handed]] = []
        for candidate, offer in kept:
            job, home = found.get(candidate.id), chosen.get(candidate.id)
            if job is None or home is None:
                self._running[offer.runner_id] -= 1
                continue
            token = secrets.token_urlsafe(24)
            lease = Lease(offer.runner_id, token, fences[job.app_id] + 1, offer.lease_ms, offer.key, offer.instance)
            claimed = jobs.claim(moves.bound(job, home.serving, home.node.id), lease, self.now)
            gifts.append((offer, job, Handed(claimed, home.node)))
        await self._write(homes, gifts, placements)
        return len(gifts) == len(picks)

    async def _housed(
        self, homes: Homes, wanted: Sequence[Job], placements: Mapping[str, Placement]
    ) -> Mapping[str, Home]:
        """The nodes these jobs are for, by job id, as their rows are now."""
        found = [(job, await homes.of(job, placements.get(job.app_id))) for job in wanted]
        return await homes.confirmed([(job, home) for job, home in found if home is not None])

    async def _write(
        self, homes: Homes, gifts: Sequence[tuple[Offer, Job, Handed]], was: Mapping[str, Placement]
    ) -> None:
        placed, homes.placed = homes.placed, []
        await self.tx.put_placements(placed)
        await self.tx.raise_fences({job.app_id for _, job, _ in gifts})
        if not await self.tx.save_jobs([(handed.job, job) for _, job, handed in gifts]):
            raise RowMoved(", ".join(job.id for _, job, _ in gifts))
        events = [event_of_placement(each, was.get(each.app_id), CONTROL_PLANE) for each in placed]
        for offer, job, handed in gifts:
            events.append(event_of_job(handed.job, handed.node, "claimed", _actor(offer), job))
            self._give(offer, handed)
        await self.tx.append_all(events)

    async def _with_room(self, line: Line, picks: Sequence[Pick]) -> Sequence[Pick]:
        """Those whose runner has a slot free, counted under a lock; the jobs of the others are in the line again."""
        await self._count({offer.runner_id for _, offer in picks if offer.slots is not None or offer.key})
        kept: list[Pick] = []
        returned: list[Candidate] = []
        for job, offer in picks:
            if offer.key in self._keys:
                await self._repeat(offer, self._keys[offer.key])
            elif not full(offer, self._running):
                self._running[offer.runner_id] += 1
                kept.append((job, offer))
                continue
            returned.append(job)
            if offer in self.offers:
                self.offers.remove(offer)
        for job in reversed(returned):
            line.untake(job)
        return kept

    async def _count(self, runner_ids: set[str]) -> None:
        new = runner_ids - self._locked
        self._locked |= new
        await self.tx.lock_runners(new, self.now)
        for held in await self.tx.held_by(new):
            self._running[held.runner_id] += 1
            if held.claim_key is not None:
                self._keys[held.claim_key] = held.job_id

    def _give(self, offer: Offer, handed: Handed) -> None:
        self.handed.append((offer, handed))
        self.offers.remove(offer)


def _actor(offer: Offer) -> Actor:
    return Actor(f"runner:{offer.runner_id}", offer.address)
