"""How a workspace's files travel between nodes: frames, what an entry is, and what differs since the last pass.

A pass goes over the tree once, folders before what is in them, names in the order of their bytes. The source remembers
of each pass a stamp for every path. A stamp holds what no program can set back (inode and time of change) besides what
it can, so that what has the same stamp has the same content; it is left blank when the entry may have been changed
while it was read. What has another stamp, or a blank one, is sent again.
"""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

#: Data of one frame; and the longest description of one entry: two paths, as JSON writes them at their longest.
MOST_DATA_BYTES: Final = 256 * 1024
_MOST_FRAME_BYTES: Final = MOST_DATA_BYTES + 8
#: Below the kernel's limit for a path, with room for the folder that it is resolved from.
MOST_PATH_BYTES: Final = 4000
MOST_SKIPPED: Final = 50
_HEAD: Final = struct.Struct(">cI")
_OFFSET: Final = struct.Struct(">Q")
BLANK: Final = bytes(16)


class CopyRefused(Exception):
    """What came is not what a source sends, or the tree cannot be sent; the message says why."""


class SourceFailed(Exception):
    """The source said itself that it could not go on; the message is its own."""


class Sort(StrEnum):
    """What an entry is."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"
    #: Another name of a file that was named before.
    SAME = "h"
    #: It is not there any more.
    GONE = "g"


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as it travels; paths are relative to the user's folder, `target` is a link's text, or for SAME the path
    of the first name; `mtime_ns` since 1970."""

    path: str
    sort: Sort
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: str = ""

    def line(self) -> bytes:
        """What is compared of it when source and target are."""
        size = self.size if self.sort is Sort.FILE else 0
        # The kernel gives links a mode that nobody can set, and the second name of a file is the first one's matter.
        mode, mtime = (0, 0) if self.sort in (Sort.SAME,) else (self.mode, self.mtime_ns)
        words = (self.path, self.sort.value, "" if self.sort is Sort.LINK else mode, size, mtime, self.target)
        return json.dumps(words, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Beginning:
    """The pass's name, and the pass that the target's copy must stand after (empty: it must be empty)."""

    token: str
    after: str


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the file that was named last."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Ending:
    """The pass is whole: the digest of its frames, and of the source's tree."""

    frames: str
    tree: str
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failing:
    """The source cannot go on."""

    why: str


Frame = Beginning | Item | Data | Ending | Failing


def encoded(frame: Frame) -> bytes:
    """As it travels."""
    match frame:
        case Data():
            return _HEAD.pack(b"D", len(frame.content) + 8) + _OFFSET.pack(frame.offset) + frame.content
        case Beginning():
            return _framed(b"B", {"token": frame.token, "after": frame.after})
        case Item():
            words = [frame.path, frame.sort.value, frame.mode, frame.size, frame.mtime_ns, frame.target]
            return _framed(b"I", words)
        case Ending():
            return _framed(b"E", {"frames": frame.frames, "tree": frame.tree, "skipped": frame.skipped})
        case Failing():
            return _framed(b"X", {"why": frame.why})


def _framed(kind: bytes, said: object) -> bytes:
    body = json.dumps(said, separators=(",", ":")).encode()
    return _HEAD.pack(kind, len(body)) + body


class Frames:
    """Reads frames out of what comes, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._digest = hashlib.sha256()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that are whole now. Raises CopyRefused, also when the end does not name what came before."""
        self._held += piece
        while len(self._held) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._held)
            if length > _MOST_FRAME_BYTES:
                raise CopyRefused("a frame is too long")
            if len(self._held) < _HEAD.size + length:
                return
            whole = bytes(self._held[: _HEAD.size + length])
            del self._held[: len(whole)]
            frame = _decoded(kind, whole[_HEAD.size :])
            if isinstance(frame, Ending) and frame.frames != self._digest.hexdigest():
                raise CopyRefused("what came is not what was sent")
            self._digest.update(whole)
            yield frame


def _decoded(kind: bytes, body: bytes) -> Frame:
    if kind == b"D":
        if len(body) < _OFFSET.size:
            raise CopyRefused("a frame is too short")
        return Data(_OFFSET.unpack_from(body)[0], body[_OFFSET.size :])
    try:
        said: Any = json.loads(body)
        if kind == b"I":
            path, sort, mode, size, mtime_ns, target = said
            return _checked(Item(str(path), Sort(sort), int(mode), int(size), int(mtime_ns), str(target)))
        if kind == b"B":
            return Beginning(str(said["token"]), str(said["after"]))
        if kind == b"E":
            return Ending(str(said["frames"]), str(said["tree"]), tuple(map(str, said["skipped"]))[:MOST_SKIPPED])
        if kind == b"X":
            return Failing(str(said["why"])[:500])
    except (ValueError, TypeError, KeyError) as error:
        raise CopyRefused("a frame cannot be read") from error
    raise CopyRefused("a frame is of no known kind")


def _checked(item: Item) -> Item:
    named = [item.path, item.target] if item.sort is Sort.SAME else [item.path]
    for path in named:
        if any(name in ("", ".", "..") for name in path.split("/")) or "\0" in path:
            raise CopyRefused("an entry's path leads elsewhere")
    if not 0 <= item.mode <= 0o7777 or not 0 <= item.size < 2**62 or "\0" in item.target:
        raise CopyRefused("an entry is none that a disk could have")
    return item


def stamp(numbers: tuple[int, ...], first: str, *, quiet: bool) -> bytes:
    """What an entry was when it was read: its status in numbers, and for the second name of a file the first one.
    Blank when it was changed so late that it may have been changed again unnoticed."""
    if not quiet:
        return BLANK
    return hashlib.blake2b(f"{numbers}{first}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def order(path: bytes) -> tuple[bytes, ...]:
    """Sorts paths as a pass meets them."""
    return tuple(path.split(b"/"))


class Former:
    """The stamps of the pass before, read beside the pass that goes on: both meet paths in the same order."""

    def __init__(self, stamps: Iterator[tuple[bytes, bytes]]) -> None:
        self._stamps = stamps
        self._next = next(stamps, None)
        self._gone: tuple[bytes, ...] = ()

    def gone_before(self, path: bytes | None) -> Iterator[bytes]:
        """What was there and is not met any more, up to that path (None: to the end); of a folder with all that was in
        it, the folder alone."""
        until = None if path is None else order(path)
        while self._next is not None and (until is None or order(self._next[0]) < until):
            names = order(self._next[0])
            if not self._gone or names[: len(self._gone)] != self._gone:
                self._gone = names
                yield self._next[0]
            self._next = next(self._stamps, None)

    def same(self, path: bytes, now: bytes) -> bool:
        """Whether the path had that stamp; to be asked once for each path, after `gone_before`."""
        found = self._next
        if found is None or found[0] != path:
            return False
        self._next = next(self._stamps, None)
        return now != BLANK and found[1] == now
