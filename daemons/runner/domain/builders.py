"""Which builder a runner uses, and the reason that its start log gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class BuilderKind(StrEnum):
    """`engine`: the Docker API. `buildah`: without a daemon, in an enclosure of its own."""

    AUTO = "auto"
    ENGINE = "engine"
    BUILDAH = "buildah"


class NoBuilder(Exception):
    """The builder that was asked for cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A builder and why."""

    kind: BuilderKind
    why: str


def choose_builder(wanted: BuilderKind, problems: Mapping[BuilderKind, str | None], *, registry: str) -> Chosen:
    """The builder to use. `problems` has, by kind, why it cannot be used now, or None. Raises NoBuilder.

    `auto` takes the engine where one answers, as runners always did. An engine may come later, so that it is waited for
    where nothing else can be used.
    """
    buildah = (
        problems[BuilderKind.BUILDAH]
        if registry
        else ("without ACR_REGISTRY nodes could not get at its images, because they are in no engine")
    )
    match wanted:
        case BuilderKind.ENGINE:
            return Chosen(wanted, "RUNNER_BUILDER says so")
        case BuilderKind.BUILDAH if buildah is None:
            return Chosen(wanted, "RUNNER_BUILDER says so")
        case BuilderKind.BUILDAH:
            raise NoBuilder(f"RUNNER_BUILDER=buildah cannot be used: {buildah}")
        case BuilderKind.AUTO:
            engine = problems[BuilderKind.ENGINE]
            if engine is None:
                return Chosen(BuilderKind.ENGINE, "the engine answers")
            if buildah is None:
                return Chosen(BuilderKind.BUILDAH, f"the engine does not answer ({engine}), and buildah works")
            return Chosen(
                BuilderKind.ENGINE, f"the engine does not answer yet ({engine}), and buildah cannot be used: {buildah}"
            )
