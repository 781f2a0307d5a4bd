"""What happened: entries of the audit log, live and as far back as it goes. Pure."""

from typing import Any, Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.spec import Field, ViewSpec, by_number, by_text, worded
from console.live.words import t
from protocol.audit import AuditEntry

_LONGEST: Final = 60
_NOISE: Final = frozenset({"updatedAt", "leaseExpireAt", "stages"})


def difference(entry: AuditEntry) -> str:
    """What changed by key, and without a before how things were from then on."""
    before, after = entry.before or {}, entry.after or {}
    if not before:
        return ", ".join(f"{key} {_words(value)}" for key, value in _told(after).items())
    keys = [key for key in before if key in after and before[key] != after[key] and key not in _NOISE]
    return ", ".join(f"{key}: {_words(before[key])} > {_words(after[key])}" for key in keys)


def _told(after: dict[str, Any]) -> dict[str, Any]:
    """Of a whole object the few values that a line has room for."""
    return {key: value for key, value in after.items() if isinstance(value, str | int) and key not in _NOISE and value}


def _words(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _tone(entry: AuditEntry) -> Tone:
    if entry.change in ("failed", "given_up", "abandoned", "FAILED"):
        return Tone.BAD
    return Tone.GOOD if entry.change in ("succeeded", "done", "DONE") else Tone.PLAIN


def _subject(entry: AuditEntry, scene: Scene) -> str:
    if entry.kind == "node" and entry.subject in scene.model.nodes:
        return scene.model.nodes[entry.subject].name
    return short(entry.subject) if entry.kind == "job" else entry.subject


def sheet(entry: AuditEntry, scene: Scene) -> tuple[str, ...]:
    """What is known of one entry in three lines."""
    by = t("by {actor}", actor=entry.actor)
    if entry.source_address:
        by = t("by {actor} from {address}", actor=entry.actor, address=entry.source_address)
    return (
        line(f"{t('event {number}', number=entry.seq)} · {entry.kind} {_subject(entry, scene)} {entry.change} · {by}"),
        line(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC"),
        line(difference(entry), 600),
    )


EVENTS: Final = ViewSpec[AuditEntry](
    name="events",
    title="Events",
    objects=lambda model: model.beside.of(topics.EVENTS),
    order="age",
    words=lambda entry, _: line(f"{entry.kind} {entry.subject} {entry.change} {entry.actor} {difference(entry)}"),
    sheet=sheet,
    empty="Nothing has happened yet.",
    findable=False,
    fields=(
        Field(
            "age",
            Column("AGE", 6, right=True),
            lambda entry, scene: Cell(span(seconds_between(scene.now, entry.at)), Tone.QUIET),
            lambda entry, _: by_number(-entry.seq),
            ticks=True,
        ),
        worded("kind", Column("KIND", 9), lambda entry: entry.kind),
        Field(
            "subject",
            Column("ABOUT", 12),
            lambda entry, scene: cell(_subject(entry, scene), Tone.STRONG),
            lambda entry, _: by_text(entry.subject),
        ),
        Field(
            "change",
            Column("CHANGE", 10),
            lambda entry, _: Cell(line(entry.change), _tone(entry)),
            lambda entry, _: by_text(entry.change),
        ),
        worded("actor", Column("BY", 14, drop=1), lambda entry: entry.actor),
        worded("from", Column("FROM", 14, drop=2), lambda entry: entry.source_address, Tone.QUIET),
        worded("what", Column("WHAT", 0, flex=True), difference, Tone.QUIET),
    ),
)
