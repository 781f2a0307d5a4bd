"""One job from claim to report, on twins: every way it can end."""

import asyncio
from typing import Any

import pytest

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.ports import BuildOrder, NoFolder
from protocol.errors import JobReason
from protocol.jobs import JobPhase, JobStatus
from tests.unit.runner.twins import COMMIT, DIGEST, JOB_ID, Bench, claimed, turns_until

LOCAL = "funaistudio/u1-app20001"
REMOTE = f"registry.example:5000/{LOCAL}"
SECRET = "a-very-secret-password"


async def forever(_order: BuildOrder) -> None:
    await asyncio.Event().wait()


async def test_without_a_registry_the_immutable_tag_is_deployed_and_stays() -> None:
    bench = Bench(claimed())
    await bench.run_next()
    image = f"{LOCAL}:{COMMIT[:12]}-7"
    assert bench.report.status is JobStatus.SUCCEEDED
    assert (bench.report.image, bench.report.commit, bench.report.image_digest) == (image, COMMIT, None)
    assert bench.builder.built == [image]
    assert (bench.builder.pushed, bench.builder.removed) == ([], [])
    assert bench.control.phases == [JobPhase.CLONE, JobPhase.BUILD, JobPhase.DEPLOY]
    url, order = bench.hosts.orders[0]
    assert url == "http://node:7005"
    assert (order.user_id, order.app_id, order.image, order.fence, order.job_id) == ("1", "20001", image, 7, JOB_ID)
    assert (order.container_port, order.base_path) == (3000, "/runtime/20001")
    assert bench.workplace.closed == bench.workplace.opened == [f"{JOB_ID}-1"]
    assert bench.meter.results == ["SUCCEEDED"]


async def test_with_a_registry_both_tags_are_pushed_the_digest_is_deployed_and_the_local_image_removed() -> None:
    bench = Bench(claimed(imageTag="v3"), registry="registry.example:5000")
    await bench.run_next()
    names = [f"{REMOTE}:{COMMIT[:12]}-7", f"{REMOTE}:v3"]
    assert bench.builder.pushed == bench.builder.removed == names
    assert bench.report.image == f"{REMOTE}@{DIGEST}"
    assert bench.report.image_digest == DIGEST
    assert bench.hosts.orders[0][1].image == f"{REMOTE}@{DIGEST}"
    assert bench.control.phases == [JobPhase.CLONE, JobPhase.BUILD, JobPhase.PUSH, JobPhase.DEPLOY]


async def test_an_image_in_the_payload_is_deployed_without_a_build() -> None:
    bench = Bench(claimed(image="nginx:1.25", repoSshUrl=None))
    await bench.run_next()
    assert bench.report.status is JobStatus.SUCCEEDED
    assert bench.repository.sources == []
    assert bench.hosts.orders[0][1].image == "nginx:1.25"
    assert bench.builder.removed == []


async def test_the_log_is_uploaded_whole_before_the_report_counts_it() -> None:
    bench = Bench(claimed())
    await bench.run_next()
    log = bench.control.log()
    assert "[clone] fetching main" in log
    assert f"commit {COMMIT}" in log
    assert log.endswith("the app is live\n")
    assert bench.report.log_length == len(log.encode())


async def test_an_upload_resumes_where_the_control_plane_stands_after_a_gap() -> None:
    bench = Bench(claimed())
    bench.builder.output = tuple(f"line {number} of many\n" for number in range(40_000))
    bench.control.forget_log_once = True
    await bench.run_next()
    log = bench.control.log()
    assert bench.control.forget_log_once is False
    assert len(log.encode()) == bench.report.log_length
    assert [line for line in log.splitlines() if line.startswith("line")] == [
        line.rstrip("\n") for line in bench.builder.output
    ]


async def test_an_absent_log_store_holds_up_nothing() -> None:
    bench = Bench(claimed())
    bench.control.uploads_down = True
    await bench.run_next()
    assert bench.report.status is JobStatus.SUCCEEDED
    assert bench.report.log_length


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.FAILED])
async def test_a_job_that_left_running_stops_its_build_and_reports_nothing(status: JobStatus) -> None:
    bench = Bench(claimed())

    async def cancelled_by_the_user(order: BuildOrder) -> None:
        await bench.control.end(JOB_ID, status)
        await forever(order)

    bench.builder.during = cancelled_by_the_user
    await bench.run_next()
    assert bench.builder.stopped == [f"{LOCAL}:{COMMIT[:12]}-7"]
    assert bench.control.reports == []
    assert bench.hosts.orders == []
    assert bench.meter.results == ["abandoned"]
    assert bench.builder.removed == [f"{LOCAL}:{COMMIT[:12]}-7"]
    assert bench.workplace.closed
    assert bench.control.ends == [len(bench.control.log().encode())], "no report will say how long the log is"


