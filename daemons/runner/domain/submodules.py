"""Which other repositories a commit wants beside its own files. Format: gitmodules(5).

`git submodule` is never run: it would take addresses and options as the repository gives them. Each wanted commit is
fetched as any source is, so that addresses, hosts, keys and limits are judged the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Source
from daemons.runner.domain.tree import Submodule
from protocol.errors import JobReason

MOST_SUBMODULES: Final = 20
DEEPEST: Final = 3
_RELATIVE: Final = ("./", "../")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository's commit, and where below the tree it belongs."""

    path: str
    source: Source


def wanted(parent: Source, found: Sequence[Submodule], listing: bytes) -> tuple[Wanted, ...]:
    """What to fetch for the submodules found in a tree; `listing` is `git config --list -z` of its `.gitmodules`.

    Raises WorkFailed for one without an address, or with one that is not allowed.
    """
    urls = _urls(listing)
    made = []
    for each in found:
        url = urls.get(each.path)
        if url is None:
            raise _refused(each.path, "has no address in .gitmodules")
        try:
            made.append(Wanted(each.path, Source(_absolute(parent, url), each.commit, submodules=True)))
        except WorkFailed:
            raise _refused(
                each.path, "has an address that is not ssh://git@host[:port]/owner/repository.git nor relative to it"
            ) from None
    return tuple(made)


def _refused(path: str, why: str) -> WorkFailed:
    return WorkFailed(
        JobReason.CLONE_FAILED,
        f"gitSubmodules: the submodule {path[:200]!r} {why}; nothing of it was fetched",
        advice="Mend .gitmodules, commit, and deploy again, or deploy without gitSubmodules.",
    )


def _urls(listing: bytes) -> dict[str, str]:
    """Addresses by path; a section's path and address may stand in any order, and the last one counts."""
    sections: dict[str, dict[str, str]] = {}
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        section, _, name = key.rpartition(".")
        if section.startswith("submodule."):
            sections.setdefault(section, {})[name.lower()] = value
    return {each["path"]: each["url"] for each in sections.values() if "path" in each and "url" in each}


def _absolute(parent: Source, url: str) -> str:
    """A relative address counts from the repository's own, as `git submodule` counts it."""
    if not url.startswith(_RELATIVE):
        return url
    base, _, path = parent.url.partition("://")
    host, *parts = path.split("/")
    for step in url.split("/"):
        if step == "..":
            parts = parts[:-1]
        elif step != ".":
            parts.append(step)
    return f"{base}://{host}/{'/'.join(parts)}"
