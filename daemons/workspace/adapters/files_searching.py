"""Searches names and contents of an app."""

import os
import time
from contextlib import suppress
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing
from daemons.workspace.adapters.files_walks import walk
from daemons.workspace.domain.files import FileError, Kind
from daemons.workspace.domain.paths import Parts
from daemons.workspace.domain.search import Found, Match, SearchLimits, Wanted

_DEEPEST: Final = 64


def search(confined: Confinement, app: int, root: Parts, wanted: Wanted, limits: SearchLimits) -> Found:
    """What is found before a limit is reached. Raises FileError when the folder itself cannot be read."""
    until = time.monotonic() + limits.seconds
    matches: list[Match] = []
    files = size = 0
    for listed in walk(confined, app, root, _DEEPEST):
        if len(matches) >= limits.results or size > limits.total_bytes or time.monotonic() > until:
            return Found(tuple(matches[: limits.results]), files, whole=False)
        if wanted.in_name(listed.path):
            matches.append(Match(listed.path))
        if not wanted.contents or listed.entry.kind is not Kind.FILE or listed.entry.size > limits.file_bytes:
            continue
        with suppress(OSError, FileError), closing(confined.file(app, listed.path)) as file:
            data = os.pread(file, limits.file_bytes, 0)
            files, size = files + 1, size + len(data)
            for number, match in enumerate(wanted.in_data(listed.path, data)):
                if number >= limits.in_one_file:
                    break
                matches.append(match)
    return Found(tuple(matches[: limits.results]), files, whole=len(matches) <= limits.results)