async def test_a_lost_lease_stops_the_work() -> None:
    bench = Bench(claimed())

    async def taken(order: BuildOrder) -> None:
        await bench.control.take_away(JOB_ID)
        await forever(order)

    bench.builder.during = taken
    await bench.run_next()
    assert bench.builder.stopped
    assert bench.control.reports == []


async def test_a_cancel_between_two_steps_lets_no_further_step_start() -> None:
    bench = Bench(claimed())

    async def cancelled_at_the_very_end(_order: BuildOrder) -> None:
        bench.control.statuses[JOB_ID] = JobStatus.CANCELLED

    bench.builder.during = cancelled_at_the_very_end
    await bench.run_next()
    assert bench.builder.built
    assert bench.hosts.orders == []
    assert bench.control.reports == []


async def test_without_a_renewal_for_two_thirds_of_the_lease_the_work_ends_by_itself() -> None:
    bench = Bench(claimed())
    began = 0.0

    async def cut_off(order: BuildOrder) -> None:
        nonlocal began
        began = bench.pacer.time
        await bench.control.stop_answering_renewals()
        await forever(order)

    bench.builder.during = cut_off
    await bench.run_next()
    assert bench.builder.stopped
    assert bench.control.reports == []
    assert bench.pacer.time - began < 30


async def test_a_short_outage_of_the_control_plane_is_survived() -> None:
    bench = Bench(claimed())

    async def outage(_order: BuildOrder) -> None:
        await bench.control.stop_answering_renewals()
        for _ in range(5):
            await asyncio.sleep(0)
        bench.control.renewals_down = False

    bench.builder.during = outage
    await bench.run_next()
    assert bench.report.status is JobStatus.SUCCEEDED


async def test_a_success_whose_answer_was_lost_is_repeated_as_success() -> None:
    bench = Bench(claimed())
    bench.control.lost_answers = 3
    await bench.run_next()
    assert [outcome.status for _, outcome in bench.control.reports] == [JobStatus.SUCCEEDED] * 4
    assert len({outcome for _, outcome in bench.control.reports}) == 1
    assert bench.meter.results == ["SUCCEEDED"]


async def test_a_report_for_a_lost_lease_is_dropped() -> None:
    bench = Bench(claimed(node=None))
    bench.control.lost_answers = 1
    running = asyncio.ensure_future(bench.run_next())
    await turns_until(lambda: bool(bench.control.reports))
    await bench.control.take_away(JOB_ID)
    await running
    assert len(bench.control.reports) == 2
    assert bench.meter.results == ["abandoned"]


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        ({"node": None}, JobReason.DEPLOY_FAILED, "no runtime node"),
        ({"node": "ftp://x"}, JobReason.DEPLOY_FAILED, "agentBaseUrl"),
        ({"repoSshUrl": None}, JobReason.INVALID_PAYLOAD, "neither an image nor a repository"),
    ],
)
async def test_a_job_that_cannot_be_deployed_fails_before_anything_is_cloned(
    payload: dict[str, Any], reason: JobReason, words: str
) -> None:
    bench = Bench(claimed(**payload))
    await bench.run_next()
    assert bench.report.status is JobStatus.FAILED
    assert bench.report.reason is reason
    assert words in (bench.report.message or "")
    assert "What to do:" in (bench.report.message or "")
    assert bench.repository.sources == []


async def test_a_failed_build_tells_what_failed_why_and_the_last_lines_without_secrets() -> None:
    bench = Bench(claimed(), secrets=(SECRET,))
    lines = (f"line {number}\n" for number in range(100))
    bench.builder.output = (*lines, f"\x1b[31mtoken {SECRET}\x1b[0m\n")
    bench.builder.failure = WorkFailed(JobReason.BUILD_FAILED, f"RUN npm ci failed with {SECRET}", exit_code=3)
    await bench.run_next()
    message = bench.report.message or ""
    assert bench.report.reason is JobReason.BUILD_FAILED
    assert "RUN npm ci failed" in message
    assert "(exit code 3)" in message
    assert "line 99" in message
    assert "line 60" not in message
    assert "\x1b" not in message
    assert SECRET not in message + bench.control.log()
    assert bench.hosts.orders == []


async def test_a_secret_that_arrives_in_pieces_is_redacted() -> None:
    bench = Bench(claimed(), secrets=(SECRET,))
    bench.builder.output = ("a ", SECRET[:7], SECRET[7:], "\n", "x" * 9_000, SECRET[:3], SECRET[3:], "y" * 9_000, "\n")
    await bench.run_next()
    log = bench.control.log()
    assert SECRET not in log
    assert log.count("[secret]") == 2
    assert log.count("x") >= 9_000
    assert log.count("y") >= 9_000


