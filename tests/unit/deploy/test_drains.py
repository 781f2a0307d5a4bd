"""Plans that drain nodes: what fits, what becomes of a move, when a plan is over, which silent nodes count as dead."""

from dataclasses import replace
from typing import Any

import pytest

from daemons.deploy.domain import capacity, drains, failover, moves
from daemons.deploy.domain.capacity import Targets, explanation, forecast
from daemons.deploy.domain.drains import Drain, DrainOver, Move, Resident, resident
from daemons.deploy.domain.failover import FailoverRules, Verdict
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.moves import Cargo, Route
from daemons.deploy.domain.nodes import AppRun, NodePolicy, Placement, RuntimeNode
from protocol.drains import DrainKind, DrainState, MoveState
from protocol.jobs import JobStatus, JobType

NOW = 10_000_000
GIB = 1024**3
POLICY = NodePolicy()
NODE = RuntimeNode(
    id=2,
    name="n2",
    agent_base_url="http://n2:7005",
    gateway_base_url="http://n2",
    last_heartbeat_at=NOW,
    disk_free_pct=60.0,
)
DRAIN = Drain(1, 1, DrainKind.DRAIN, DrainState.RUNNING, 2, False, True, "admin", NOW, NOW)
MOVE = Move(1, "11", MoveState.MOVING, NOW, target_id=2, job_id="j1", attempts=1)
IMAGE = "127.0.0.1:5000/funaistudio/u1-app11@sha256:" + "a1" * 32


def app(app_id: str = "11", image: str = IMAGE, placed_on: int = 1) -> Resident:
    return Resident(app_id, Cargo(app_id, "1", {"image": image}), placed_on)


def apps(count: int) -> list[Resident]:
    return [app(str(number)) for number in range(11, 11 + count)]


def look(residents: list[Resident], *nodes: RuntimeNode, **holders: frozenset[int]) -> capacity.Forecast:
    return forecast(residents, Targets(nodes, {}, holders, POLICY, NOW))


def job(status: JobStatus, **changes: Any) -> Job:
    made = moves.migrate("j1", Cargo("11", "1", {"image": IMAGE}), Route(1, 2), moves.Order(1), NOW)
    return replace(made, status=status, **changes)


def test_apps_go_where_most_room_is_left_and_the_forecast_counts_them() -> None:
    n3 = replace(NODE, id=3, name="n3", disk_free_pct=59.0)
    found = look(apps(4), NODE, n3)
    assert [move.target.name if move.target else None for move in found.moves] == ["n2", "n2", "n3", "n2"]
    assert [(room.node.name, room.apps, room.after.disk_free_pct) for room in found.rooms] == [
        ("n2", 3, 57.0),
        ("n3", 1, 58.0),
    ]
    assert explanation(found) == "4 of 4 apps fit: n2 gets 3, n3 gets 1"


@pytest.mark.parametrize(
    ("figures", "fit", "why"),
    [
        ({"disk_free_pct": 27.0}, 3, "24.0 % disk free, below 25 % with 3 more apps"),
        ({"disk_free_pct": 90.0, "inodes_free_pct": 26.5}, 2, "24.5 % inodes free, below 25 % with 2 more apps"),
        ({"disk_free_pct": 60.0, "disk_free_bytes": 6 * GIB, "disk_total_bytes": 100 * GIB}, 3, "no byte free with 3"),
        ({"disk_free_pct": 27.0, "disk_free_bytes": 27 * GIB, "disk_total_bytes": 100 * GIB}, 2, "23.0 % disk free"),
        ({"enabled": False}, 0, "disabled by an operator"),
        ({"last_heartbeat_at": NOW - 100_000}, 0, "n2: last heartbeat "),
    ],
)
def test_what_does_not_fit_is_told_node_by_node(figures: dict[str, object], fit: int, why: str) -> None:
    found = look(apps(5), replace(NODE, **figures))  # type: ignore[arg-type]
    assert sum(move.target is not None for move in found.moves) == fit
    assert not found.fits and why in explanation(found)


