"""References of images: which never move, and which lie in a repository of the platform's own naming.

Nothing is ever removed from a registry by a name that came with a request: the repository's name is made here from the
registry and project of the settings and the ids of the app, and an image counts only if it lies exactly there.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.names import image_registry

#: What runners tag a build with: the commit's first digits and something no other attempt of the app has.
_IMMUTABLE_TAG: Final = re.compile(r"[0-9a-f]{7,40}-[0-9a-z][0-9a-z-]{0,63}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """The registry that the control plane may ask: `host[:port]` as images name it, and the platform's project there.
    `cleans` says whether it may also remove images."""

    host: str
    project: str
    cleans: bool = False


@dataclass(frozen=True, slots=True)
class Artifact:
    """One image in a registry: the repository without the host, and its digest."""

    repository: str
    digest: str


@dataclass(frozen=True, slots=True)
class PushedImage:
    """One image as a registry lists it."""

    digest: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in its parts; `registry` None means a local image."""

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None


def parsed(text: str) -> Reference:
    """The parts of a validated reference `[registry/]repository[:tag][@digest]`."""
    registry = image_registry(text)
    rest, _, digest = text.removeprefix(f"{registry}/" if registry else "").partition("@")
    folder, slash, name = rest.rpartition("/")
    last, _, tag = name.partition(":")
    return Reference(registry, f"{folder}{slash}{last}", tag or None, digest or None)


def immutable_reference(image: str, digest: str | None) -> str | None:
    """The reference that names these bytes for good: by digest, or without a registry by a tag that is never moved.
    None for any other tag: what it names today need not be what was deployed."""
    reference = parsed(image)
    if reference.digest is not None:
        return image
    if reference.registry is not None and digest is not None and _DIGEST.fullmatch(digest):
        return f"{reference.registry}/{reference.repository}@{digest}"
    return image if _IMMUTABLE_TAG.fullmatch(reference.tag or "") else None


def own_repository(project: str, user_id: str, app_id: str) -> str:
    """The one repository of an app, without the registry's host."""
    return f"{project}/u{user_id}-app{app_id}"


def artifact_in(place: RegistryPlace | None, image: str) -> Artifact | None:
    """What to look for in the registry; None when the image has no digest or names another registry, or none."""
    reference = parsed(image)
    if place is None or reference.registry != place.host or reference.digest is None:
        return None
    return Artifact(reference.repository, reference.digest)


def removable(place: RegistryPlace | None, image: str, user_id: str, app_id: str) -> Artifact | None:
    """The artifact, if the control plane may remove it: exactly this app's own repository, by digest."""
    found = artifact_in(place, image)
    if place is None or not place.cleans or found is None:
        return None
    return found if found.repository == own_repository(place.project, user_id, app_id) else None


def unneeded(
    newest_first: Sequence[PushedImage], kept: int, digests: Collection[str], references: Collection[str]
) -> Sequence[PushedImage]:
    """Images of an app's own repository that were pushed and are not needed: not one of the newest pushes, none of
    these digests, and not what one of these references names by digest or tag, whatever its registry."""
    named = [parsed(reference) for reference in references]
    by_digest = {*digests, *(reference.digest for reference in named if reference.digest)}
    by_tag = {reference.tag for reference in named if reference.tag and not reference.digest}
    return [image for image in newest_first[kept:] if image.digest not in by_digest and by_tag.isdisjoint(image.tags)]


def held_locally(image: str, references: tuple[str, ...]) -> bool:
    """Whether an engine that lists these references has the image; engines may write a local one with a host."""
    return any(name in (image, f"localhost/{image}", f"docker.io/{image}") for name in references)
