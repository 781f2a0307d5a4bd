"""What can be done with jobs. Pure."""

from typing import Any, Final

from console.live.actions.orders import CancelJob, ResendResult, RetryEnded
from console.live.actions.spec import Action, Danger, Option, Reads
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.words import t
from protocol import versions
from protocol.jobs import JobStatus, JobView
from protocol.webhooks import DeliveryView


def job_name(job: JobView, _: Scene) -> str:
    """What a job is called in questions."""
    return line(t("job {job} of app {app}", job=short(job.id), app=job.app_id))


def _version(job: JobView) -> str:
    return versions.of_job(job.status.value, job.attempt)


def _ended(job: JobView, _: Scene) -> str | None:
    return t("it has ended ({status})", status=job.status.value) if job.status.terminal else None


def _not_retryable(job: JobView, _: Scene) -> str | None:
    if job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        return None
    return t("it is {status}; only a job that failed or was cancelled can be retried", status=job.status.value)


def _cancelled(job: JobView, scene: Scene) -> CancelJob:
    return CancelJob(job.id, job_name(job, scene), _version(job))


def _retried(job: JobView, scene: Scene) -> RetryEnded:
    return RetryEnded(job.id, job_name(job, scene), _version(job))


def _resent(job: JobView, _: Scene, option: Option | None) -> ResendResult | None:
    delivery = option.value if option is not None else None
    return ResendResult(delivery.id, job.app_id) if isinstance(delivery, DeliveryView) else None


def _unended(job: JobView, _: Scene) -> str | None:
    return None if job.status.terminal else t("it has not ended, so its result was sent to nobody yet")


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[JobView](
        id="job.deploy",
        title="Deploy",
        ask="Deploy?",
        verb="Deploy",
        tooltip="Deploy an app, beginning with the selected job's order",
        order=lambda _job, _scene, _option: None,
        key="n",
        danger=Danger.NONE,
        reads=Reads.FORM,
        footer=True,
    ),
    Action[JobView](
        id="job.cancel",
        title="Cancel job",
        ask="Cancel {name}?",
        ask_many="Cancel {count} jobs?",
        typed=lambda job: job.app_id,
        verb="Cancel the job",
        tooltip="Cancel the selected or marked jobs",
        noun="job",
        key="c",
        views=("jobs",),
        name=job_name,
        refusal=_ended,
        consequence=lambda _job, _scene: t("Its build stops; what runs of the app now keeps running."),
        order=lambda job, scene, _: _cancelled(job, scene),
        danger=Danger.DESTRUCTIVE,
        several=True,
        back="Keep it",
        footer=True,
    ),
    Action[JobView](
        id="job.retry",
        title="Retry",
        ask="Retry {name}?",
        ask_many="Retry {count} jobs?",
        verb="Retry",
        tooltip="Order again what jobs that failed or were cancelled were to deploy",
        noun="job",
        key="t",
        views=("jobs",),
        name=job_name,
        refusal=_not_retryable,
        consequence=lambda _job, _scene: t("A new job with the same order is made."),
        order=lambda job, scene, _: _retried(job, scene),
        several=True,
        footer=True,
    ),
    Action[JobView](
        id="webhook.retry",
        title="Send result again",
        ask="Send the result of {name} again: {option}?",
        verb="Send again",
        tooltip="Send a result of the selected job's app to its receiver again",
        noun="job",
        views=("jobs",),
        name=job_name,
        refusal=_unended,
        consequence=lambda _job, _scene: t("The receiver gets it once more, also if it has it already."),
        order=_resent,
        reads=Reads.DELIVERIES,
    ),
)
