"""What is known of a project before anything of it is run, and what is concluded from it."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: The files whose text is read, if they are plain files of at most MOST_BYTES.
MANIFESTS: Final = ("package.json", "requirements.txt", "pyproject.toml")
MOST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Tree:
    """Plain files at the root and directly within its folders, by name with `/`; texts of manifests; and of those
    that were not read, why."""

    files: frozenset[str]
    texts: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A template's name, what spoke for it, and what its places are filled with."""

    template: str
    why: tuple[str, ...]
    fill: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Passed:
    """A kind whose manifest is there, but which cannot be built; in words."""

    why: str


def json_object(text: str) -> dict[str, object] | None:
    """The object a JSON text holds, or None when it holds none, whatever is wrong with it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def toml_table(text: str) -> dict[str, object] | None:
    """The table a TOML text holds, or None when it is not TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def table(value: object) -> dict[str, object]:
    """The value if it is a table or an object, else an empty one."""
    return value if isinstance(value, dict) else {}
