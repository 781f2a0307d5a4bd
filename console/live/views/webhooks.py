"""Webhooks: results of jobs on their way to the receiver. Pure."""

from collections.abc import Mapping
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.spec import Field, ViewSpec, aged, by_number, by_text, counted, signed, worded
from console.live.words import t, tn
from protocol.webhooks import DeliveryState, DeliveryView

_STATE: Final[Mapping[DeliveryState, tuple[str, Tone]]] = {
    DeliveryState.PENDING: ("○", Tone.WARN),
    DeliveryState.DELIVERED: ("✓", Tone.GOOD),
    DeliveryState.FAILED: ("✗", Tone.BAD),
}


def _state(delivery: DeliveryView) -> Cell:
    sign, tone = _STATE[delivery.state]
    return Cell(f"{sign} {delivery.state.value}", tone)


def _next(delivery: DeliveryView, scene: Scene) -> Cell:
    if delivery.state is not DeliveryState.PENDING:
        return Cell("–", Tone.QUIET)
    if delivery.next_attempt_at is None:
        return Cell(t("queued"), Tone.QUIET)
    left = -(seconds_between(scene.now, delivery.next_attempt_at) or 0.0)
    return Cell(span(left) if left > 0 else t("now"), Tone.WARN)


def _why(delivery: DeliveryView) -> str:
    if delivery.message and delivery.status is not None:
        return t("answered {status}: {message}", status=delivery.status, message=delivery.message)
    if delivery.message:
        return delivery.message
    if delivery.state is DeliveryState.PENDING and delivery.next_attempt_at is None:
        return t("waits behind an earlier one of its app")
    return ""


def _todo(delivery: DeliveryView) -> str:
    if delivery.state is not DeliveryState.FAILED:
        return ""
    return t("It was given up; once the receiver works: funai webhooks retry {number}", number=delivery.id)


def _about(delivery: DeliveryView) -> str:
    return t("job {job} of app {app}", job=short(delivery.job_id), app=delivery.app_id)


def sheet(delivery: DeliveryView, scene: Scene) -> tuple[str, ...]:
    """What is known of one delivery in four lines."""
    return (
        line(f"{t('delivery {number}', number=delivery.id)} · {delivery.event} · {_about(delivery)}"),
        line(
            f"{t('made {age} ago', age=span(seconds_between(scene.now, delivery.created_at)))} · "
            f"{tn('tried {count} time', 'tried {count} times', delivery.attempts)} · "
            f"{t('next {time}', time=_next(delivery, scene).text)}"
        ),
        line(_why(delivery)),
        _todo(delivery),
    )


WEBHOOKS: Final = ViewSpec[DeliveryView](
    name="webhooks",
    title="Webhooks",
    objects=lambda model: model.beside.of(topics.WEBHOOKS),
    order="age",
    words=lambda delivery, _: line(
        f"{delivery.event} {delivery.app_id} {delivery.job_id} {delivery.state.value} {_why(delivery)}"
    ),
    sheet=sheet,
    empty="No result of a job was to be delivered; is a receiver configured?",
    fields=(
        signed("state", Column("STATE", 11), _state),
        worded("event", Column("EVENT", 13), lambda delivery: delivery.event),
        worded("app", Column("APP", 14), lambda delivery: delivery.app_id, Tone.STRONG),
        Field(
            "job",
            Column("JOB", 8, drop=2),
            lambda delivery, _: cell(short(delivery.job_id), Tone.QUIET),
            lambda delivery, _: by_text(delivery.job_id),
        ),
        counted("try", Column("TRY", 3, right=True), lambda delivery: delivery.attempts),
        Field(
            "next",
            Column("NEXT", 6, right=True, drop=1),
            _next,
            lambda delivery, _: by_number(delivery.next_attempt_at.timestamp() if delivery.next_attempt_at else None),
            ticks=True,
        ),
        aged("age", Column("AGE", 6, right=True), lambda delivery: delivery.created_at),
        worded("why", Column("WHY", 0, flex=True), _why),
    ),
)
