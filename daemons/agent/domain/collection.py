"""What may be removed from a node to make room, in which order.

First untagged images that our builder labelled, then images of apps that were deleted, then the oldest releases of
the apps that are left, at last the logs of our containers that have outgrown what the engine rotates. Only references
in our own repositories (`.../u{userId}-app{appId}`) are ever removed, never one of an image that any container is made
of, that this node runs or ran before, or that the control plane keeps. What the control plane could not be asked about
stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from daemons.agent.domain.apps import AppState
from daemons.agent.domain.images import LocalImage, owner_of, tag_fence

#: An image that is younger may be on its way to a tag or to its first container.
_SETTLED_SECONDS: Final = 600
_NEWEST: Final = 3
#: Twice what the engine rotates: a log of this size belongs to a container that was made without rotation.
LARGE_LOG_BYTES: Final = 64 * 1024**2


class Why(StrEnum):
    """Why something may go, in the order in which it goes."""

    DANGLING = "dangling"
    DELETED_APP = "deleted_app"
    OLD_RELEASE = "old_release"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the control plane says of an app's images: references that stay whatever happens, and those that stay while
    there is room; `known` is false for an app that was deleted."""

    known: bool
    always: frozenset[str] = frozenset()
    recent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """The log of one of our containers."""

    container: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Removal:
    """An image that may go, by these references or, when it has none, by its id. `app_id` is None when the image
    belongs to no app for certain."""

    why: Why
    image_id: str
    references: tuple[str, ...]
    app_id: str | None
    created: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a node has: its images, the ids of those that containers are made of, the states of its apps, and what the
    control plane said of the apps that were asked for. `now` is epoch seconds; `wanted` is an image that somebody is
    about to deploy."""

    images: Sequence[LocalImage]
    in_use: frozenset[str]
    states: Mapping[str, AppState]
    kept: Mapping[str, Kept]
    now: int
    wanted: str = ""


def plan(holdings: Holdings) -> tuple[Removal, ...]:
    """What may go, the first to go first."""
    removals = [removal for image in holdings.images for removal in _removals(image, holdings)]
    order = list(Why)
    return tuple(sorted(removals, key=lambda each: (order.index(each.why), each.created, each.image_id)))


def apps_with_images(images: Iterable[LocalImage]) -> tuple[str, ...]:
    """The apps in whose repositories there is an image."""
    return tuple(sorted({owner[1] for image in images for name in image.references if (owner := owner_of(name))}))


def protected(state: AppState) -> frozenset[str]:
    """Ids of images that the app runs, ran before, or is just about to run."""
    ids = {one.image_id for one in state.instances}
    return frozenset(ids | ({state.previous_image_id} if state.previous_image_id else set()))


def held(images: Iterable[LocalImage], kept: Kept) -> frozenset[str]:
    """Ids of images that stay while there is room, by what the control plane says."""
    return frozenset(image.image_id for image in images if (kept.always | kept.recent).intersection(image.references))


def by_itself(state: AppState, images: Iterable[LocalImage]) -> Kept | None:
    """What stays of an app on a node that has no control plane: the newest attempts, and all of an app that was never
    deployed here."""
    if state.user_id is None:
        return Kept(known=False) if state.fence else None
    tags = [(fence, name) for image in images for name in image.references if (fence := tag_fence(name)) is not None]
    return Kept(known=True, always=frozenset(name for _, name in sorted(tags)[-_NEWEST:]))


def large_logs(logs: Iterable[ContainerLog], least: int = LARGE_LOG_BYTES) -> tuple[ContainerLog, ...]:
    """Logs that have outgrown what the engine rotates, the largest first."""
    return tuple(sorted((log for log in logs if log.size >= least), key=lambda log: -log.size))


def _removals(image: LocalImage, holdings: Holdings) -> Iterable[Removal]:
    if _stays(image, holdings):
        return
    if not image.references:
        if image.owner is not None and _settled(image, holdings):
            yield Removal(Why.DANGLING, image.image_id, (), None, image.created)
        return
    by_app: dict[str, list[str]] = {}
    for name in image.references:
        if owner := owner_of(name):
            by_app.setdefault(owner[1], []).append(name)
    for app_id, names in by_app.items():
        why = _why(image, app_id, names, holdings)
        if why is not None:
            yield Removal(why, image.image_id, tuple(sorted(names, key=_tags_first)), app_id, image.created)


def _stays(image: LocalImage, holdings: Holdings) -> bool:
    """Whether somebody needs the image."""
    if image.image_id in holdings.in_use or holdings.wanted in image.references:
        return True
    if any(image.image_id in protected(state) for state in holdings.states.values()):
        return True
    return any(kept.always.intersection(image.references) for kept in holdings.kept.values())


def _why(image: LocalImage, app_id: str, names: Sequence[str], holdings: Holdings) -> Why | None:
    kept, state = holdings.kept.get(app_id), holdings.states.get(app_id)
    if kept is None:
        return None
    if not kept.known:
        # A control plane that lost its memory must not cost an app that is only stopped its last image.
        lives = state is not None and state.user_id is not None
        return Why.DELETED_APP if not lives and _settled(image, holdings) else None
    if any("@" not in name and tag_fence(name) is None for name in names):
        return None  # a tag that moves: it may name what is being built
    return Why.OLD_RELEASE


def _settled(image: LocalImage, holdings: Holdings) -> bool:
    return holdings.now - image.created >= _SETTLED_SECONDS


def _tags_first(name: str) -> tuple[bool, str]:
    # With the last tag of a repository its digests go, too.
    return "@" in name, name
