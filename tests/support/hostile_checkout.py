"""`python -m tests.support.hostile_checkout FOLDER`: checks out and packs every crafted tree, as a runner does.

A process of its own, so that all it touches can be watched. FOLDER has `job.json` with what to do and gets
`said.json` with how each ended; work is done in FOLDER/work.
"""

import asyncio
import json
import sys
from pathlib import Path

from daemons.runner.adapters.context import Contexts
from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import ImageNames, Source
from daemons.runner.domain.projects import BaseImages
from daemons.runner.domain.tree import TreeLimits
from daemons.runner.ports import BuildOrder


class Ears:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, text: str) -> None:
        """Take it."""
        self.text += text


async def main(folder: Path) -> None:
    """One after the other."""
    job = json.loads((folder / "job.json").read_text())
    keys = GitKeys(Path(job["key"]), Path(job["knownHosts"]))
    policy = GitPolicy(limits=TreeLimits(64 * 1024**2, 5_000))
    repository = GitRepository(keys, folder / "work" / ".mirrors", policy)
    contexts = Contexts(BaseImages("node:test", "python:test", "go:test", "static:test"))
    said: dict[str, str | None] = {}
    for ref in job["refs"]:
        place = folder / "work" / ref
        place.mkdir(parents=True)
        log = Ears()
        try:
            await repository.checkout(Source(job["url"], ref, submodules=True), place, log)
            await contexts.pack(BuildOrder(place, ImageNames("a/b:1", "a/b:x"), {}), log)
            said[ref] = None
        except WorkFailed as failed:
            said[ref] = f"{failed.text}\n{log.text}"
    (folder / "work" / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
