"""Git for users of workspaces: always in their containers, a change of one app's repository at a time."""

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from daemons.kit.clock import Clock
from daemons.workspace.domain import git as words
from daemons.workspace.domain import git_programs as programs
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.git import Commit, Standing
from daemons.workspace.ports import Use
from daemons.workspace.ports.git import TooSlow
from daemons.workspace.services.git_work import GitFailed, Reach, Work, checked
from daemons.workspace.services.workspaces import Workspaces
from protocol.workspace_git import Confirm, GitResult

logger = logging.getLogger(__name__)

_MOST_NPMRC: Final = 20
_NPMRC_BYTES: Final = 64 * 1024
_MOST_TOLD: Final = 200
_MOST_IGNORED: Final = 5000
_NO_REPOSITORY: Final = "the app has no repository here yet: POST ensure makes one"
_DETACHED: Final = "no branch is checked out; check one out in a terminal (git switch main)"
_SETTLE_FIRST: Final = (
    "a merge waits: settle its conflicts (GET conflicts, POST resolve), or abort it (POST merge/abort)"
)
_COMMIT_FIRST: Final = "there are changes that are not committed: commit them first (POST commit-push)"
_APART: Final = "the workspace and the git server both have commits that the other has not: POST pull merges them"
#: Of a folder without a repository.
_NOWHERE: Final = Standing()
_KEPT: Final = "the commit stays in the workspace; {hint}"


class GitBusy(Exception):
    """Another change of the same repository goes on."""


class NoRepository(Exception):
    """The app has no repository in the workspace."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a change went, and how the working copy stands afterwards."""

    result: GitResult
    message: str = ""
    standing: Standing = _NOWHERE
    target: str | None = None
    safety: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """How a working copy stands (None: there is none), and where its `origin` is."""

    standing: Standing | None
    remote_url: str | None = None


