"""What a commit would put on the disk, judged from git's own listing of it before a single file is written.

A few kilobytes of objects can name a million files or terabytes of content, because a tree may name the same object any
number of times; so the listing is judged entry by entry as it comes, and reading stops at the first limit passed.
"""

import re
from dataclasses import dataclass
from typing import Final

from daemons.runner.domain.failures import WorkFailed
from protocol.errors import JobReason

#: One entry of `git ls-tree -r -l -z`: mode, type, object, size in bytes (`-` for a submodule), path.
_ENTRY: Final = re.compile(rb"(\d{6}) ([a-z]+) ([0-9a-f]{40}) +(-|\d+)\t(.+)", re.DOTALL)
_SUBMODULE: Final = b"160000"
_SUBMODULES_KEPT: Final = 1000
_ADVICE: Final = "Remove what does not belong into the repository (build output, data, archives), commit, deploy again."


class NotAListing(ValueError):
    """Git's listing is not one: what it was read from is broken."""


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How much a checkout may hold: `most_bytes` in all its files together, `most_files` entries."""

    most_bytes: int
    most_files: int

    def less(self, count: int, files: int) -> "TreeLimits":
        """What is left of them after so many bytes and files."""
        return TreeLimits(self.most_bytes - count, self.most_files - files)


@dataclass(frozen=True, slots=True)
class Submodule:
    """Another repository's commit, and where in the tree it belongs."""

    path: str
    commit: str


class Census:
    """Counts the entries of one commit."""

    def __init__(self, limits: TreeLimits) -> None:
        self._limits = limits
        self.files = 0
        self.bytes = 0
        self.submodules: list[Submodule] = []

    def add(self, entry: bytes) -> None:
        """Take one entry. Raises WorkFailed at the first limit passed, NotAListing for what is no entry."""
        found = _ENTRY.fullmatch(entry)
        if found is None:
            raise NotAListing("git listed something else than files")
        mode, _, name, size, path = found.groups()
        self.files += 1
        self.bytes += 0 if size == b"-" else int(size)
        if mode == _SUBMODULE and len(self.submodules) < _SUBMODULES_KEPT:
            self.submodules.append(Submodule(path.decode("utf-8", "surrogateescape"), name.decode()))
        self._judge()

    def _judge(self) -> None:
        if self.files > self._limits.most_files:
            raise WorkFailed(
                JobReason.CLONE_FAILED,
                f"the commit has more than {self._limits.most_files} files, which is the most that is checked out",
                advice=_ADVICE,
            )
        if self.bytes > self._limits.most_bytes:
            raise WorkFailed(
                JobReason.CLONE_FAILED,
                f"the files of the commit are larger than {self._limits.most_bytes // 1024**2} MiB together, "
                "which is the most that is checked out (RUNNER_GIT_MOST_MB)",
                advice=_ADVICE,
            )
