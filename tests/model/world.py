"""A world that a schedule plays in: one database, replicas of the control plane over it, and everybody who calls them.

Every commit is checked against the commit before (`rules`), every answer against what the database said while the
request was under way (`requests`).
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import pytest

from daemons.deploy.domain.jobs import Job
from daemons.deploy.ports import StoreUnavailable, Transaction
from daemons.kit import sql
from protocol.nodes import NodeHeartbeat
from tests.http.deploy.plane import AgentTwin
from tests.model.doors import Door
from tests.model.faults import EPOCH_MS, Clock, Fault, ModelStore, Network
from tests.model.loop import OwnTimeLoop
from tests.model.requests import (
    RUNNING,
    Answer,
    Claim,
    Create,
    Facts,
    Look,
    Renew,
    Request,
    answers,
    parked_answer,
)
from tests.model.rules import Violation, check_change, check_state

REPLICAS: Final = 2
#: A job that nobody works on is back in the queue this long after its lease; one that may start is handed out as soon.
RECOVERY_MS: Final = 5_000
NODE: Final = NodeHeartbeat.model_validate(
    {"nodeName": "n1", "agentBaseUrl": "http://n1:7005", "gatewayBaseUrl": "http://n1:8088", "diskFreePct": 60.0}
)
_ALL: Final = 10_000
_HELD_WORDS: Final = ("claimed", "nothing")


@dataclass(slots=True)
class Call:
    """A request under way, and where the world was when it began."""

    request: Request
    replica: int
    task: "asyncio.Task[Answer]"
    begun: int
    at: int
    troubles: int


@dataclass(frozen=True, slots=True)
class Hold:
    """What a runner was given."""

    job_id: str
    app_id: str
    runner_id: str
    token: str
    fence: int


class Replica(Protocol):
    """One process of the control plane."""

    store: ModelStore
    door: Door

    async def kill(self) -> None:
        """Nothing of this process happens any more."""
        ...

    async def stop(self) -> None:
        """Stop as on SIGTERM."""
        ...


class Parts(Protocol):
    """What a world is made of."""

    loop: OwnTimeLoop
    clock: Clock

    async def replica(self, world: "World") -> Replica:
        """A new process."""
        ...


class World:
    """`step` plays one thing and checks; the rest is what can be played."""

    def __init__(self, parts: "Parts", mode: int) -> None:
        self._parts = parts
        self.loop = parts.loop
        self.clock = parts.clock
        self.network = Network()
        self.agent = AgentTwin()
        self.facts = Facts(limit_running=mode % 2 == 1)
        self.singletons = mode == 2
        self.looks: list[Look] = [Look(parts.clock.now(), {})]
        self.calls: list[Call] = []
        self.holds: list[Hold] = []
        self.troubles = 0
        self.calm_since = parts.clock.now()
        self.violation: Violation | None = None
        self.words: Counter[str] = Counter()
        self.journal: list[str] = []
        _same_jitter()
        self.replicas: list[Replica] = []

    async def begin(self) -> None:
        """Start the replicas, and a node."""
        for _ in range(REPLICAS):
            self.replicas.append(await self._parts.replica(self))
        await self.replicas[0].door.beat(NODE)

    async def look(self, tx: Transaction, now: int) -> None:
        """See what this transaction leaves behind, just before it commits."""
        before = self.looks[-1]
        found = {job.id: job for job in await tx.newest_jobs(_ALL)}
        if found == before.jobs:
            return
        after = Look(now, found, len(self.looks))
        try:
            check_change(before, after, self.facts)
        except Violation as violation:
            self.violation = self.violation or violation
        self.looks.append(after)
        # Nothing happens within the same millisecond: what is ordered by time has one order.
        self.clock.set_by(1)

    def ask(self, request: Request, replica: int) -> Call:
        """Send a request."""
        self.note(f"{request} to replica {replica}")
        self.facts.asked.add(request)
        if isinstance(request, Claim):
            self.facts.claiming.add(request.runner_id)
            if request.token in self.facts.claims:
                self.facts.repeating.add(request.runner_id)
            self.facts.claims.add(request.token or "")
        task = self.loop.create_task(self.replicas[replica].door.ask(request))
        call = Call(request, replica, task, len(self.looks) - 1, self.clock.now(), self.troubles)
        self.calls.append(call)
        return call

    async def step(self, call: Call | None, patience: float) -> None:
        """Let things go on, until this call is answered or patience is over; then check all."""
        if call is None:
            await asyncio.sleep(patience)
        elif patience:
            await asyncio.wait({call.task}, timeout=patience)
        self.check()

    def check(self) -> None:
        """Raises Violation."""
        if self.violation is not None:
            raise self.violation
        for call in [call for call in self.calls if call.task.done()]:
            self.calls.remove(call)
            self._judge(call)
        check_state(self.looks[-1])
        self._check_kept()
        self._check_recovery()

    def note(self, what: str) -> None:
        """For whoever has to understand a violation."""
        self.journal.append(f"{self.clock.now() - EPOCH_MS:9} ms  {what}")

    def trouble(self) -> None:
        """Something happened after which the world needs a moment."""
        self.troubles += 1
        self.calm_since = max(self.calm_since, self.clock.now())

    def _judge(self, call: Call) -> None:
        if call.task.cancelled():
            return
        answer = call.task.result()
        self.words[answer.word] += 1
        self.note(f"{call.request} was answered {answer.word}")
        if answer.word == "unavailable":
            excused = call.troubles != self.troubles or self.network.slow
            self._require(excused, f"{call.request}: nothing was wrong")
            return
        if isinstance(call.request, Claim):
            self._take(call.request, answer)
            return
        said = f"made {answer.job_id}" if answer.word == "made" else answer.word
        right = self._right_answers(call)
        self._require(
            {said, answer.word} & right != set() or not right, f"{call.request}: {said} instead of {sorted(right)}"
        )
        if answer.word == "made" and answer.job_id is not None:
            self.facts.acknowledged.add(answer.job_id)
            if isinstance(call.request, Create):
                self._require(
                    answer.job_id in self.facts.made.get(call.request.mark, ()), f"{call.request}: not its job"
                )

    def _right_answers(self, call: Call) -> set[str]:
        moments = {call.at, self.clock.now()}
        seen = self.looks[call.begun :]
        each = {answers(call.request, look, now, self.facts) for look in seen for now in moments | {look.now}}
        if isinstance(call.request, Renew) and call.request.wait_seconds and RUNNING.value in each:
            each |= {parked_answer(call.request, look) for look in seen}
        return {word for word in each if word is not None}

    def _take(self, request: Claim, answer: Answer) -> None:
        self._require(answer.word in _HELD_WORDS, f"{request}: {answer.word}")
        if answer.word == "nothing":
            return
        job_id, app_id, token = answer.job_id or "", answer.app_id or "", answer.token or ""
        self._require(token in self.facts.tokens, "a runner gets what was committed")
        hold = Hold(job_id, app_id, request.runner_id, token, answer.fence or 0)
        again = request.token is not None and hold in self.holds
        self._require(again or token not in self.facts.delivered, "one lease is given to one runner")
        self.facts.delivered.add(token)
        self.holds.append(hold)

    def _check_kept(self) -> None:
        # What may be forgotten is checked when it is; what was acknowledged must have been there at all.
        known = self.looks[-1].jobs
        for job_id in list(self.facts.acknowledged):
            if job_id in known:
                continue
            self._require(any(job_id in look.jobs for look in self.looks), f"the acknowledged job {job_id} is lost")
            self.facts.acknowledged.discard(job_id)

    def _check_recovery(self) -> None:
        now = self.clock.now()
        for job in self.looks[-1].jobs.values():
            if job.status is RUNNING:
                since = max(job.lease_expire_at or 0, self.calm_since)
                self._require(now - since <= RECOVERY_MS, f"not recovered within its lease + 5 s: {job}")
            elif not job.status.terminal:
                self._check_handed_out(job, now)

    def _check_handed_out(self, job: Job, now: int) -> None:
        others = self.looks[-1].of_app(job.app_id)
        busy = any(each.status is RUNNING for each in others)
        parked = [call.at for call in self.calls if self._may_take(call.request, job)]
        if busy or not parked:
            return
        since = max(job.not_before, min(parked), self.calm_since, *(each.updated_at for each in others))
        self._require(now - since <= RECOVERY_MS, f"somebody waits, and nobody gets {job}")

    def _may_take(self, request: Request, job: Job) -> bool:
        if not isinstance(request, Claim) or not set(job.requires) <= request.labels:
            return False
        held = sum(
            each.runner_id == request.runner_id for each in self.looks[-1].jobs.values() if each.status is RUNNING
        )
        return request.slots is None or held < request.slots

    def _require(self, holds: bool, rule: str) -> None:
        if not holds:
            raise Violation(rule)

    # What befalls the world.

    def fault(self, replica: int, kind: Fault, after: int) -> None:
        """The replica's transaction after so many more goes wrong."""
        self.note(f"replica {replica}: {kind.value}, after {after} transactions")
        self.replicas[replica].store.faults.extend([None] * after + [kind])

    async def kill(self, replica: int) -> None:
        """kill -9, and a new process in its place."""
        self.note(f"kill -9 of replica {replica}")
        self.trouble()
        for call in self.calls:
            if call.replica == replica:
                call.task.cancel()
        await self.replicas[replica].kill()
        self.replicas[replica] = await self._parts.replica(self)

    async def restart(self, replica: int) -> None:
        """SIGTERM, and a new process in its place."""
        self.note(f"SIGTERM of replica {replica}")
        self.trouble()
        await self.replicas[replica].stop()
        self.replicas[replica] = await self._parts.replica(self)

    async def end(self) -> None:
        """Everything that is still going on is let go of."""
        for call in self.calls:
            call.task.cancel()
        for replica in self.replicas:
            await replica.kill()
        for call in self.calls:
            with suppress(asyncio.CancelledError, StoreUnavailable):
                await call.task

    def newest_first(self, index: int) -> Hold | None:
        """A hold, the last one first."""
        return self.holds[-1 - index % len(self.holds)] if self.holds else None

    def jobs(self) -> Sequence[Job]:
        """The jobs there are, newest first."""
        return list(self.looks[-1].jobs.values())


def _same_jitter() -> None:
    """Pauses after a conflict are drawn at random; a schedule that is repeated draws the same ones."""
    pytest.MonkeyPatch().setattr(sql, "_random", random.Random(1))