def test_an_image_in_no_registry_needs_an_engine_that_has_it() -> None:
    local = app("11", "funaistudio/u1-app11:0a1b2c3-4")
    assert "was never pushed to a registry" in explanation(look([local], NODE))
    n3 = replace(NODE, id=3, name="n3", disk_free_pct=50.0)
    [move] = look([local], NODE, n3, **{"11": frozenset({3})}).moves
    assert move.target == n3


def test_an_app_goes_to_the_node_that_its_placement_names_already() -> None:
    n3 = replace(NODE, id=3, name="n3", disk_free_pct=50.0)
    [move] = look([app(placed_on=3)], NODE, n3).moves
    assert move.target == n3


@pytest.mark.parametrize(
    ("run", "cargo"),
    [
        (None, False),
        (AppRun("11", 1, last_job_status="FAILED"), False),
        (AppRun("11", 1, last_job_status="STOPPED", last_deployed_at=NOW), False),
        (AppRun("11", 1, last_job_status="STOPPING", last_deployed_at=NOW), False),
    ],
)
def test_nothing_is_started_that_does_not_run(run: AppRun | None, cargo: bool) -> None:
    found = resident("11", Placement("11", 1, NOW), run, None)
    assert (found.cargo is not None, found.unknown) == (cargo, False)


def test_an_app_that_runs_nobody_knows_what_has_no_place_to_go() -> None:
    found = resident("11", Placement("11", 1, NOW), AppRun("11", 1, last_deployed_at=NOW), None)
    assert found.unknown and "deploy it again" in explanation(look([found], NODE))


@pytest.mark.parametrize(
    ("before", "seen", "state", "words"),
    [
        (MOVE, job(JobStatus.RUNNING), MoveState.MOVING, None),
        (MOVE, job(JobStatus.SUCCEEDED), MoveState.MOVED, None),
        (MOVE, job(JobStatus.FAILED, error_message="no"), MoveState.PENDING, "job j1 failed: no"),
        (replace(MOVE, attempts=3), job(JobStatus.FAILED, error_message="no"), MoveState.FAILED, "stays where it was"),
        (MOVE, job(JobStatus.CANCELLED, reason="cancelled"), MoveState.SKIPPED, "was cancelled"),
        (
            MOVE,
            job(JobStatus.CANCELLED, reason="superseded", superseded_by="j2"),
            MoveState.PENDING,
            "gave way to job j2",
        ),
        (replace(MOVE, state=MoveState.RETURNING), job(JobStatus.SUCCEEDED), MoveState.UNDONE, None),
        (replace(MOVE, state=MoveState.RETURNING), job(JobStatus.FAILED, error_message="no"), MoveState.MOVED, "no"),
        (replace(MOVE, state=MoveState.RETURNING), job(JobStatus.CANCELLED), MoveState.FAILED, "not moved back"),
        (MOVE, None, MoveState.PENDING, "not on record"),
    ],
)
def test_a_move_follows_its_job(before: Move, seen: Job | None, state: MoveState, words: str | None) -> None:
    after = drains.observed(before, seen, arrived=False, now=NOW + 1)
    assert after.state is state
    assert words is None or words in (after.message or "")
    assert (after is before) == (state is before.state)


def test_a_forgotten_job_is_known_by_where_the_app_lives() -> None:
    assert drains.observed(MOVE, None, arrived=True, now=NOW).state is MoveState.MOVED


def test_only_so_many_moves_begin_and_none_of_a_paused_plan() -> None:
    found = [MOVE, *(Move(1, str(number), MoveState.PENDING, NOW) for number in range(3))]
    wanted, free = drains.startable(DRAIN, found)
    assert ([move.app_id for move in wanted], free) == (["0", "1", "2"], 1)
    assert drains.startable(replace(DRAIN, state=DrainState.PAUSED), found)[0] == []


