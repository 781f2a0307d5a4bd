"""Checks out one commit with the git program over SSH, from a bare mirror that is kept from job to job.

A fetch asks for one reference, by its full name, so that a tag never hides a branch and nothing can be read as an
option, and for one commit of it (`--depth=1`). What the mirror has the server leaves out, so that a small change is a
small transfer. Files are written into the attempt's folder straight from the mirror, with an index of their own: there
is no `.git` beside them, and a mirror knows of no tree that a crash could leave in it. docs/adr/0022 says why.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from daemons.runner.adapters import git_process, mirrors
from daemons.runner.adapters.git_process import Git, GitKeys
from daemons.runner.adapters.mirrors import Mirror, MirrorBusy, Mirrors
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.git_hosts import is_known
from daemons.runner.domain.plan import Source
from daemons.runner.domain.submodules import DEEPEST, MOST_SUBMODULES, Wanted, wanted
from daemons.runner.domain.tree import Census, NotAListing, TreeLimits
from daemons.runner.ports import Checkout, LogSink
from protocol.errors import JobReason
from protocol.names import is_git_host

logger = logging.getLogger(__name__)

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT: Final = re.compile(r"[0-9a-f]{7,39}")
_MOST_KNOWN_HOSTS_BYTES: Final = 4 * 1024 * 1024
_MOST_MODULES_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class GitPolicy:
    """What may be fetched: from which hosts (`host` or `host:port`; none listed: those with a known key), for how many
    seconds, and how large. Mirrors hold at most `mirror_bytes`; 0 keeps none."""

    hosts: tuple[str, ...] = ()
    seconds: float = 600.0
    limits: TreeLimits = field(default_factory=lambda: TreeLimits(2 * 1024**3, 200_000))
    mirror_bytes: int = 10 * 1024**3
    #: How long a job waits for the mirror while another job of the same repository has it, before it does without.
    patience_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one repository's commit belongs: `path` below the attempt's tree, empty for the job's own repository."""

    folder: Path
    path: str
    number: int

    @property
    def tree(self) -> Path:
        return self.folder / "source" / self.path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def index(self) -> Path:
        return self.folder / f"index-{self.number}"

    @property
    def mirror(self) -> Path:
        return self.folder / f"mirror-{self.number}.git"

    def make(self) -> None:
        """Make the folders; that of a submodule was made, empty, with the tree that it belongs to. Raises OSError for
        one that is reached through a link, which no git ever makes."""
        self.mirror.mkdir()
        if not self.path:
            self.home.mkdir()
            self.tree.mkdir()
        elif self.tree.resolve() != self.folder.resolve() / "source" / self.path or any(self.tree.iterdir()):
            raise NotADirectoryError(f"the folder of the submodule {self.path[:200]!r} is not an empty one")

    def clear(self) -> None:
        """Forget what a broken mirror wrote."""
        self.index.unlink(missing_ok=True)
        self.index.with_name(f"{self.index.name}.lock").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was checked out, and what it wants beside it."""

    commit: str
    census: Census
    wanted: tuple[Wanted, ...]


class _BrokenMirror(Exception):
    """Git failed, perhaps because of what is in the mirror."""


class GitRepository:
    """Checks out sources, any number at a time."""

    def __init__(
        self, keys: GitKeys, mirror_folder: Path, policy: GitPolicy, *, path: str = "/usr/local/bin:/usr/bin:/bin"
    ) -> None:
        self._keys = keys
        self._mirrors = Mirrors(mirror_folder, policy.mirror_bytes)
        self._policy = policy
        self._path = path

    async def checkout(self, source: Source, folder: Path, log: LogSink) -> Checkout:
        """Put the tree into `folder/source`. Raises WorkFailed."""
        await self._admit(source)
        try:
            async with asyncio.timeout(self._policy.seconds):
                found = await self._whole(source, folder, log)
        except TimeoutError:
            raise WorkFailed(
                JobReason.CLONE_FAILED, f"{source.url} could not be fetched within {self._policy.seconds:g} s"
            ) from None
        except OSError as error:
            raise WorkFailed(JobReason.CLONE_FAILED, f"git could not be run on this runner: {error}") from error
        await self._mirrors.tidy()
        return found

    async def _admit(self, source: Source, field: str = "repoSshUrl") -> None:
        """Refuse a host that nobody listed, before anything is started."""
        if self._policy.hosts:
            known, where = is_git_host(source.url, self._policy.hosts), "RUNNER_GIT_HOSTS"
        else:
            text = await self._known_hosts()
            known, where = is_known(source.host, source.port, text), "the known-hosts file (GIT_KNOWN_HOSTS_PATH)"
        if not known:
            raise WorkFailed(
                JobReason.INVALID_PAYLOAD,
                f"{field}: {source.host}:{source.port} is not a git host of this platform: {where} of the runner "
                "does not have it; nothing was fetched",
                advice="Deploy from the platform's git host, or have an operator add that host.",
            )

    async def _known_hosts(self) -> str:
        try:
            return await asyncio.to_thread(_text, self._keys.known_hosts)
        except OSError as error:
            raise WorkFailed(
                JobReason.CLONE_FAILED,
                f"the known-hosts file of this runner cannot be read: {error.strerror or error}",
                advice="Have an operator put the git host's key there (GIT_KNOWN_HOSTS_PATH), then deploy again.",
            ) from error

    async def _whole(self, source: Source, folder: Path, log: LogSink) -> Checkout:
        """The commit and, where they are wanted, its submodules; the limits hold for all of them together."""
        first = await self._one(source, _Place(folder, "", 0), self._policy.limits, log)
        left = self._policy.limits.less(first.census.bytes, first.census.files)
        waiting = [(1, each) for each in first.wanted]
        count = 0
        while waiting:
            depth, each = waiting[0]
            if count + len(waiting) > MOST_SUBMODULES or depth > DEEPEST:
                raise WorkFailed(
                    JobReason.CLONE_FAILED,
                    f"gitSubmodules: the commit wants more than {MOST_SUBMODULES} submodules, or nests them deeper "
                    f"than {DEEPEST} levels",
                )
            del waiting[0]
            count += 1
            await self._admit(each.source, "gitSubmodules")
            await log.write(f"submodule {each.path} from {each.source.url}\n")
            one = await self._one(each.source, _Place(folder, each.path, count), left, log)
            left = left.less(one.census.bytes, one.census.files)
            waiting += [(depth + 1, replace(more, path=f"{each.path}/{more.path}")) for more in one.wanted]
        return Checkout(first.commit, self._policy.limits.most_bytes - left.most_bytes)

    async def _one(self, source: Source, place: "_Place", limits: TreeLimits, log: LogSink) -> "_Found":
        await asyncio.to_thread(place.make)
        keep = self._policy.mirror_bytes > 0
        while True:
            async with self._mirror(source, place, keep=keep) as mirror:
                git = await self._git(mirror, source, place, log)
                try:
                    return await self._take(git, source, limits, fresh=mirror.fresh)
                except _BrokenMirror as error:
                    if mirror.fresh:
                        raise WorkFailed(JobReason.CLONE_FAILED, str(error)) from None
                    logger.warning("a git mirror is broken; it is made anew", extra={"error": str(error)})
                    await log.write("the kept copy of the repository was not usable and is fetched anew\n")
                    keep = await mirrors.forget(mirror)
                    await asyncio.to_thread(place.clear)

    @asynccontextmanager
    async def _mirror(self, source: Source, place: "_Place", *, keep: bool) -> AsyncIterator[Mirror]:
        """The kept one, or where none is kept or to be had one of the attempt's own."""
        own = Mirror(place.mirror, None, fresh=True)
        if not keep:
            yield own
            return
        async with AsyncExitStack() as stack:
            try:
                held = self._mirrors.held(source.url, self._policy.patience_seconds)
                mirror = await stack.enter_async_context(held)
            except (MirrorBusy, OSError) as error:
                logger.warning("a job does without a git mirror", extra={"error": str(error)})
                mirror = own
            yield mirror

    async def _git(self, mirror: Mirror, source: Source, place: "_Place", log: LogSink) -> Git:
        key = await asyncio.to_thread(self._keys.key_for, source)
        environment = git_process.environment(key, self._keys.known_hosts, place.home, place.index, self._path)
        return Git(mirror.path, place.tree, environment, mirror.lock, log)

    async def _take(self, git: Git, source: Source, limits: TreeLimits, *, fresh: bool) -> "_Found":
        if fresh:
            _require("init", *await git.call("init", "--quiet", "--bare", "--template="))
        commit = await self._fetch(git, source)
        census = Census(limits)
        try:
            code = await git.entries(census.add, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
        except NotAListing as error:
            raise _BrokenMirror(str(error)) from None
        if code != 0:
            raise _BrokenMirror(f"git cannot list the files of {commit}")
        _require("read-tree", *await git.write(commit))
        return _Found(commit, census, await _wanted(git, source, commit, census))

    async def _fetch(self, git: Git, source: Source) -> str:
        most = self._policy.limits.most_bytes
        for ref in source.full_refs():
            kept = f"refs/kept/{hashlib.sha256(ref.encode()).hexdigest()[:32]}"
            options = ("--progress", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
            code, output = await git.call(
                "fetch", *options, "--force", "--", source.url, f"{ref}:{kept}", most_bytes=most
            )
            if code == 0:
                return await _commit_of(git, kept, source)
            if not git_process.has_no_such_ref(output):
                await self._judge_size(git)
                text = f"{source.url} could not be fetched: {git_process.why(output)}"
                if git_process.may_be_the_mirror(output):
                    raise _BrokenMirror(text)
                raise WorkFailed(JobReason.CLONE_FAILED, text, exit_code=code)
        short = " (a commit is given by all of its 40 digits)" if _SHORT_COMMIT.fullmatch(source.ref) else ""
        raise WorkFailed(
            JobReason.CLONE_FAILED,
            f"gitRef: {source.url} has no branch, tag or commit {source.ref}{short}",
            advice="Push that branch, tag or commit, or deploy another reference.",
        )

    async def _judge_size(self, git: Git) -> None:
        """Of a file that got as large as it may, git says only that it is not valid."""
        most = self._policy.limits.most_bytes
        if await asyncio.to_thread(mirrors.largest_pack, git.repository) >= most:
            raise WorkFailed(
                JobReason.CLONE_FAILED,
                f"the repository is larger than {most // 1024**2} MiB even without its history, which is the most that "
                "is fetched (RUNNER_GIT_MOST_MB)",
                advice="Remove what does not belong into the repository (build output, data, archives), commit, "
                "deploy again.",
            )


async def _commit_of(git: Git, ref: str, source: Source) -> str:
    code, said = await git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if code != 0 or not _COMMIT.fullmatch(said):
        raise _BrokenMirror(f"gitRef: {source.ref} of {source.url} names no commit")
    return said


async def _wanted(git: Git, source: Source, commit: str, census: Census) -> tuple[Wanted, ...]:
    if not census.submodules:
        return ()
    if not source.submodules:
        await git.log.write(f"{len(census.submodules)} submodules stay empty (gitSubmodules fetches them)\n")
        return ()
    listing = bytearray()

    def take(piece: bytes) -> None:
        listing.extend(piece)
        if len(listing) > _MOST_MODULES_BYTES:
            raise WorkFailed(JobReason.CLONE_FAILED, "gitSubmodules: the .gitmodules of the commit is too long")

    # Of a blob git would follow `include.path` to any file of this machine.
    await git.output(take, "config", "--no-includes", "--blob", f"{commit}:.gitmodules", "--list", "-z")
    return wanted(source, census.submodules, bytes(listing))


def _require(command: str, code: int, output: str) -> None:
    if code == 0:
        return
    text = f"git {command} failed: {git_process.why(output)}"
    if git_process.may_be_the_mirror(output):
        raise _BrokenMirror(text)
    raise WorkFailed(JobReason.CLONE_FAILED, text, exit_code=code)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_KNOWN_HOSTS_BYTES).decode("utf-8", "replace")
