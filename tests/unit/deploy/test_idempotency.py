"""When two requests are the same, and what a key that was used before answers."""

import pytest

from daemons.deploy.domain.idempotency import IdempotencyMismatch, Key, Remembered, digest, repeats
from protocol.jobs import CreateJob, RetryJob

KEY = Key("a", "1", "api", "key")
USED = Remembered(KEY, "digest", "j1", 1000)


def create(**fields: object) -> CreateJob:
    payload = {"userId": "1", "appId": "a", "gitRef": "main"}
    return CreateJob.model_validate({"type": "BUILD_AND_DEPLOY", "payload": payload, **fields}, strict=False)


def test_a_key_answers_its_job_until_its_time_is_over() -> None:
    assert repeats(None, "digest", 5) is None
    assert repeats(USED, "digest", 999) == "j1"
    assert repeats(USED, "digest", 1000) is None
    assert repeats(USED, "other", 1000) is None


def test_another_request_under_the_key_is_refused_and_told_which_job_has_it() -> None:
    with pytest.raises(IdempotencyMismatch, match="job j1") as refused:
        repeats(USED, "other", 999)
    assert refused.value.data == {"jobId": "j1"}


def test_what_is_asked_decides_whether_two_requests_are_the_same() -> None:
    number = CreateJob.model_validate_json(
        b'{"payload": {"gitRef": "main", "appId": "a", "userId": 1}, "more": 1, "type": "BUILD_AND_DEPLOY"}'
    )
    assert digest(create()) == digest(number) == digest(create(onConflict="reject", cancelRunning=False))
    different = [
        digest(create()),
        digest(create(payload={"userId": "1", "appId": "a"})),
        digest(create(onConflict="supersede")),
        digest(create(onConflict="supersede", cancelRunning=True)),
        digest(RetryJob(), "j1"),
        digest(RetryJob(), "j2"),
        digest(RetryJob.model_validate({"onConflict": "supersede"}, strict=False), "j1"),
    ]
    assert len(set(different)) == len(different)


def test_a_digest_is_the_same_in_every_release() -> None:
    """Replicas of two releases share a database during an upgrade: what is left out must not count."""
    assert digest(create()) == "78ff686b69034ab82757a0e20c6b9b4a7e193815d3448d9186a75c56fc515d45"