async def test_a_full_disk_is_told_as_such() -> None:
    bench = Bench(claimed())
    bench.builder.failure = WorkFailed(JobReason.BUILD_FAILED, "write /x: no space left on device")
    await bench.run_next()
    assert bench.report.reason is JobReason.DISK_FULL


async def test_a_refusal_of_the_agent_is_told_and_the_image_is_left_to_it() -> None:
    bench = Bench(claimed())
    bench.hosts.failure = WorkFailed(JobReason.DEPLOY_FAILED, "the agent refused with 500: exited with code 1: boom")
    await bench.run_next()
    assert bench.report.status is JobStatus.FAILED
    assert "exited with code 1: boom" in (bench.report.message or "")
    assert bench.builder.removed == []


async def test_with_a_registry_a_refused_deployment_leaves_no_local_image() -> None:
    bench = Bench(claimed(), registry="registry.example:5000")
    bench.hosts.failure = WorkFailed(JobReason.DEPLOY_FAILED, "no")
    await bench.run_next()
    assert bench.builder.removed == bench.builder.pushed


async def test_a_crash_of_ours_in_a_step_is_a_reported_failure() -> None:
    bench = Bench(claimed())

    async def crash(_order: BuildOrder) -> None:
        raise RuntimeError("a defect")

    bench.builder.during = crash
    await bench.run_next()
    assert bench.report.reason is JobReason.BUILD_FAILED
    assert "RuntimeError: a defect" in (bench.report.message or "")


async def test_a_work_folder_that_cannot_be_made_fails_the_job() -> None:
    bench = Bench(claimed())
    bench.workplace.failure = NoFolder("the work folder /x cannot be made: No space left on device")
    await bench.run_next()
    assert bench.report.reason is JobReason.DISK_FULL
    assert "RUNNER_WORKDIR" in (bench.report.message or "")


async def test_a_job_id_that_could_leave_the_work_folder_touches_nothing() -> None:
    bench = Bench(claimed("../../etc"))
    await bench.run_next()
    assert bench.workplace.opened == []
    assert bench.control.reports == []


async def test_a_stopped_runner_still_delivers_a_report_under_way() -> None:
    bench = Bench(claimed())
    running = asyncio.ensure_future(bench.run_next())
    bench.control.lost_answers = 1
    await turns_until(lambda: bool(bench.control.reports))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.control.statuses[JOB_ID] is JobStatus.SUCCEEDED
    assert bench.workplace.closed


async def stopped_while_building(bench: Bench) -> None:
    building = asyncio.Event()

    async def build(order: BuildOrder) -> None:
        building.set()
        await forever(order)

    bench.builder.during = build
    running = asyncio.ensure_future(bench.run_next())
    await building.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_stopped_runner_hands_its_job_back_behind_the_whole_log() -> None:
    bench = Bench(claimed())
    await stopped_while_building(bench)
    log = bench.control.log()
    assert bench.builder.stopped and bench.control.reports == [] and bench.hosts.orders == []
    assert bench.control.returned == [(JOB_ID, len(log.encode()))]
    assert log.endswith("[stopped] the runner was stopped and hands the job back\n")
    assert bench.control.statuses[JOB_ID] is JobStatus.PENDING
    assert bench.builder.removed == [f"{LOCAL}:{COMMIT[:12]}-7"]
    assert bench.workplace.closed == [f"{JOB_ID}-1"] and bench.roster.work() == ()


@pytest.mark.parametrize("fault", ["down", "unknown"])
async def test_a_job_that_cannot_be_handed_back_is_left_to_its_lease(fault: str) -> None:
    bench = Bench(claimed())
    bench.control.knows_returns = fault != "unknown"
    bench.control.returns_down = fault == "down"
    await stopped_while_building(bench)
    assert bench.control.returned == [] and bench.control.reports == []
    assert bench.workplace.closed


async def test_a_build_that_the_lost_lease_ended_is_not_reported_as_a_failed_one() -> None:
    bench = Bench(claimed())

    async def ended_from_the_other_thread(_order: BuildOrder) -> None:
        await bench.control.take_away(JOB_ID)
        await turns_until(lambda: bench.leashes.made[0].is_cut)
        raise WorkFailed(JobReason.BUILD_FAILED, "buildah was killed")

    bench.builder.during = ended_from_the_other_thread
    await bench.run_next()
    assert bench.control.reports == [] and bench.meter.results == ["abandoned"]
