"""Nodes and runners as they are heard of, and what waits for them."""

from dataclasses import replace

import pytest

from daemons.deploy.domain import jobs, nodes
from daemons.deploy.domain.nodes import NodePolicy, Placement, Runner, RuntimeNode
from daemons.deploy.domain.views import deploy_url, node_view, when
from daemons.deploy.domain.waiting import Surroundings, explain
from protocol.errors import NodeReason
from protocol.jobs import JobPayload, JobType
from protocol.nodes import NodeHealth, NodeHeartbeat, UpsertNode

NOW = 1_000_000
POLICY = NodePolicy()
NODE = RuntimeNode(1, "n1", "http://a", "http://g", last_heartbeat_at=NOW, disk_free_pct=60.0)
BEAT = NodeHeartbeat(node_name="n1", agent_base_url="http://b", gateway_base_url="http://h")
JOB = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="a"), NOW)
RUNNER = Runner("r1", NOW)


STATES: list[tuple[dict[str, object], NodePolicy, NodeHealth, list[str]]] = [
    ({}, POLICY, NodeHealth.HEALTHY, ["in_service"]),
    ({"disk_free_pct": None}, POLICY, NodeHealth.HEALTHY, ["in_service"]),
    ({"enabled": False}, POLICY, NodeHealth.DISABLED, ["disabled"]),
    ({"last_heartbeat_at": None}, POLICY, NodeHealth.STALE, ["never_heard"]),
    ({"last_heartbeat_at": NOW - 45_000}, POLICY, NodeHealth.STALE, ["silent"]),
    ({"disk_free_pct": 24.0}, POLICY, NodeHealth.DRAINING, ["low_disk", "no_new_apps"]),
    ({"disk_free_pct": 14.0, "inodes_free_pct": 3.0}, POLICY, NodeHealth.UNHEALTHY, ["low_disk", "low_inodes"]),
    ({"inodes_free_pct": 3.0}, POLICY, NodeHealth.UNHEALTHY, ["low_inodes"]),
    ({"disk_level": "no_new_apps"}, POLICY, NodeHealth.DRAINING, ["no_new_apps"]),
    ({"disk_level": "no_pulls", "disk_words": "full"}, POLICY, NodeHealth.DRAINING, ["no_pulls", "no_new_apps"]),
    ({"disk_level": "stops_only", "disk_words": "fuller"}, POLICY, NodeHealth.UNHEALTHY, ["stops_only"]),
    ({"disk_level": "ok"}, POLICY, NodeHealth.HEALTHY, ["in_service"]),
    ({}, NodePolicy(watched=False), NodeHealth.UNKNOWN, ["unwatched"]),
]


@pytest.mark.parametrize(("changes", "policy", "label", "slugs"), STATES)
def test_every_label_says_why(
    changes: dict[str, object], policy: NodePolicy, label: NodeHealth, slugs: list[str]
) -> None:
    changed = replace(NODE, **changes)  # type: ignore[arg-type]
    found, reasons = nodes.health(changed, policy, NOW)
    assert (found, [each.slug for each in reasons]) == (label, slugs) and all(each.words for each in reasons)
    view = node_view(changed, policy, NOW, 0)
    assert [each.reason for each in view.explanations] == slugs
    shown = () if label is NodeHealth.HEALTHY else tuple(each.message for each in view.explanations)
    assert view.reasons == shown, "readers of before find the words where they were"


def test_every_label_and_every_reason_has_a_state() -> None:
    assert {label for _, _, label, _ in STATES} == set(NodeHealth)
    assert {slug for *_, slugs in STATES for slug in slugs} == {each.value for each in NodeReason}


def test_a_heartbeat_replaces_every_figure_also_by_nothing() -> None:
    after = nodes.heard(replace(NODE, container_count=4, weight=7), BEAT, NOW + 5)
    assert (after.agent_base_url, after.weight, after.disk_free_pct, after.container_count) == (
        "http://b",
        7,
        None,
        None,
    )
    assert after.last_heartbeat_at == NOW + 5


def test_an_agent_that_does_not_say_how_often_it_calls_is_observed() -> None:
    assert nodes.heard(NODE, BEAT, NOW + 60_000).interval_seconds == 60.0
    assert nodes.heard(NODE, BEAT, NOW + 600_000).interval_seconds is None
    told = BEAT.model_copy(update={"interval_seconds": 10.0})
    assert nodes.heard(NODE, told, NOW + 60_000).interval_seconds == 10.0
    slow = nodes.heard(NODE, BEAT, NOW + 60_000)
    assert nodes.fresh(slow, POLICY, NOW + 60_000 + 149_000)


def test_an_edit_keeps_what_it_leaves_out() -> None:
    order = UpsertNode(name="n1", agent_base_url="http://x", gateway_base_url="http://y")
    after = nodes.edited(replace(NODE, enabled=False, weight=3), order, NOW)
    assert (after.enabled, after.weight, after.last_heartbeat_at) == (False, 3, NOW)


def around(**changes: object) -> Surroundings:
    usual = Surroundings(NOW, (NODE,), (RUNNER,), 1, POLICY, 90_000)
    return replace(usual, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({}, "queued", "next in line"),
        ({"pending": 4}, "queued", "4 are pending"),
        ({"nodes": ()}, "no_node", "none is registered"),
        ({"nodes": (replace(NODE, disk_free_pct=20.0),)}, "no_node", "n1: 20.0 % disk free, below 25 %"),
        ({"runners": ()}, "no_runner", "no runner has called yet"),
        ({"pending": 11}, "queued", "more than 10 are pending"),
        ({"pending": 1001}, "queued", "more than 1000 are pending"),
        ({"runners": (Runner("r1", NOW - 100_000),)}, "no_runner", "for more than 1 min"),
    ],
)
def test_a_new_apps_job_explains_itself(changes: dict[str, object], reason: str, words: str) -> None:
    found = explain(JOB, None, None, around(**changes))
    assert found.reason == reason and words in found.message


def test_what_stands_in_the_way_of_a_placed_apps_job() -> None:
    home = Placement("a", 1, NOW)
    running = replace(JOB, id="j0", started_at=NOW - 5000)
    busy = explain(JOB, running, home, around())
    assert (busy.reason, busy.job_id, busy.since) == ("app_busy", "j0", when(NOW - 5000)) and "j0" in busy.message
    pausing = explain(replace(JOB, not_before=NOW + 1500, attempt=1), None, home, around())
    assert (pausing.reason, pausing.until) == ("backoff", when(NOW + 1500))
    nodes = (replace(NODE, enabled=False), replace(NODE, id=2, name="n2"))
    tied = explain(JOB, None, home, around(nodes=nodes, settled={"a"}))
    assert tied.reason == "node_disabled" and [each.node for each in tied.nodes] == ["n1"]
    assert explain(JOB, None, home, around(nodes=nodes)).reason == "queued"
    assert explain(JOB, None, home, around(nodes=(replace(NODE, disk_free_pct=20.0),))).reason == "queued"


@pytest.mark.parametrize(
    ("gateway", "base_path", "url"),
    [
        ("http://g", None, "http://g/runtime/a/"),
        ("http://g/", "/runtime/a/", "http://g/runtime/a/"),
        ("http://g/x/", "/apps/a", "http://g/x/apps/a/"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_where_an_app_answers(gateway: str | None, base_path: str | None, url: str | None) -> None:
    payload = {**JOB.payload, **({"basePath": base_path} if base_path else {})}
    assert deploy_url(replace(JOB, payload=payload), replace(NODE, gateway_base_url=gateway)) == url
