"""What a Dockerfile's text tells without building it."""

import re
from collections.abc import Mapping
from typing import Final

_ARG: Final = re.compile(r"\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)(?:=\"?([^\"\s]*)\"?)?\s*", re.I)
_FROM: Final = re.compile(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*", re.I)
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def base_images(text: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """The images its stages begin from, each once, as far as they are written down: by name, or by an argument with a
    value. Stages of its own and `scratch` are none."""
    values: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: dict[str, None] = {}
    for line in text.splitlines():
        argument, stage = _ARG.fullmatch(line), _FROM.fullmatch(line)
        if argument and not found:
            values[argument[1]] = arguments.get(argument[1], argument[2] or "")
        if not stage:
            continue
        image = _VARIABLE.sub(lambda name: values.get(name[1] or name[2], ""), stage[1])
        if image and "$" not in image and image.lower() not in stages:
            found[image] = None
        if stage[2]:
            stages.add(stage[2].lower())
    return tuple(found)
