"""When a result is sent again, when it is given up, and what of it anybody sees."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemons.deploy.domain import jobs
from daemons.deploy.domain.webhooks import (
    GIVE_UP_MS,
    LONGEST_PAUSE_MS,
    Answer,
    Delivery,
    DeliveryMade,
    again,
    delivery_view,
    ended,
    pause_ms,
    settle,
)
from protocol.jobs import JobPayload, JobStatus, JobType
from protocol.webhooks import DeliveryState, JobEnded

NOW = 1_767_323_045_678
DELIVERY = Delivery(7, "j:ended", "job.failed", "20001", "j", "{}", DeliveryState.PENDING, NOW, NOW, NOW, NOW)
SILENCE = Answer(None, "the receiver did not answer within 5 s")


def test_a_result_has_the_jobs_id_and_nothing_that_lets_anybody_act_for_it() -> None:
    job = jobs.submit("j1", JobType.BUILD_AND_DEPLOY, JobPayload(user_id="1", app_id="20001"), NOW)
    held = replace(job, lease_token="a-lease-token", claim_key="a-claim-key", attempt=1, runner_id="r1")
    done = replace(held, status=JobStatus.SUCCEEDED, finished_at=NOW + 5)
    delivery = ended(done, None)
    told = JobEnded.model_validate_json(delivery.body)
    assert (delivery.key, delivery.event, delivery.at) == ("j1:ended", "job.succeeded", NOW + 5)
    assert (told.id, told.event, told.job.id, told.job.status) == ("j1:ended", "job.succeeded", "j1", "SUCCEEDED")
    assert told.at - told.job.created_at == timedelta(milliseconds=5)
    assert "a-lease-token" not in delivery.body and "a-claim-key" not in delivery.body


def test_pauses_double_from_a_second_to_a_quarter_of_an_hour() -> None:
    assert [pause_ms(tries, 0.5) for tries in (1, 2, 3, 4)] == [1000, 2000, 4000, 8000]
    assert pause_ms(1, 0.0) == 1000 and pause_ms(5, 0.0) == 12_000 and pause_ms(5, 1.0) == 20_000
    assert {pause_ms(tries, 1.0) for tries in (11, 12, 1000)} == {LONGEST_PAUSE_MS}


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_what_is_taken_is_made(status: int) -> None:
    after = settle(replace(DELIVERY, message="earlier"), Answer(status), 0.5, NOW + 9)
    assert (after.state, after.attempts, after.status, after.message) == (DeliveryState.DELIVERED, 1, status, None)
    assert after.finished_at == NOW + 9
    with pytest.raises(DeliveryMade, match="receiver has it"):
        again(after, NOW)


@pytest.mark.parametrize("answer", [Answer(500), Answer(302), Answer(404), Answer(100), SILENCE])
def test_everything_else_is_tried_again_for_a_day_and_then_given_up(answer: Answer) -> None:
    after = settle(DELIVERY, answer, 0.5, NOW + GIVE_UP_MS - 1)
    assert (after.state, after.not_before) == (DeliveryState.PENDING, NOW + GIVE_UP_MS - 1 + 1000)
    assert after.message == (answer.problem or f"the receiver answered HTTP {answer.status}")
    over = settle(after, answer, 0.5, NOW + GIVE_UP_MS)
    assert (over.state, over.attempts, over.finished_at) == (DeliveryState.FAILED, 2, NOW + GIVE_UP_MS)
    assert delivery_view(over).next_attempt_at is None
    retried = again(over, NOW + 2 * GIVE_UP_MS)
    assert (retried.state, retried.attempts, retried.finished_at) == (DeliveryState.PENDING, 0, None)
    assert settle(retried, answer, 0.5, NOW + 3 * GIVE_UP_MS - 1).state is DeliveryState.PENDING


def test_what_waits_behind_another_has_no_time_yet() -> None:
    assert delivery_view(replace(DELIVERY, not_before=None)).next_attempt_at is None
    assert delivery_view(DELIVERY).next_attempt_at is not None
