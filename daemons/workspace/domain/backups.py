"""What a backup of a workspace is: a tar of all that is in it, gzipped, whose last entry says what came before it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain.copying import MOST_PATH_BYTES, CopyRefused, Item

#: Below it everything of the user's; beside it the manifest.
ROOT: Final = "workspace/"
MANIFEST: Final = "funai-backup.json"
MOST_MANIFEST_BYTES: Final = 64 * 1024
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """How many entries and bytes of content there are, the digest of them all, and what was not taken along."""

    user_id: str
    entries: int
    content_bytes: int
    digest: str
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def document(self) -> bytes:
        """As it lies in the archive."""
        said = {
            "version": _VERSION,
            "userId": self.user_id,
            "entries": self.entries,
            "contentBytes": self.content_bytes,
            "digest": self.digest,
            "skipped": self.skipped,
            "leftOut": self.left_out,
        }
        return json.dumps(said, indent=2).encode() + b"\n"


def manifest_of(document: bytes) -> Manifest:
    """Raises CopyRefused."""
    try:
        said = json.loads(document)
        if said["version"] != _VERSION:
            raise CopyRefused("the backup is of a newer release")
        lists = (tuple(map(str, said["skipped"])), tuple(map(str, said["leftOut"])))
        whose, digest = str(said["userId"]), str(said["digest"])
        return Manifest(whose, int(said["entries"]), int(said["contentBytes"]), digest, *lists)
    except (ValueError, KeyError, TypeError) as error:
        raise CopyRefused("the backup's manifest cannot be read") from error


class Sum:
    """What a manifest says of the entries, while they pass."""

    def __init__(self) -> None:
        self.entries = 0
        self.content_bytes = 0
        self._all = hashlib.sha256()
        self._one = hashlib.sha256()

    def entry(self, item: Item) -> None:
        """One begins; its content follows, holes as what they read as."""
        self._all.update(self._one.digest())
        self._one = hashlib.sha256(item.line())
        self.entries += 1

    def content(self, piece: bytes) -> None:
        """Some of the entry's content."""
        self._one.update(piece)
        self.content_bytes += len(piece)

    def digest(self) -> str:
        """Over all of it so far."""
        return hashlib.sha256(self._all.digest() + self._one.digest()).hexdigest()


def named(path: str) -> str:
    """The path of an entry within the workspace, by its name in the archive. Raises CopyRefused."""
    below = path.removeprefix(ROOT).rstrip("/")
    parts = below.split("/")
    if below == path or any(part in ("", ".", "..") for part in parts) or "\0" in below:
        raise CopyRefused("an entry of the backup leads elsewhere")
    if len(below.encode("utf-8", "surrogateescape")) > MOST_PATH_BYTES:
        raise CopyRefused("an entry of the backup has too long a path")
    return below
