"""Which local images of an app may go."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocol.names import image_registry

_OWN: Final = re.compile(r"/u(?P<user>[1-9][0-9]{0,18})-app(?P<app>[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)\Z")
_TAG_FENCE: Final = re.compile(r"[0-9a-f]{7,40}-(?P<fence>[0-9]{1,19})")


class RegistryRefused(Exception):
    """The image is in a registry that this node does not pull from."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image of the engine with every reference that names it (`repository:tag` and `repository@digest`). `created`
    is epoch seconds; `owner` is the user and app of a label that our builder gives, which proves nothing by itself."""

    image_id: str
    references: tuple[str, ...]
    created: int = 0
    size: int = 0
    owner: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image in a registry: its packed bytes, and the id that it has once it is unpacked."""

    size: int
    unpacked_id: str


def require_allowed(reference: str, registries: Collection[str]) -> None:
    """Raises RegistryRefused unless the image is in one of these registries, in none, or there is no such list."""
    registry = image_registry(reference)
    if registries and registry is not None and registry not in registries:
        raise RegistryRefused(
            f"image {reference} is in registry {registry}, which this node does not pull from: it pulls from "
            f"{', '.join(registries)} (RUNTIME_REGISTRIES)"
        )


def of_app(images: Iterable[LocalImage], user_id: str, app_id: str) -> tuple[LocalImage, ...]:
    """The images in the app's own repositories, each with only those references."""
    suffix = f"/u{user_id}-app{app_id}"
    kept = (
        replace(image, references=tuple(name for name in image.references if _repository(name).endswith(suffix)))
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


def owner_of(reference: str) -> tuple[str, str] | None:
    """The user and app whose repository the reference names."""
    found = _OWN.search(_repository(reference))
    return (found["user"], found["app"]) if found else None


def missing_bytes(layers: Sequence[Layer], present: Iterable[Sequence[str]]) -> int:
    """Packed bytes of the layers that no local image has. An engine reuses a layer only on top of the same layers."""
    known = 0
    for ids in present:
        shared = 0
        for layer, unpacked_id in zip(layers, ids, strict=False):
            if layer.unpacked_id != unpacked_id:
                break
            shared += 1
        known = max(known, shared)
    return sum(layer.size for layer in layers[known:])


def _repository(reference: str) -> str:
    name = reference.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return head if head and "/" not in tail else name
