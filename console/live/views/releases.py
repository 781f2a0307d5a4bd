"""Releases: what an app ran, and whether one can go back to it. Pure."""

from functools import lru_cache
from typing import Final

from console.live import topics
from console.live.cells import Cell, Column, Tone, cell, seconds_between, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views.jobs import short
from console.live.views.spec import Field, ViewSpec, aged, by_number, by_text, signed, worded
from console.live.words import t
from protocol.releases import ReleaseView

_COMMIT_DIGITS: Final = 12


def _state(release: ReleaseView) -> Cell:
    if release.current:
        return Cell("✓ CURRENT", Tone.GOOD)
    if release.image_removed_at is not None:
        return Cell("✗ REMOVED", Tone.QUIET)
    return Cell("● PINNED", Tone.BUSY) if release.pinned else Cell("○ KEPT", Tone.PLAIN)


def _back(release: ReleaseView, scene: Scene) -> str:
    """Whether one can go back to it; within its owner's limits where the API entry knows the app."""
    if release.current:
        return t("this is what runs")
    if release.image_removed_at is not None:
        return t("its image was removed: deploy its commit again")
    group = "apps " if release.app_id in scene.model.beside.of(topics.OWNED_APPS) else ""
    return f"funai {group}rollback {release.app_id} --to {release.number}"


def sheet(release: ReleaseView, scene: Scene) -> tuple[str, ...]:
    """What is known of one release in four lines."""
    head = t("release {number} of app {app}", number=release.number, app=release.app_id)
    served = (
        t("deployed {age} ago", age=span(seconds_between(scene.now, release.created_at))),
        t("port {port}", port=release.container_port),
        t("path {path}", path=release.base_path),
        t("health {path}", path=release.health_check_path),
    )
    return (
        line(f"{head} · {_state(release).text} · {t('job {job}', job=short(release.job_id))}"),
        line(" · ".join(served)),
        line(f"{release.image} {release.image_digest or ''}"),
        line(_back(release, scene)),
    )


@lru_cache(maxsize=64)
def releases_of(app_id: str) -> ViewSpec[ReleaseView]:
    """The releases of one app."""
    return ViewSpec(
        name="releases",
        title="Releases",
        objects=lambda model: model.beside.of(topics.releases(app_id)),
        order="release",
        # Whose the app is may be known later than what it ran.
        joined=True,
        words=lambda release, _: line(
            f"{release.number} {_state(release).text} {release.commit or ''} {release.image}"
        ),
        sheet=sheet,
        empty="No release yet: the app was never deployed with success.",
        fields=(
            Field(
                "release",
                Column("NO", 4, right=True),
                lambda release, _: Cell(str(release.number), Tone.STRONG),
                lambda release, _: by_number(-release.number),
            ),
            signed("state", Column("STATE", 10), _state),
            worded("commit", Column("COMMIT", _COMMIT_DIGITS), lambda each: (each.commit or "")[:_COMMIT_DIGITS]),
            worded("job", Column("JOB", 8, drop=2), lambda release: short(release.job_id), Tone.QUIET),
            aged("age", Column("AGE", 6, right=True), lambda release: release.created_at),
            Field(
                "back",
                Column("TO GO BACK", 33, drop=1),
                lambda release, scene: cell(_back(release, scene)),
                lambda release, scene: by_text(_back(release, scene)),
            ),
            worded("image", Column("IMAGE", 0, flex=True), lambda release: release.image, Tone.QUIET),
        ),
    )
