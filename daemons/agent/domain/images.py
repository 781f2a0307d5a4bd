"""Which local images of an app may go."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_TAG_FENCE: Final = re.compile(r"[0-9a-f]{7,40}-(?P<fence>[0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image of the engine with every reference that names it (`repository:tag` and `repository@digest`)."""

    image_id: str
    references: tuple[str, ...]


def of_app(images: Iterable[LocalImage], user_id: str, app_id: str) -> tuple[LocalImage, ...]:
    """The images in the app's own repositories, each with only those references."""
    suffix = f"/u{user_id}-app{app_id}"
    kept = (
        LocalImage(image.image_id, tuple(name for name in image.references if _repository(name).endswith(suffix)))
        for image in images
    )
    return tuple(image for image in kept if image.references)


def outdated(images: Iterable[LocalImage], *, keep: frozenset[str], below: int) -> tuple[str, ...]:
    """References that a success makes superfluous: immutable ones of attempts before `below`, unless kept by id.

    Tags that move (such as latest) stay: they may name what is being built for the next attempt.
    """
    gone: list[str] = []
    for image in images:
        if image.image_id in keep:
            continue
        tags = [name for name in image.references if "@" not in name]
        old = [name for name in tags if (fence := tag_fence(name)) is not None and fence < below]
        gone += old if old or tags else image.references
    return tuple(gone)


def tag_fence(reference: str) -> int | None:
    """The attempt that an immutable tag `{commit}-{fence}` was built by."""
    found = _TAG_FENCE.fullmatch(reference.rpartition(":")[2])
    return int(found["fence"]) if found else None


def _repository(reference: str) -> str:
    name = reference.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return head if head and "/" not in tail else name
