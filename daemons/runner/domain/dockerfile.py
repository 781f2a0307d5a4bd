"""What a Dockerfile's text tells without building it.

It is read for the names of images only. What is written in a way that only a build could resolve is passed over.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_CONTINUED: Final = re.compile(r"[\\`][ \t]*\r?\n(?:[ \t]*#[^\n]*\n)*")
_ARG: Final = re.compile(r"\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)(?:=\"?([^\"\s]*)\"?)?\s*", re.I)
_FROM: Final = re.compile(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.I)
_TAKEN: Final = re.compile(r"(?:\s--from=|[,=]from=)([^\s,]+)", re.I)
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
#: Never an option of a program that is handed it.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,300}")
#: What a builder may take for the beginning of an id of any image that it has.
_IMAGE_ID: Final = re.compile(r"(?:sha256:)?[0-9a-f]{1,64}", re.I)
_STAGE_NUMBER: Final = re.compile(r"[0-9]{1,3}")
_APP_IMAGE: Final = re.compile(r"(?:.+/)?u[1-9][0-9]*-app[a-z0-9-]+")


def base_images(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """The images its stages begin from, each once, as far as they are written down: by name, or by an argument with a
    value. Stages of its own and `scratch` are none."""
    return tuple(dict.fromkeys(image for image, begins in _images(text, arguments) if begins))


def images_of_others(text: str, arguments: Mapping[str, str], own: str) -> tuple[str, ...]:
    """The images of apps that it begins from or copies out of, other than those of the repository `own`.

    An app's image may hold what its owner shows nobody, and the account that fetches base images may read them all.
    """
    named = dict.fromkeys(image for image, _ in _images(text, arguments))
    return tuple(image for image in named if _repository(image) != own and _APP_IMAGE.fullmatch(_repository(image)))


def images_by_id(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """What may be the id of an image instead of a name, and so lead to any image or layer that the builder has."""
    named = dict.fromkeys(_images(text, arguments))
    return tuple(
        image
        for image, begins in named
        if _IMAGE_ID.fullmatch(image) and (begins or not _STAGE_NUMBER.fullmatch(image))
    )


def _repository(image: str) -> str:
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _images(text: str, arguments: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Every image by name, and whether a stage begins from it."""
    values: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    begun = False
    for line in _CONTINUED.sub(" ", text).splitlines():
        argument, stage = _ARG.fullmatch(line), _FROM.fullmatch(line)
        if argument and not begun:
            values[argument[1]] = arguments.get(argument[1], argument[2] or "")
        names = [stage[1]] if stage else _TAKEN.findall(line)
        for image in (_resolved(name, values) for name in names):
            if image and image.lower() not in stages:
                yield image, stage is not None
        begun = begun or stage is not None
        if stage and stage[2]:
            stages.add(stage[2].lower())


def _resolved(name: str, values: Mapping[str, str]) -> str:
    """The name with its arguments filled in, or nothing when that leaves something that can be no name."""
    image = _VARIABLE.sub(lambda found: values.get(found[1] or found[3], "") or found[2] or "", name)
    image = image.removeprefix("docker://")
    return image if _REFERENCE.fullmatch(image) else ""
