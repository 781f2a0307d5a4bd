"""Every reason a pending job may wait for has a state that leads to it, and every state has a reason."""

import itertools
from dataclasses import replace

import pytest

from daemons.deploy.domain.holders import Holders
from daemons.deploy.domain.nodes import Placement, Runner
from daemons.deploy.domain.views import when
from daemons.deploy.domain.waiting import Past, Surroundings, explain
from protocol.errors import WaitReason
from protocol.nodes import PausedBecause, RunnerVitals
from tests.unit.deploy.test_nodes import JOB, NODE, NOW, around

HOME = Placement("a", 1, NOW)
DISABLED = replace(NODE, enabled=False)
STALE = replace(NODE, last_heartbeat_at=NOW - 600_000)
FULL = replace(NODE, disk_free_pct=3.0)
GONE = Runner("r1", NOW - 600_000)
HERE = Runner("r1", NOW)
TWO = (HERE, replace(HERE, id="r2", slots=1))
HELD = {"r1": 2, "r2": 1}
PAUSED = replace(
    HERE,
    vitals=RunnerVitals(instance_id="process-1", pause=PausedBecause(reason="disk", message="RUNNER_WORKDIR is full")),
    vitals_at=NOW,
)
STATES = {
    WaitReason.NODE_DISABLED: around(nodes=(DISABLED,), settled={"a"}),
    WaitReason.NODE_STALE: around(nodes=(STALE,), settled={"a"}),
    WaitReason.NODE_FULL: around(nodes=(FULL,), settled={"a"}),
    WaitReason.NO_NODE: around(nodes=(DISABLED, replace(STALE, id=2), replace(FULL, id=3))),
    WaitReason.NO_RUNNER: around(runners=(GONE,)),
    WaitReason.RUNNERS_BUSY: around(runners=(replace(HERE, slots=2), replace(HERE, id="r2", slots=1)), held=HELD),
    WaitReason.RUNNERS_PAUSED: around(runners=(PAUSED, replace(PAUSED, id="r2"))),
    WaitReason.WARM_RUNNER: around(runners=TWO, pasts={"a": Past("r2")}, warm_ms=2000),
    WaitReason.QUEUED: around(pending=7),
}


@pytest.mark.parametrize("reason", STATES)
def test_a_state_leads_to_its_reason(reason: WaitReason) -> None:
    found = explain(JOB, None, HOME, STATES[reason])
    assert found.reason == reason.value and found.message


def test_every_reason_has_a_state() -> None:
    running = explain(JOB, replace(JOB, id="j0", started_at=NOW), HOME, around())
    pausing = explain(replace(JOB, not_before=NOW + 1), None, HOME, around())
    unlabelled = explain(replace(JOB, requires=("gpu",)), None, HOME, around())
    others = {running.reason, pausing.reason, unlabelled.reason}
    assert others == {"app_busy", "backoff", "no_runner_with_labels"}
    assert others | {reason.value for reason in STATES} == {reason.value for reason in WaitReason}


def test_slots_are_in_use_only_where_every_runner_that_could_take_the_job_has_none_left() -> None:
    full = replace(HERE, slots=2)
    silent, other = replace(GONE, id="r2", slots=1), replace(HERE, id="r2", slots=3)
    unlabelled = replace(JOB, requires=("gpu",))
    for runners, job, reason in (
        ((full,), JOB, "runners_busy"),
        ((full, silent), JOB, "runners_busy"),
        ((full, other), JOB, "queued"),
        ((full, replace(HERE, id="r2")), JOB, "queued"),
        ((replace(full, labels=("gpu",)), other), unlabelled, "runners_busy"),
        ((full, replace(HERE, id="r3", labels=("gpu",))), unlabelled, "queued"),
    ):
        assert explain(job, None, HOME, around(runners=runners, held=HELD)).reason == reason, runners
    many = tuple(replace(HERE, id=f"r{number}", slots=1) for number in range(8))
    found = explain(JOB, None, HOME, around(runners=many, held={each.id: 1 for each in many}))
    assert found.message.endswith("r0, r1, r2, r3, r4 and 3 more")


def test_a_runner_that_takes_no_work_is_named_with_its_reason_only_where_no_other_could_take_the_job() -> None:
    found = explain(JOB, None, HOME, around(runners=(PAUSED,)))
    assert found.message == "the runners that could take it take no work now: r1: RUNNER_WORKDIR is full"
    for runners, reason in (
        ((PAUSED, replace(HERE, id="r2")), "queued"),
        ((PAUSED, replace(HERE, id="r2", slots=1)), "runners_busy"),
        ((replace(PAUSED, vitals_at=NOW - 600_000),), "queued"),
    ):
        assert explain(JOB, None, HOME, around(runners=runners, held={"r2": 1})).reason == reason
    warm = around(runners=(replace(PAUSED, id="r2"), HERE), pasts={"a": Past("r2", NOW - 500)}, warm_ms=2000)
    assert explain(JOB, None, HOME, warm).reason == "queued"


def test_a_job_that_was_handed_back_says_by_whom() -> None:
    found = explain(replace(JOB, holders=Holders(None, 1, "r9", "0" * 64)), None, HOME, around())
    assert found.reason == "queued" and found.message.startswith("runner r9 was stopped and handed the job back; ")


def test_a_job_is_kept_for_its_warm_runner_as_long_as_the_claim_keeps_it() -> None:
    state = around(runners=TWO, pasts={"a": Past("r2", NOW - 500)}, warm_ms=2000)
    job = replace(JOB, created_at=NOW - 1000)
    found = explain(job, None, HOME, state)
    assert (found.reason, found.until) == ("warm_runner", when(NOW + 1500)) and "r2" in found.message
    busy = replace(state, held={"r2": 1})
    assert explain(job, None, HOME, busy).reason == "warm_runner", "it may become free in time"
    for changed, ordered in (
        (replace(state, now=NOW + 1500), job),
        (replace(state, warm_ms=0), job),
        (replace(state, pasts={}), job),
        (replace(state, pasts={"a": Past("r3")}), job),
        (replace(state, runners=TWO[1:]), job),
        (state, replace(job, payload={**job.payload, "image": "r/a:1"})),
    ):
        assert explain(ordered, None, HOME, changed).reason == "queued", (changed, ordered)


def test_whatever_the_state_there_is_a_known_reason_in_words_that_do_not_tick() -> None:
    nodes = ((), (NODE,), (DISABLED,), (STALE,), (FULL, replace(DISABLED, id=2)))
    runners = ((), (GONE,), (Runner("r1", NOW),))
    known = {reason.value for reason in WaitReason}
    for machines, callers, settled, requires in itertools.product(nodes, runners, ((), {"a"}), ((), ("gpu",))):
        state: Surroundings = around(nodes=machines, runners=callers, settled=settled)
        job = replace(JOB, requires=requires)
        for home, busy in itertools.product((None, HOME), (None, replace(JOB, id="j0", started_at=NOW))):
            found = explain(job, busy, home, state)
            assert found.reason in known and found.message
            assert explain(job, busy, home, replace(state, now=NOW + 1)).message == found.message
