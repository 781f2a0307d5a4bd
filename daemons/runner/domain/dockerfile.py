"""What a Dockerfile's text tells without building it.

It is read for the names of images only, as builders read it: lines that go on, then arguments, then names. What is
written in a way that only a build could resolve is told by `unread_images`, and is no name for the others.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_ESCAPE_IS_SAID: Final = re.compile(r"^\s*#\s*escape\s*=", re.I | re.M)
_ARG: Final = re.compile(r"\s*ARG\s+(.*)", re.I | re.S)
_ARGUMENT: Final = re.compile(
    r"""([A-Za-z_][A-Za-z0-9_]*)(?:=("[^"$\\`]*"|'[^'$\\`]*'|[^\s"'$\\`]*))?(?:\s+|$)""", re.ASCII
)
_ASSIGNED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=")
_FROM: Final = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*", re.I)
_BEGINS_A_STAGE: Final = re.compile(r"\s*FROM\s", re.I)
#: The options of what takes files out of other images.
_OPTIONS: Final = re.compile(r"\s*(?:COPY|ADD|RUN)((?:\s+--\S+)+)", re.I)
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


def unread_images(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """Where it names an image in a way that only a build could resolve: whose image that is nobody could say before."""
    return tuple(dict.fromkeys(word for word, image, _ in _named(text, arguments) if not image))


def _images(text: str, arguments: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Every image by name, and whether a stage begins from it."""
    return ((image, begins) for _, image, begins in _named(text, arguments) if image)


def _named(text: str, arguments: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """What names an image as it is written, the image that this is, as far as that can be read, and whether a stage
    begins from it."""
    values: dict[str, str | None] = {}
    stages: set[str] = {"scratch"}
    begun = False
    for line in _lines(text):
        argument, stage = _ARG.fullmatch(line), _FROM.fullmatch(line)
        if argument and not begun:
            values |= _assigned(argument[1], arguments)
        options = _OPTIONS.match(line)
        sure = [stage[1]] if stage else _TAKEN.findall(options[1]) if options else []
        for word in dict.fromkeys([*sure, *([] if stage else _TAKEN.findall(line))]):
            image = _resolved(word, values)
            if image.lower() not in stages and (image or word in sure):
                yield word, image, stage is not None
        begun = begun or stage is not None
        if stage and stage[2]:
            stages.add(stage[2].lower())


def _lines(text: str) -> Iterator[str]:
    """The lines as instructions, and once more those that begin a stage if they are instructions: builders do not agree
    on which comments end a line."""
    text = text.removeprefix("\ufeff")
    yield from _joined(text, "\\")
    if _ESCAPE_IS_SAID.search(text):
        yield from _joined(text, "`")
    yield from filter(_BEGINS_A_STAGE.match, text.split("\n"))


def _joined(text: str, escape: str) -> Iterator[str]:
    line = ""
    for each in text.split("\n"):
        part = each.rstrip(" \t\r")
        if not part.strip() or part.lstrip().startswith("#"):
            continue
        line += part.removesuffix(escape)
        if not part.endswith(escape):
            yield line
            line = ""
    if line:
        yield line


def _assigned(words: str, arguments: Mapping[str, str]) -> Mapping[str, str | None]:
    """The values of arguments; None where only a build could say."""
    place, found = 0, dict[str, str | None]()
    while each := _ARGUMENT.match(words, place):
        found[each[1]] = arguments.get(each[1], (each[2] or "").strip("\"'"))
        place = each.end()
    unread = words[place:]
    return found | {name: arguments.get(name) for name in _ASSIGNED.findall(unread)}


def _resolved(name: str, values: Mapping[str, str | None]) -> str:
    """The name with its arguments filled in, or nothing when that leaves something that can be no name."""
    image = _VARIABLE.sub(lambda found: _value(found, values), name)
    image = image.removeprefix("docker://")
    return image if _REFERENCE.fullmatch(image) else ""


def _value(found: re.Match[str], values: Mapping[str, str | None]) -> str:
    value = values.get(found[1] or found[3], "")
    return "$" if value is None else value or found[2] or ""
