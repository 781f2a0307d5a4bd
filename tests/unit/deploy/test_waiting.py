"""Every reason a pending job may wait for has a state that leads to it, and every state has a reason."""

import itertools
from dataclasses import replace

import pytest

from daemons.deploy.domain.nodes import Placement, Runner
from daemons.deploy.domain.waiting import Surroundings, explain
from protocol.errors import WaitReason
from tests.unit.deploy.test_nodes import JOB, NODE, NOW, around

HOME = Placement("a", 1, NOW)
DISABLED = replace(NODE, enabled=False)
STALE = replace(NODE, last_heartbeat_at=NOW - 600_000)
FULL = replace(NODE, disk_free_pct=3.0)
GONE = Runner("r1", NOW - 600_000)
STATES = {
    WaitReason.NODE_DISABLED: around(nodes=(DISABLED,), settled={"a"}),
    WaitReason.NODE_STALE: around(nodes=(STALE,), settled={"a"}),
    WaitReason.NODE_FULL: around(nodes=(FULL,), settled={"a"}),
    WaitReason.NO_NODE: around(nodes=(DISABLED, replace(STALE, id=2), replace(FULL, id=3))),
    WaitReason.NO_RUNNER: around(runners=(GONE,)),
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
