"""What an attempt tells of its stages, and what the next one makes of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Pushed, RegistryPolicy, plan
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, JobPhase, JobStatus, StageOutcome, StageView
from tests.unit.runner.twins import COMMIT, DIGEST, Bench, claimed

REGISTRY = "registry.example:5000"
REPOSITORY = f"{REGISTRY}/funaistudio/u1-app20001"
IMAGE = f"{REPOSITORY}:{COMMIT[:12]}-6"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def again(*stages: StageView) -> ClaimedJob:
    """The job in its second attempt."""
    return claimed().model_copy(update={"attempt": 2, "stages": stages})


def pushed(**changes: Any) -> StageView:
    """A push of the first attempt."""
    whole = StageView(
        attempt=1,
        phase="PUSH",
        outcome="DONE",
        started_at=MOMENT,
        ended_at=MOMENT,
        bytes=4_567,
        image=IMAGE,
        image_digest=DIGEST,
        commit=COMMIT,
    )
    return whole.model_copy(update=changes)


async def test_every_stage_is_told_with_its_size_and_what_it_made() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    await bench.run_next()
    told = bench.report.stages
    assert [(stage.phase, stage.outcome) for stage in told] == [(phase, StageOutcome.DONE) for phase in JobPhase]
    assert [stage.bytes for stage in told] == [12_345, None, 4_567, None]
    assert all(stage.ended_ms is not None and stage.started_ms <= stage.ended_ms for stage in told)
    assert (told[2].image_digest, told[2].commit) == (DIGEST, COMMIT)


async def test_before_it_is_deployed_the_control_plane_knows_what_was_pushed() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    await bench.run_next()
    # The last renewal was the leave to deploy.
    assert bench.control.stages[2].image_digest == DIGEST
    assert bench.control.stages[3].outcome is StageOutcome.RUNNING


async def test_a_stage_that_fails_is_told_as_failed() -> None:
    bench = Bench(claimed())
    bench.builder.failure = WorkFailed(JobReason.BUILD_FAILED, "exit code 1")
    await bench.run_next()
    assert [stage.outcome for stage in bench.report.stages] == [StageOutcome.DONE, StageOutcome.FAILED]


async def test_the_attempt_after_a_push_deploys_its_digest_and_builds_nothing() -> None:
    bench = Bench(again(pushed()), registry=REGISTRY)
    await bench.run_next()
    assert (bench.repository.sources, bench.builder.built, bench.builder.pushed) == ([], [], [])
    assert bench.images.asked == [(REGISTRY, "funaistudio/u1-app20001", DIGEST)]
    report = bench.report
    assert (report.status, report.image, report.commit) == (JobStatus.SUCCEEDED, f"{REPOSITORY}@{DIGEST}", COMMIT)
    reused = StageOutcome.REUSED
    assert [stage.outcome for stage in report.stages] == [reused, reused, reused, StageOutcome.DONE]
    assert "attempt 1 pushed" in bench.control.log()


async def test_the_third_attempt_goes_on_from_what_the_second_reused() -> None:
    bench = Bench(again(pushed(), pushed(attempt=2, outcome="REUSED")), registry=REGISTRY)
    await bench.run_next()
    assert bench.builder.built == []


async def test_an_image_that_is_gone_is_built_again() -> None:
    bench = Bench(again(pushed()), registry=REGISTRY)
    bench.images.bytes = None
    bench.builder.during = None
    await bench.run_next()
    assert len(bench.builder.built) == 1
    assert "gone from the registry" in bench.control.log()


async def test_a_registry_that_does_not_answer_does_not_make_it_build_again() -> None:
    bench = Bench(again(pushed()), registry=REGISTRY)
    bench.images.down = True
    await bench.run_next()
    assert (bench.builder.built, bench.report.status) == ([], JobStatus.SUCCEEDED)


async def test_a_push_that_the_registry_does_not_have_fails_the_job() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    bench.images.bytes = None
    await bench.run_next()
    assert bench.report.reason is JobReason.PUSH_FAILED
    assert bench.hosts.orders == []


@pytest.mark.parametrize(
    "stage",
    [
        pushed(outcome="UNFINISHED"),
        pushed(outcome="FAILED"),
        pushed(phase="BUILD"),
        pushed(image_digest=None),
        pushed(commit=None),
        pushed(image=f"elsewhere.example/funaistudio/u1-app20001:{COMMIT[:12]}-6"),
        pushed(image=f"{REPOSITORY}0:{COMMIT[:12]}-6"),
    ],
)
def test_only_a_whole_push_into_the_jobs_own_repository_counts(stage: StageView) -> None:
    made = plan(again(stage), RegistryPolicy(REGISTRY, "funaistudio"))
    assert made.build is not None and made.build.pushed is None


def test_without_a_registry_nothing_is_gone_on_from() -> None:
    made = plan(again(pushed()), RegistryPolicy("", "funaistudio"))
    assert made.build is not None and made.build.pushed is None


def test_the_newest_push_counts() -> None:
    older, newer = pushed(), pushed(attempt=2, image_digest="sha256:" + "b" * 64)
    made = plan(again(older, newer), RegistryPolicy(REGISTRY, "funaistudio"))
    assert made.build is not None
    assert made.build.pushed == Pushed(2, IMAGE, "sha256:" + "b" * 64, COMMIT, 4_567)
