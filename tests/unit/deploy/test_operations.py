"""Operations on apps: back-off, what is overtaken, what takes whose place, what an app's state says meanwhile."""

from dataclasses import replace

import pytest

from daemons.deploy.domain import operations
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, NodePolicy, RuntimeNode
from daemons.deploy.domain.operations import Abandoned, Operation, OperationEnded, Request, Sequel
from daemons.deploy.domain.releases import Release
from protocol.jobs import JobStatus, JobType
from protocol.operations import OperationKind, OperationState

NOW = 1_700_000_000_000
STOP = Request(OperationKind.STOP, "shop", "1", 3, "stop", Actor("api", "10.0.0.9"))
DELETE = replace(STOP, kind=OperationKind.DELETE, cause="cleanup", sequel=Sequel.REMOVE_IMAGES)
RUN = AppRun("shop", 3, "job-1", "SUCCEEDED", None, NOW - 1000, NOW - 1000)


def asked(request: Request = STOP, fence: int = 5) -> Operation:
    return replace(operations.asked(request, fence, None, NOW), id=1)


def running(fence: int) -> Job:
    return Job(
        id="job-2",
        type=JobType.BUILD_AND_DEPLOY,
        status=JobStatus.RUNNING,
        app_id="shop",
        user_id="1",
        payload={},
        fence=fence,
        created_at=NOW,
        updated_at=NOW,
    )


def release(node_id: int | None, created_at: int) -> Release:
    return Release("shop", 4, "1", "job-2", "image", None, None, "hash", {}, node_id, created_at)


def test_the_pause_doubles_from_a_second_to_five_minutes_and_jitter_stays_in_bounds() -> None:
    middle = [operations.pause_ms(attempts, 0.5) for attempts in range(1, 13)]
    assert middle[:9] == [1000 * 2**power for power in range(9)]
    assert middle[9:] == [300_000] * 3
    assert operations.pause_ms(10_000, 1.0) == operations.LONGEST_PAUSE_MS
    for attempts in range(20):
        low, high = operations.pause_ms(attempts, 0.0), operations.pause_ms(attempts, 1.0)
        assert operations.FIRST_PAUSE_MS <= low <= high <= operations.LONGEST_PAUSE_MS


def test_what_was_taken_is_due_again_once_its_lease_ran_out() -> None:
    taken = operations.take(asked(), "me", 15_000, NOW)
    assert (taken.holder, taken.not_before, taken.attempts, taken.version) == ("me", NOW + 15_000, 1, 2)
    assert taken.held(NOW + 14_999) and not taken.held(NOW + 15_000)


def test_a_newer_operation_takes_the_place_of_a_pending_one_and_weakens_nothing() -> None:
    stop_after_delete = operations.asked(STOP, 9, asked(DELETE), NOW)
    assert (stop_after_delete.kind, stop_after_delete.sequel) == (OperationKind.DELETE, Sequel.REMOVE_IMAGES)
    assert stop_after_delete.fence == 9 and stop_after_delete.cause == "stop"
    delete_after_stop = operations.asked(DELETE, 9, asked(STOP), NOW)
    assert (delete_after_stop.kind, delete_after_stop.sequel) == (OperationKind.DELETE, Sequel.REMOVE_IMAGES)


@pytest.mark.parametrize(
    ("node_id", "fence", "created_at", "overtaken"),
    [
        (3, 6, NOW - 1, True),  # a newer attempt, also when the database's clock was set back
        (3, 4, NOW + 1, False),  # an older one that reported late: it is to be stopped
        (2, 6, NOW + 1, False),  # newer, but elsewhere
        (None, 6, NOW + 1, False),
        (3, None, NOW + 1, True),  # its job is forgotten: the time has to do
        (3, None, NOW - 1, False),
    ],
)
def test_only_a_newer_deployment_on_the_same_node_overtakes(
    node_id: int | None, fence: int | None, created_at: int, overtaken: bool
) -> None:
    job = running(fence) if fence is not None else None
    assert (operations.overtaken(asked(), release(node_id, created_at), job) is not None) is overtaken
    assert operations.overtaken(asked(), None, None) is None