class Git:
    """The operations. Each raises as `Workspaces.ensure`; NoGit, TooSlow, KeysUnavailable, and changes GitBusy."""

    def __init__(self, workspaces: Workspaces, reach: Reach, clock: Clock, npm_registry: str = "") -> None:
        self._workspaces = workspaces
        self._reach = reach
        self._clock = clock
        self._registry = npm_registry
        self._busy: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def working(self, user_id: str, app_id: str, epoch: int | None) -> AsyncIterator[Work]:
        """An operation that changes nothing."""
        async with self._workspaces.awake(user_id, epoch):
            self._workspaces.touch(user_id, Use.GIT)
            yield Work(self._reach, user_id, app_id)

    @asynccontextmanager
    async def changing(self, user_id: str, app_id: str, epoch: int | None) -> AsyncIterator[Work]:
        """An operation that does, alone in its repository."""
        with self.alone(user_id, app_id):
            async with self.working(user_id, app_id, epoch) as work:
                yield work

    @contextmanager
    def alone(self, user_id: str, app_id: str) -> Iterator[None]:
        """Nothing else changes the app's repository while this is held. Raises GitBusy."""
        key = (user_id, app_id)
        if key in self._busy:
            raise GitBusy("another git operation of this app goes on; try again when it has ended")
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    async def status(self, user_id: str, app_id: str, epoch: int | None = None) -> Status:
        """Also raises GitFailed."""
        async with self.working(user_id, app_id, epoch) as work:
            standing = await work.standing()
            if standing is None:
                return Status(None)
            url = await work.git("config", "--get", "remote.origin.url")
            return Status(standing, words.one_line(url.line) if url.good else None)

    async def log(
        self, user_id: str, app_id: str, limit: int, epoch: int | None = None
    ) -> tuple[tuple[Commit, ...], Standing | None]:
        """The newest commits. Also raises GitFailed."""
        async with self.working(user_id, app_id, epoch) as work:
            standing = await work.standing()
            if standing is None or standing.commit is None:
                return (), standing
            how = (
                "--no-show-signature",
                "--no-color",
                "--no-decorate",
                "--no-patch",
                "--format=%H%x00%an%x00%aI%x00%s",
            )
            found = await work.must("log", "-z", f"--max-count={limit}", *how, standing.commit, "--")
            return words.commits(found.output)[:limit], standing

    async def ensure(self, user_id: str, app_id: str, confirm: Confirm | None, epoch: int | None = None) -> Report:
        """The app has its repository, as new as can be without a merge."""
        async with self.changing(user_id, app_id, epoch) as work:
            place = (await work.script(programs.PLACE, work.folder)).line
            if place == "repository":
                return await self._reported(work, self._follow(work, merge=False))
            if place == "plain" and confirm is None:
                message = (
                    "there are files but no repository: confirm=adopt keeps them over what the repository has, "
                    "confirm=replace puts them aside"
                )
                return Report(GitResult.NEED_CONFIRM, message)
            return await self._reported(work, self._clone(work, confirm if place == "plain" else None))

    async def pull(self, user_id: str, app_id: str, epoch: int | None = None) -> Report:
        """What the git server has is merged into the workspace."""
        async with self.changing(user_id, app_id, epoch) as work:
            return await self._reported(work, self._follow(work, merge=True))

    async def commit_push(self, user_id: str, app_id: str, message: str | None, epoch: int | None = None) -> Report:
        """Everything that changed is committed and on the git server, or the commit waits in the workspace."""
        async with self.changing(user_id, app_id, epoch) as work:
            return await self._reported(work, self._commit_push(work, message))

    async def reset(self, user_id: str, app_id: str, sha: str, *, force: bool, epoch: int | None = None) -> Report:
        """Branch, files and git server are as they were at the commit; what they were before has a name."""
        async with self.changing(user_id, app_id, epoch) as work:
            return replace(await self._reported(work, self._reset(work, sha, force=force)), target=sha)

    async def _reported(self, work: Work, change: Awaitable[Report]) -> Report:
        """What went wrong is a result as well; how the working copy stands then is told in any case."""
        try:
            report = await change
        except (GitFailed, TooSlow) as error:
            report = Report(GitResult.FAILED, str(error))
        try:
            return replace(report, standing=await work.standing() or _NOWHERE)
        except (GitFailed, TooSlow):
            return report

    async def _clone(self, work: Work, confirm: Confirm | None) -> Report:
        draft = f"{WORKDIR}/run/clone-{secrets.token_hex(8)}"
        own = (
            "-c",
            f"user.name={programs.NAME}",
            "-c",
            f"user.email={programs.EMAIL}",
            "-c",
            "init.defaultBranch=main",
        )
        checkout = ("--no-checkout",) if confirm is Confirm.ADOPT else ()
        aside = f"{work.folder}.replaced-{self._now()}"
        try:
            checked(await work.remote("clone", "--quiet", *own, *checkout, "--", work.url, draft, beside=True))
            if confirm is Confirm.ADOPT:
                checked(await work.script(programs.ADOPT, draft, work.folder))
            elif confirm is Confirm.REPLACE:
                checked(await work.script(programs.REPLACE, draft, work.folder, aside))
            else:
                checked(await work.script(programs.SETTLE, draft, work.folder))
        except (GitFailed, TooSlow):
            await work.discard(draft)
            raise
        if confirm is Confirm.REPLACE:
            return Report(GitResult.CLONED, f"the files that were there are in {aside}")
        standing = await work.standing()
        if confirm is Confirm.ADOPT and standing is not None and standing.dirty:
            return Report(GitResult.NEED_COMMIT, "the files that were there differ from the repository's: commit them")
        return Report(GitResult.CLONED)

    async def _follow(self, work: Work, *, merge: bool) -> Report:
        standing = await work.standing() or _NOWHERE
        branch = await self._branch(work, standing)
        if isinstance(branch, Report):
            return branch
        if standing.dirty:
            return Report(GitResult.NEED_COMMIT, _COMMIT_FIRST)
        await work.fetch()
        theirs = await work.commit_of(f"refs/remotes/origin/{branch}")
        if theirs is None:
            return Report(GitResult.ALREADY_UP_TO_DATE, f"the git server has no branch {branch} yet")
        if theirs == standing.commit:
            return Report(GitResult.ALREADY_UP_TO_DATE)
        if standing.commit is not None and await work.contains(standing.commit, theirs):
            return Report(GitResult.ALREADY_UP_TO_DATE, "commits of the workspace are not pushed yet: POST commit-push")
        if standing.commit is None or await work.contains(theirs, standing.commit):
            await work.must("merge", "--quiet", "--no-stat", "--ff-only", theirs)
            return Report(GitResult.PULLED)
        if not merge:
            return Report(GitResult.FAILED, _APART)
        return await self._merge(work, theirs)

    async def _branch(self, work: Work, standing: Standing) -> str | Report:
        """The branch to push or pull, or why nothing can be as the working copy stands."""
        if standing == _NOWHERE:
            return Report(GitResult.FAILED, _NO_REPOSITORY)
        if standing.conflicted:
            return Report(GitResult.CONFLICT, _SETTLE_FIRST, conflicts=await conflicted(work))
        return standing.branch or Report(GitResult.FAILED, _DETACHED)

    async def _merge(self, work: Work, theirs: str) -> Report:
        message = "Merge what the git server has into the workspace"
        how = ("--quiet", "--no-stat", "--no-gpg-sign", "--no-ff", "-m", message)
        merged = await work.git("merge", *how, theirs)
        if merged.good:
            return Report(GitResult.PULLED, "both histories were merged; POST commit-push pushes that")
        files = await conflicted(work)
        if not files:
            raise GitFailed(merged.problem)
        return Report(GitResult.CONFLICT, _SETTLE_FIRST, conflicts=files)

    async def _commit_push(self, work: Work, message: str | None) -> Report:
        standing = await work.standing() or _NOWHERE
        branch = await self._branch(work, standing)
        if isinstance(branch, Report):
            return branch
        checked(await work.script(programs.IGNORE, work.folder, given=words.GITIGNORE.encode()))
        await work.must("add", "--all")
        held_back = await self._hold_back(work)
        changed = (await work.git("diff", "--cached", "--quiet", "--no-ext-diff")).status == 1
        if changed or await work.commit_of("MERGE_HEAD"):
            text = words.commit_message(message, work.user_id, work.app_id)
            await work.must("commit", "--quiet", "--no-gpg-sign", "--file=-", given=text.encode())
        head = await work.commit_of("HEAD")
        known = await work.commit_of(f"refs/remotes/origin/{branch}")
        if head is None or (known is not None and (head == known or await work.contains(known, head))):
            return Report(GitResult.NO_CHANGES, held_back)
        report = await self._push(work, head, branch)
        return replace(report, message="; ".join(filter(None, (report.message, held_back))))

    async def _push(self, work: Work, head: str, branch: str, *lease: str) -> Report:
        """Never by force, unless a lease says over what."""
        try:
            pushed = await work.remote("push", "--quiet", *lease, "--", work.url, f"{head}:refs/heads/{branch}")
        except TooSlow as error:
            return Report(GitResult.PUSH_FAILED, _KEPT.format(hint=str(error)))
        if not pushed.good:
            behind = "fetch first" in pushed.problem or "non-fast-forward" in pushed.problem
            hint = "POST pull merges what the git server has, then push again" if behind else "push again later"
            return Report(GitResult.PUSH_FAILED, f"{_KEPT.format(hint=hint)}\n{pushed.problem}")
        await work.git("update-ref", f"refs/remotes/origin/{branch}", head)
        return Report(GitResult.SUCCESS)

    async def _hold_back(self, work: Work) -> str:
        """No .npmrc leaves the workspace that would break builds elsewhere, or tell a password."""
        changed = ("diff", "--cached", "--no-ext-diff", "--name-only", "--diff-filter=ACMR", "--no-renames", "-z", "--")
        staged = await work.matching(*changed, ":(top,glob)**/.npmrc")
        told = []
        for path in words.paths(staged.output, _MOST_NPMRC):
            found = await work.git("cat-file", "blob", f":{path}", most=_NPMRC_BYTES)
            problem = words.npmrc_problem(found.output.decode("utf-8", "replace"), self._registry)
            if problem:
                await work.must("reset", "--quiet", "--", path)
                if not (await work.git("ls-files", "--error-unmatch", "--", path)).good:
                    # Else it would count as a change for ever, and every pull be refused.
                    checked(await work.script(programs.EXCLUDE, work.folder, given=words.ignored_line(path).encode()))
                told.append(f"{words.one_line(path)} stays in the workspace: it {problem}")
        return "; ".join(told)

    async def _reset(self, work: Work, sha: str, *, force: bool) -> Report:
        standing = await work.standing() or _NOWHERE
        if standing.dirty and not force:
            return Report(GitResult.NEED_COMMIT, f"{_COMMIT_FIRST}, or reset with force=true")
        # With force, a merge that waits is given up as well.
        branch = await self._branch(work, replace(standing, conflicted=False))
        if isinstance(branch, Report):
            return branch
        await work.fetch()
        target = await work.commit_of(sha)
        if target is None:
            return Report(GitResult.FAILED, "the repository has no such commit")
        safety, tracked = f"refs/funai/before-reset/{self._now()}", f"refs/remotes/origin/{branch}"
        checked(await work.script(programs.KEEP, work.folder, safety))
        kept, theirs = [safety], await work.commit_of(tracked)
        if theirs is not None:
            await work.must("update-ref", f"{safety}-remote", theirs)
            kept.append(f"{safety}-remote")
        ignored = await self._others(work, "--ignored")
        # First, while the .gitignore of before still says what is nobody's to take away.
        await work.must("clean", "--quiet", "-fd")
        await work.must("reset", "--quiet", "--hard", target)
        await self._still_ignored(work, ignored)
        lease = f"--force-with-lease=refs/heads/{branch}:{theirs or ''}"
        report = await self._push(work, target, branch, lease)
        return replace(report, safety=tuple(kept))

    async def _others(self, work: Work, *which: str) -> set[str]:
        """Paths that no commit has; folders end with a slash."""
        found = await work.must("ls-files", "--others", *which, "--exclude-standard", "--directory", "-z")
        return set(words.paths(found.output, _MOST_IGNORED))

    async def _still_ignored(self, work: Work, before: set[str]) -> None:
        """A .gitignore that a reset took away hid secrets and dependencies, which no commit may have now either."""
        shown = sorted(before & await self._others(work))
        if shown:
            lines = "".join(words.ignored_line(path) for path in shown)
            checked(await work.script(programs.EXCLUDE, work.folder, given=lines.encode()))

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


async def conflicted(work: Work) -> tuple[str, ...]:
    """The files that a merge left to the user."""
    found = await work.must("ls-files", "--unmerged", "-z")
    return tuple(conflict.path for conflict in words.conflicts(found.output, _MOST_TOLD))