@pytest.mark.parametrize(
    ("state", "found", "ends"),
    [
        (DrainState.RUNNING, (MoveState.PENDING,), None),
        (DrainState.RUNNING, (MoveState.MOVING, MoveState.MOVED), None),
        (DrainState.RUNNING, (), DrainState.DONE),
        (DrainState.RUNNING, (MoveState.MOVED, MoveState.FAILED, MoveState.SKIPPED), DrainState.DONE),
        (DrainState.RUNNING, (MoveState.FAILED,), DrainState.FAILED),
        (DrainState.UNDOING, (MoveState.MOVED,), None),
        (DrainState.UNDOING, (MoveState.RETURNING,), None),
        (DrainState.UNDOING, (MoveState.UNDONE, MoveState.SKIPPED, MoveState.FAILED), DrainState.UNDONE),
    ],
)
def test_a_plan_ends_when_no_move_is_left(
    state: DrainState, found: tuple[MoveState, ...], ends: DrainState | None
) -> None:
    before = replace(DRAIN, state=state)
    after = drains.concluded(before, [Move(1, str(n), each, NOW) for n, each in enumerate(found)], NOW + 5)
    assert after.state is (ends or state)
    assert after.finished_at == (NOW + 5 if ends else None)
    assert drains.concluded(after, [], NOW + 9) is after or ends is None


def test_what_is_over_cannot_be_paused_but_undone_until_it_was() -> None:
    done = drains.ended(DRAIN, DrainState.DONE, NOW)
    with pytest.raises(DrainOver, match="drain 1 is DONE and cannot be paused"):
        drains.paused(done, NOW)
    assert drains.undoing(done, NOW).finished_at is None
    with pytest.raises(DrainOver):
        drains.undoing(drains.ended(DRAIN, DrainState.UNDONE, NOW), NOW)


def test_the_summary_is_honest() -> None:
    counts = {MoveState.MOVED: 48, MoveState.FAILED: 2}
    failed = [replace(MOVE, app_id=app_id, state=MoveState.FAILED, message="no room\nmore") for app_id in ("7", "8")]
    done = drains.ended(DRAIN, DrainState.DONE, NOW)
    assert drains.summary(done, counts, failed) == "DONE 48 of 50 moved, 2 failed: 7: no room; 8: no room"


def test_a_users_job_keeps_its_route_only_as_long_as_it_needs_one() -> None:
    mine = Job("j2", JobType.BUILD_AND_DEPLOY, JobStatus.PENDING, "11", "1", {"appId": "11"}, NOW, NOW)
    away = moves.bound(mine, 1, 2)
    assert moves.route_of(away) == Route(1, 2)
    assert moves.route_of(moves.bound(away, None, 1)) is None
    assert moves.bound(mine, None, 1) is mine


RULES = FailoverRules(60_000, 1)


def verdict(*silent_for: int, planned: tuple[int, ...] = (), running: int = 0, since: int = 0) -> Verdict:
    nodes = [
        replace(NODE, id=number, name=f"n{number}", last_heartbeat_at=NOW - age)
        for number, age in enumerate(silent_for)
    ]
    return failover.verdict(nodes, planned, running, RULES, POLICY, since, NOW)


def test_a_node_counts_as_dead_only_after_silence_that_somebody_heard() -> None:
    assert [node.name for node in verdict(0, 61_000, 0).nodes] == ["n1"]
    assert verdict(0, 59_000, 0) == Verdict()
    assert verdict(0, 600_000, 0, since=NOW - 30_000) == Verdict(), "the control plane was away itself"
    assert verdict(0, 61_000, 0, planned=(1,)) == Verdict()


def test_a_network_that_failed_moves_nothing() -> None:
    assert "2 of 3 nodes are silent" in (verdict(0, 61_000, 61_000).held_back or "")
    assert verdict(61_000).nodes == ()
    assert [node.name for node in verdict(0, 61_000).nodes] == ["n1"]


def test_only_so_many_failovers_run_at_once() -> None:
    found = verdict(0, 0, 0, 61_000, 61_000)
    assert len(found.nodes) == 1 and found.held_back
    assert verdict(0, 0, 0, 61_000, running=1).nodes == ()
