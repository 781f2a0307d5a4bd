"""What a merge left to its user: shown with both sides, settled file by file, then finished or given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain import git as words
from daemons.workspace.domain import git_programs as programs
from daemons.workspace.domain.git import Blob, Conflict, Standing
from daemons.workspace.services.git import Git, NoRepository, Report
from daemons.workspace.services.git_work import Work, checked
from protocol.workspace_git import GitResult, Side

_MOST_FILES: Final = 100
#: Of one side of one file, and of all that is shown at once; bytes.
_MOST_SIDE: Final = 512 * 1024
_MOST_SHOWN: Final = 6 * 1024 * 1024
_HEAD_BYTES: Final = 128
_MERGING: Final = "MERGE_HEAD"


class NoConflict(Exception):
    """The file has no conflict, or no merge goes on."""


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What is left, with the contents of all sides by their hashes; `whole` is false when there is more."""

    merging: bool
    files: tuple[Conflict, ...]
    blobs: dict[str, Blob]
    whole: bool


class Merges:
    """Merges that wait for users. Each operation raises as those of `Git`, and GitFailed, NoRepository."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def conflicts(self, user_id: str, app_id: str, epoch: int | None = None) -> Conflicts:
        """Reading changes nothing."""
        async with self._git.working(user_id, app_id, epoch) as work:
            await _standing(work)
            files, whole = await _left(work)
            merging = await work.commit_of(_MERGING) is not None
            return Conflicts(merging, files, await _contents(work, files), whole)

    async def resolve(
        self, user_id: str, app_id: str, path: str, use: Side, content: str, epoch: int | None = None
    ) -> Report:
        """The file is as one side has it, or as the content says. Also raises NoConflict."""
        async with self._git.changing(user_id, app_id, epoch) as work:
            await _standing(work)
            files, _ = await _left(work)
            found = next((one for one in files if one.path == path), None)
            if found is None:
                raise NoConflict("path: has no conflict; GET conflicts shows those that have")
            await _settle(work, found, use, content)
            left = tuple(one.path for one in files if one.path != path)
            message = "" if left else "all conflicts are settled: POST merge/continue, or POST commit-push"
            return Report(GitResult.SUCCESS, message, await _standing(work), conflicts=left)

    async def abort(self, user_id: str, app_id: str, epoch: int | None = None) -> Report:
        """Everything is as it was before the merge. Also raises NoConflict."""
        async with self._git.changing(user_id, app_id, epoch) as work:
            await _merging(work)
            await work.must("merge", "--abort")
            return Report(GitResult.SUCCESS, "", await _standing(work))

    async def carry_on(self, user_id: str, app_id: str, epoch: int | None = None) -> Report:
        """The merge is committed, once nothing is left to be settled. Also raises NoConflict."""
        async with self._git.changing(user_id, app_id, epoch) as work:
            await _merging(work)
            files, _ = await _left(work)
            if files:
                left = tuple(one.path for one in files)
                return Report(GitResult.CONFLICT, "conflicts are left", await _standing(work), conflicts=left)
            await work.must("commit", "--quiet", "--no-gpg-sign", "--no-edit")
            return Report(GitResult.SUCCESS, "POST commit-push pushes the merge", await _standing(work))


async def _standing(work: Work) -> Standing:
    found = await work.standing()
    if found is None:
        raise NoRepository("the app has no repository here yet: POST ensure makes one")
    return found


async def _merging(work: Work) -> None:
    await _standing(work)
    if await work.commit_of(_MERGING) is None:
        raise NoConflict("no merge goes on")


async def _left(work: Work) -> tuple[tuple[Conflict, ...], bool]:
    """The files, and whether these are all."""
    found = await work.must("ls-files", "--unmerged", "-z")
    files = words.conflicts(found.output, _MOST_FILES + 1)
    return files[:_MOST_FILES], found.whole and len(files) <= _MOST_FILES


async def _contents(work: Work, files: Sequence[Conflict]) -> dict[str, Blob]:
    """What all sides hold: first how long each is, then those that are not too long, as many as may be shown."""
    wanted = sorted({sha for one in files for sha in (one.base, one.ours, one.theirs) if sha})
    if not wanted:
        return {}
    looked = await work.must("cat-file", "--batch-check", given=_lines(wanted))
    sizes = words.sizes(looked.output)
    short, total = [], 0
    for sha in wanted:
        size = sizes.get(sha, _MOST_SIDE + 1) + _HEAD_BYTES
        if size <= _MOST_SIDE and total + size <= _MOST_SHOWN:
            short.append(sha)
            total += size
    found = await work.git("cat-file", "--batch", given=_lines(short), most=_MOST_SHOWN)
    data = words.blobs(found.output)
    return {sha: Blob(size, data.get(sha)) for sha, size in sizes.items()}


async def _settle(work: Work, found: Conflict, use: Side, content: str) -> None:
    if use is Side.CONTENT:
        checked(await work.script(programs.WRITE, work.folder, found.path, given=content.encode()))
        await work.must("add", "--force", "--", found.path)
        return
    side = found.ours if use is Side.OURS else found.theirs
    if side is None:
        await work.must("rm", "--quiet", "--force", "--", found.path)
        return
    await work.must("checkout", "--quiet", f"--{use.value}", "--", found.path)
    await work.must("add", "--force", "--", found.path)


def _lines(hashes: Sequence[str]) -> bytes:
    return "".join(f"{sha}\n" for sha in hashes).encode()


def text_of(blob: Blob | None) -> str | None:
    """A content as text; None when it is none, or was too long."""
    if blob is None or blob.data is None or b"\0" in blob.data:
        return None
    try:
        return blob.data.decode()
    except UnicodeDecodeError:
        return None
