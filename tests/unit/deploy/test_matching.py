"""Which waiting runner gets a job."""

from daemons.deploy.domain.line import Candidate
from daemons.deploy.domain.matching import Offer, Reserved, claim_key, match, warm_until
from daemons.deploy.domain.nodes import Runner

STALE = 90_000
JOB = Candidate("job", "app", "1", 0, 1000, built_by="warm")
COLD, WARM = Offer("cold", 30_000), Offer("warm", 30_000)


def test_labels_must_all_be_offered() -> None:
    job = Candidate("job", "app", "1", 0, 1000, requires=frozenset({"arm64", "gpu"}))
    half, whole = Offer("half", 1, frozenset({"gpu"})), Offer("whole", 1, frozenset({"gpu", "arm64", "big"}))
    assert match(job, [half, whole], {}, None) is whole
    assert match(job, [half], {}, None) is None


def test_a_runner_without_a_free_slot_is_passed_over() -> None:
    full, free = Offer("full", 1, slots=2), Offer("free", 1, slots=1)
    job = Candidate("job", "app", "1", 0, 1000)
    assert match(job, [full, free], {"full": 2}, None) is free
    assert match(job, [full], {"full": 2}, None) is None
    assert match(job, [Offer("silent", 1)], {"silent": 100}, None) is not None


def test_the_warm_runner_is_preferred_and_waited_for() -> None:
    assert match(JOB, [COLD, WARM], {}, None) is WARM
    assert match(JOB, [COLD], {}, None) is COLD
    assert match(JOB, [COLD], {}, 3000) == Reserved(3000)
    assert match(JOB, [Offer("warm", 1, slots=1)], {"warm": 1}, 3000) is None


def test_the_grace_counts_from_when_the_job_was_due_and_only_for_a_runner_that_is_there() -> None:
    there = Runner("warm", 5000)
    assert warm_until(JOB, there, STALE, 2000, 2999) == 3000
    assert warm_until(JOB, there, STALE, 2000, 3000) is None
    assert warm_until(JOB, there, STALE, 2000, 999) is None, "the clock was set back"
    assert warm_until(JOB, None, STALE, 2000, 2000) is None
    assert warm_until(JOB, Runner("warm", 0), 100, 2000, 2000) is None
    picky = Candidate("job", "app", "1", 0, 1000, requires=frozenset({"gpu"}), built_by="warm")
    assert warm_until(picky, there, STALE, 2000, 2000) is None
    assert warm_until(Candidate("job", "app", "1", 0, 1000, builds=False), there, STALE, 2000, 2000) is None


def test_a_token_is_worth_something_to_its_runner_only() -> None:
    assert claim_key("a", "token") != claim_key("b", "token")