def test_only_a_running_job_with_a_newer_fence_is_deploying_the_app_again() -> None:
    assert operations.being_deployed(asked(), [running(6)]) is not None
    assert operations.being_deployed(asked(), [running(4)]) is None
    assert operations.being_deployed(asked(), [replace(running(6), status=JobStatus.PENDING)]) is None


def test_an_ended_operation_is_not_hurried_and_one_under_way_goes_on() -> None:
    waiting = operations.postpone(asked(), "peer_failed", "no", 300_000, NOW)
    assert operations.hurry(waiting, NOW + 5).not_before == NOW + 5
    taken = operations.take(waiting, "me", 15_000, NOW)
    assert operations.hurry(taken, NOW + 5) is taken
    with pytest.raises(OperationEnded, match="DONE"):
        operations.hurry(operations.finish(taken, NOW), NOW)


def test_a_failure_says_first_that_the_node_was_silent() -> None:
    node = RuntimeNode(3, "n3", "http://n3", "http://n3", last_heartbeat_at=NOW - 60_000)
    reason, text = operations.failure("connection refused", node, NodePolicy(), NOW)
    assert (reason, text) == ("node_stale", "node n3 has not been heard of for 60 s: connection refused")
    fresh = replace(node, last_heartbeat_at=NOW - 5_000)
    assert operations.failure("on fire", fresh, NodePolicy(), NOW) == ("peer_failed", "node n3: on fire")
    never = replace(node, last_heartbeat_at=None)
    assert operations.failure("x", never, NodePolicy(), NOW)[1] == "node n3 was never heard of: x"


def test_the_apps_state_says_what_is_going_on() -> None:
    begun = operations.shown(asked(), RUN)
    assert begun is not None and (begun.last_job_status, begun.last_error) == ("STOPPING", "stopping: not tried yet")
    assert begun.last_deployed_at == RUN.last_deployed_at and begun.node_id == 3
    waiting = operations.postpone(asked(), "node_stale", "node n3 has not been heard of for 40 s", 1000, NOW)
    shown = operations.shown(waiting, begun)
    assert shown is not None
    assert shown.last_error == "stopping: node n3 has not been heard of for 40 s; it will be tried again"
    done = operations.shown(operations.finish(waiting, NOW), shown)
    assert done is not None and (done.last_job_status, done.last_error) == ("STOPPED", None)
    deleting = operations.shown(asked(DELETE), RUN)
    assert deleting is not None and deleting.last_job_status == "DELETING"


def test_the_apps_state_is_left_alone_when_it_is_elsewhere_or_a_job_wrote_it() -> None:
    assert operations.shown(asked(), None) is None
    assert operations.shown(asked(), replace(RUN, node_id=2)) is None
    waiting = operations.postpone(asked(), "node_stale", "silent", 1000, NOW)
    assert operations.shown(waiting, replace(RUN, last_job_status="FAILED")) is None
    stopping = replace(RUN, last_job_status="STOPPING")
    assert operations.shown(operations.abandon(waiting, Abandoned.DEPLOYED_AGAIN, "x", NOW), stopping) is None
    assert operations.shown(operations.abandon(waiting, Abandoned.SUPERSEDED, "x", NOW), stopping) is None
    given_up = operations.shown(operations.abandon(waiting, Abandoned.NODE_DELETED, "n3 is gone", NOW), stopping)
    assert given_up is not None and given_up.last_job_status == "STOP_ABANDONED"
    assert given_up.last_error == "not stopping any more: n3 is gone"


def test_words_are_cut_and_an_end_is_final() -> None:
    assert len(operations.postpone(asked(), "peer_failed", "x" * 9999, 1, NOW).message or "") == 2000
    assert OperationState.DONE.final and OperationState.ABANDONED.final and not OperationState.PENDING.final
