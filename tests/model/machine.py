"""The state machine that Hypothesis plays: its rules are what clients, clocks, networks and processes may do."""

from collections import Counter
from collections.abc import Coroutine
from typing import Any, ClassVar, Final, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model.faults import Fault
from tests.model.requests import (
    BACKOFF_MS,
    CANCELLED,
    FAILED,
    SUCCEEDED,
    Claim,
    Cleanup,
    Confirm,
    Create,
    Log,
    Move,
    Purge,
    Renew,
    Report,
    Request,
    Retry,
    Stop,
)
from tests.model.rules import Violation
from tests.model.world import REPLICAS, Parts, World

_APPS: Final = 2
_RUNNERS: Final = ("r1", "r2", "r3")
_LEASES: Final = (2, 5, 30)
#: How long the caller waits for an answer before the next thing happens: until all is quiet, not at all, for a while.
_PATIENCE: Final = (0.001, 0.0, 0.7)
_PASSES: Final = (0.5, 3.0, 1.0, 3.0, 8.0, 25.0)
_JUMPS: Final = (3_600_000, 25 * 3_600_000, -30_000)
_ENDS: Final = (SUCCEEDED, FAILED, CANCELLED)

_FAULTS: Final = tuple(Fault)

small = st.integers(0, 3)
apps = st.integers(0, _APPS - 1)
runners = st.integers(0, 2)
#: Through which replica, and how patiently.
ways = st.integers(0, 2 * 3 - 1)


class Played(Parts, Protocol):
    """Parts that all schedules of one process share, because making them takes longer than a schedule."""

    def empty(self) -> None:
        """As new, for the next schedule."""
        ...


