"""Paths within an app: what a caller may name. Nothing here looks at a file system.

A path that passes is a tuple of names, none of which is empty, "." or ".."; joined, it cannot leave the folder that it
is resolved from, unless a link on the disk does (`adapters/confined.py` answers for those).
"""

from typing import Final, TypeAlias

Parts: TypeAlias = tuple[str, ...]

LONGEST_NAME_BYTES: Final = 255
#: The kernel's PATH_MAX with its final NUL, as it counts for the whole of a relative path.
LONGEST_PATH_BYTES: Final = 4095


class PathRefused(Exception):
    """A path that may not be named; the message says why and never repeats it."""


def parts_of(text: str) -> Parts:
    """A path relative to the app, empty for the app itself. Leading slashes are dropped and backslashes are slashes, as
    existing clients write them. Raises PathRefused."""
    if "\0" in text:
        raise PathRefused("path: must not hold a NUL")
    names = tuple(name for name in text.replace("\\", "/").split("/") if name not in ("", "."))
    if ".." in names:
        raise PathRefused("path: must not hold '..'")
    try:
        lengths = [len(name.encode()) for name in names]
    except UnicodeEncodeError:
        raise PathRefused("path: must be UTF-8") from None
    if any(length > LONGEST_NAME_BYTES for length in lengths):
        raise PathRefused(f"path: a name must have at most {LONGEST_NAME_BYTES} bytes")
    if sum(lengths) + len(lengths) > LONGEST_PATH_BYTES:
        raise PathRefused(f"path: must have at most {LONGEST_PATH_BYTES} bytes")
    return names


def named_parts(text: str) -> Parts:
    """A path of something in the app, never the app itself. Raises PathRefused."""
    parts = parts_of(text)
    if not parts:
        raise PathRefused("path: must name something within the app")
    return parts


def joined(parts: Parts) -> str:
    """The path as callers read it."""
    return "/".join(parts)
