"""What jobs say about an app."""

import pytest

from daemons.api.domain.apps import App, Attempt, live, standing, untitled
from protocol.api import AppState
from protocol.jobs import JobStatus

P, R, S, F, C = JobStatus.PENDING, JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED


def app(stopped_job: str | None = None) -> App:
    return App(20001, 1, "shop", None, None, None, stopped_job, 0, 0)


def attempts(*statuses: JobStatus) -> list[Attempt]:
    """Newest first; the newest is job-1."""
    return [
        Attempt(f"job-{number}", status, f"error {number}" if status is F else None, f"url {number}")
        for number, status in enumerate(statuses, 1)
    ]


@pytest.mark.parametrize(
    ("statuses", "stopped", "state", "url", "is_live"),
    [
        ((), None, AppState.CREATED, None, False),
        ((P,), None, AppState.DEPLOYING, None, True),
        ((R,), None, AppState.DEPLOYING, None, True),
        ((S,), None, AppState.READY, "url 1", True),
        ((F,), None, AppState.FAILED, None, False),
        ((C,), None, AppState.UPLOADED, None, False),
        ((F, S), None, AppState.FAILED, "url 2", True),
        ((C, S), None, AppState.UPLOADED, "url 2", True),
        ((P, S), None, AppState.DEPLOYING, "url 2", True),
        ((S,), "job-1", AppState.UPLOADED, None, False),
        ((F,), "job-1", AppState.UPLOADED, None, False),
        ((F, S), "job-1", AppState.UPLOADED, None, False),
        ((P, S), "job-2", AppState.DEPLOYING, None, True),
        ((S, S), "job-2", AppState.READY, "url 1", True),
        ((F, S), "job-2", AppState.FAILED, None, False),
        ((S, F), "job-of-long-ago", AppState.READY, "url 1", True),
    ],
)
def test_the_state_follows_from_the_jobs(
    statuses: tuple[JobStatus, ...], stopped: str | None, state: AppState, url: str | None, *, is_live: bool
) -> None:
    found = standing(app(stopped), attempts(*statuses))
    assert (found.status, found.url) == (state, url)
    assert live(app(stopped), attempts(*statuses)) is is_live


def test_the_error_is_the_newest_jobs() -> None:
    assert standing(app(), attempts(F, S)).error == "error 1"
    assert standing(app(), attempts(S, F)).error is None


def test_untitled_names_do_not_collide() -> None:
    assert untitled(()) == "Untitled app 1"
    assert untitled(("a", "Untitled app 3")) == "Untitled app 4"