class Schedule(RuleBasedStateMachine):
    """One schedule: a world of its own, and what happens in it."""

    parts: ClassVar[Played]
    played = 0
    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.parts.empty()
        self.loop = self.parts.loop
        self.marks = 0
        self.claims = 0

    @initialize(mode=st.integers(0, 4))
    def begin(self, mode: int) -> None:
        """With a limit on running time, with the reaper as a singleton, or with neither."""
        self.world = World(self.parts, mode)
        self._run(self.world.begin())

    def teardown(self) -> None:
        """Let go of everything, and count."""
        self._run(self.world.end())
        Schedule.played += 1
        Schedule.counted += self.world.words

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(work)
        except Violation as violation:
            violation.add_note("What happened:\n" + "\n".join(self.world.journal))
            raise

    def _ask(self, request: Request, way: int) -> None:
        call = self.world.ask(request, way % REPLICAS)
        self._run(self.world.step(call, _PATIENCE[way // REPLICAS % len(_PATIENCE)]))

    @rule(app=apps, policy=st.integers(0, 2), key=st.integers(0, 6), kind=st.integers(0, 5), way=ways)
    def create(self, app: int, policy: int, key: int, kind: int, way: int) -> None:
        """With one of two keys, each used for several texts, or without; some for a large runner, some in haste."""
        self.marks += 1
        keyed = 0 < key < 5
        text = f"k{key}p{policy}a{app}k{kind}" if keyed else f"m{self.marks}"
        key_text = f"key{key % 2}" if keyed else None
        requires, priority = (("large",) if kind == 4 else ()), (5 if kind == 5 else 0)
        self._ask(Create(f"app{app}", text, key_text, policy > 0, policy > 1, requires, priority), way)

    @rule(runner=runners, lease=st.integers(0, 2), token=st.integers(0, 3), way=ways)
    def claim(self, runner: int, lease: int, token: int, way: int) -> None:
        """A runner asks for work."""
        self._ask(Claim(_RUNNERS[runner], _LEASES[lease], 0.0, self._claim_token(runner, token)), way)

    @rule(runner=runners, lease=st.integers(0, 2), long=st.booleans(), token=st.integers(0, 3), way=ways)
    def park(self, runner: int, lease: int, long: bool, token: int, way: int) -> None:
        """A runner waits for work."""
        wait = 20.0 if long else 3.0
        self._ask(Claim(_RUNNERS[runner], _LEASES[lease], wait, self._claim_token(runner, token)), way)

    @rule(app=apps, runner=runners, lease=st.integers(0, 2), policy=st.integers(0, 2), way=ways)
    def create_and_claim(self, app: int, runner: int, lease: int, policy: int, way: int) -> None:
        """Both at once."""
        self.create(app, policy, 0, 0, 2)
        self.claim(runner, lease, 0, way)

    @rule(runner=runners, times=st.integers(1, 4))
    def runners_die(self, runner: int, times: int) -> None:
        """One after the other, each with the same job, and the next as soon as it may be tried again."""
        for attempt in range(times):
            self._ask(Claim(_RUNNERS[runner], _LEASES[0], 0.0, None), 0)
            self._run(self.world.step(None, 5.0))
            self._set_clock(BACKOFF_MS[min(attempt, 2)])

    @rule(hold=small, forged=st.integers(0, 15), seconds=st.integers(0, 2), wait=st.booleans(), way=ways)
    def renew(self, hold: int, forged: int, seconds: int, wait: bool, way: int) -> None:
        """A holder, present or former, extends its lease; now and then with another's token."""
        if (proof := self._proof(hold, forged)) is not None:
            self._ask(Renew(*proof, _LEASES[seconds], 10.0 if wait else 0.0), way)

    @rule(hold=small, forged=st.integers(0, 15), end=st.integers(0, 2), way=ways)
    def report(self, hold: int, forged: int, end: int, way: int) -> None:
        """A holder, present or former, says how it ended: once, again, late, or another way than before."""
        if (proof := self._proof(hold, forged)) is not None:
            self._ask(Report(*proof, _ENDS[end]), way)

    @rule(hold=small, forged=st.integers(0, 15), offset=st.integers(0, 12), way=ways)
    def log(self, hold: int, forged: int, offset: int, way: int) -> None:
        """A part of a log arrives: in order, twice, or too early."""
        if (proof := self._proof(hold, forged)) is not None:
            self._ask(Log(*proof, offset, b"line\n"), way)

    @rule(hold=small, stale=st.integers(0, 5), way=ways)
    def confirm(self, hold: int, stale: int, way: int) -> None:
        """An agent asks whether an attempt may go live."""
        found = self.world.newest_first(hold)
        if found is None:
            self.create_and_claim(hold % _APPS, 0, 2, 0, way)
            return
        self._ask(Confirm(found.app_id, max(1, found.fence - (stale == 5))), way)

    @rule(job=small, kind=st.integers(0, 7), way=ways)
    def change(self, job: int, kind: int, way: int) -> None:
        """Cancel, retry (three policies), or move by hand."""
        jobs = self.world.jobs()
        if not jobs:
            return
        job_id = jobs[job % len(jobs)].id
        request: Request = Move(job_id, CANCELLED)
        if kind in (1, 2, 3):
            request = Retry(job_id, kind > 1, kind > 2)
        elif kind in (4, 5):
            request = Move(job_id, _ENDS[kind - 4])
        self._ask(request, way)

    @rule(passes=st.integers(0, len(_PASSES) - 1))
    def time_passes(self, passes: int) -> None:
        """For everybody."""
        self._run(self.world.step(None, _PASSES[passes]))

    @rule(kind=st.integers(0, 6), which=st.integers(0, 2**12), way=ways)
    def mishap(self, kind: int, which: int, way: int) -> None:
        """What happens to processes, clocks, networks, and whole apps."""
        replica = which % REPLICAS
        if kind == 0:
            self.world.fault(replica, _FAULTS[which // 2 % len(_FAULTS)], which // 16 % 3)
        elif kind == 1:
            self.world.trouble()
            self.world.network.weather(which)
        elif kind == 2:
            self._run(self.world.kill(replica))
        elif kind == 3:
            self._run(self.world.restart(replica))
        elif kind == 4 and self.world.calls:
            self.world.calls[which % len(self.world.calls)].task.cancel()
        elif kind == 5:
            self._set_clock(_JUMPS[which % len(_JUMPS)])
        elif kind == 6:
            name = f"app{which % _APPS}"
            self._ask((Stop(name), Purge(name), Cleanup(name))[which // _APPS % 3], way)
        self._run(self.world.step(None, 0.001))

    @rule(app=apps, replica=st.integers(0, REPLICAS - 1), number=st.integers(1, 2**8))
    def lose_a_claim(self, app: int, replica: int, number: int) -> None:
        """A claim's answer is lost, and before anybody can put the job back, a newer one is ordered."""
        self.create(app, 0, 0, 0, 0)
        self.world.trouble()
        self.world.network.weather(number)
        self.world.fault(replica, Fault.DONE_IN_DOUBT, 0)
        self._ask(Claim(_RUNNERS[0], _LEASES[2], 0.0, None), replica + 4)
        self.create(app, 1, 0, 0, 1 - replica)

    def _claim_token(self, runner: int, token: int) -> str | None:
        """None, a new one, or (one of four) the runner's last one again."""
        if token == 0:
            return None
        if token < 3:
            self.claims += 1
        return f"claim-of-r{runner}-number-{self.claims:04}"

    def _set_clock(self, by: int) -> None:
        if by < 0:
            # Until the time that it was, leases last longer.
            self.world.trouble()
        self.world.clock.set_by(by)
        if by > 0:
            self.world.trouble()

    def _proof(self, hold: int, forged: int) -> tuple[str, str, str | None] | None:
        found, other = self.world.newest_first(hold), self.world.newest_first(hold + 1)
        if found is None or other is None:
            self.create_and_claim(hold % _APPS, 0, 2, 0, 0)
            return None
        if forged == 15:
            return found.job_id, found.runner_id, None
        if forged >= 13:
            return found.job_id, found.runner_id if forged == 13 else other.runner_id, other.token
        return found.job_id, found.runner_id, found.token
