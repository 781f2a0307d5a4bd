"""Reads `multipart/form-data` piece by piece, in memory that does not grow with it.

Format: RFC 2046, section 5.1.1, and RFC 7578. A part's data is told as it comes; nothing is kept but what may be the
beginning of a boundary.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_MOST_HEADER_BYTES: Final = 16 * 1024
_MOST_PARTS: Final = 64
_BOUNDARY: Final = re.compile(r'multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.I)
_NAME: Final = re.compile(
    rb'^content-disposition:[ \t]*form-data\b[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^\s;]+))', re.I | re.M
)


class MultipartRefused(Exception):
    """The body is no form, or not one that is taken."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """The data that follows is of this field."""

    name: str


Told = PartBegins | bytes


class _At(Enum):
    BOUNDARY = auto()
    AFTER_BOUNDARY = auto()
    HEADERS = auto()
    DATA = auto()
    END = auto()


class Multipart:
    """One body."""

    def __init__(self, content_type: str) -> None:
        """Raises MultipartRefused unless the content type is that of a form and names its boundary."""
        found = _BOUNDARY.match(content_type)
        if not found:
            raise MultipartRefused("body: must be multipart/form-data with a boundary")
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode()
        # The first boundary may stand at the very beginning.
        self._held = bytearray(b"\r\n")
        self._at = _At.BOUNDARY
        self._parts = 0

    @property
    def ended(self) -> bool:
        """Whether the last boundary was seen."""
        return self._at is _At.END

    def feed(self, piece: bytes) -> Iterator[Told]:
        """What the next bytes tell. Raises MultipartRefused."""
        self._held += piece
        progress = True
        while progress:
            match self._at:
                case _At.BOUNDARY | _At.DATA:
                    inside = self._at is _At.DATA
                    data, progress = self._to_boundary()
                    if inside and data:
                        yield data
                case _At.AFTER_BOUNDARY:
                    progress = self._after_boundary()
                case _At.HEADERS:
                    name = self._headers()
                    progress = name is not None
                    if name is not None:
                        yield PartBegins(name)
                case _At.END:
                    self._held.clear()
                    progress = False

    def _to_boundary(self) -> tuple[bytes, bool]:
        at = self._held.find(self._delimiter)
        if at >= 0:
            data = bytes(self._held[:at])
            del self._held[: at + len(self._delimiter)]
            self._at = _At.AFTER_BOUNDARY
            return data, True
        safe = max(0, len(self._held) - len(self._delimiter) + 1)
        data = bytes(self._held[:safe])
        del self._held[:safe]
        return data, False

    def _after_boundary(self) -> bool:
        if self._held[:2] == b"--":
            self._at = _At.END
            return True
        rest = self._held.lstrip(b" \t")
        if len(rest) < 2:
            if len(self._held) > _MOST_HEADER_BYTES:
                raise MultipartRefused("body: a boundary is followed by too much")
            return False
        self._parts += 1
        if rest[:2] != b"\r\n" or self._parts > _MOST_PARTS:
            raise MultipartRefused("body: a boundary is followed by something else, or there are too many")
        self._held = rest
        self._at = _At.HEADERS
        return True

    def _headers(self) -> str | None:
        end = self._held.find(b"\r\n\r\n")
        if end > _MOST_HEADER_BYTES or (end < 0 and len(self._held) > _MOST_HEADER_BYTES):
            raise MultipartRefused("body: a part's headers are too long")
        if end < 0:
            return None
        found = _NAME.search(bytes(self._held[2:end]))
        if not found:
            raise MultipartRefused("body: a part has no name")
        del self._held[: end + 4]
        self._at = _At.DATA
        return (found[1] if found[1] is not None else found[2]).decode("utf-8", "replace")
