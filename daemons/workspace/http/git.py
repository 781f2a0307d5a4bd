"""Git of apps: section A.8 of the contract, and what settles conflicts. Nothing changes by GET."""

from typing import Final

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, read, reply
from daemons.kit.openapi import Answers
from daemons.workspace.domain.git import Blob, Conflict
from daemons.workspace.http.callers import named
from daemons.workspace.services.git import Git, Report
from daemons.workspace.services.git_conflicts import Conflicts, Merges, text_of
from protocol.workspace_git import (
    CommitMessage,
    EnsureRepository,
    GitCommit,
    GitConflict,
    GitConflictsView,
    GitLogView,
    GitReport,
    GitSide,
    GitStatusView,
    LogOf,
    ResetTo,
    ResolveConflict,
    Side,
)
from protocol.workspaces import AppRef

PREFIX: Final = "/api/fun-ai/workspace/git"
_SHORT: Final = 7


class GitRoutes:
    """Each names user and app in its query."""

    def __init__(self, git: Git, merges: Merges) -> None:
        self._git = git
        self._merges = merges

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [
            web.get(f"{PREFIX}/status", self.status),
            web.get(f"{PREFIX}/log", self.log),
            web.get(f"{PREFIX}/conflicts", self.conflicts),
            web.post(f"{PREFIX}/ensure", self.ensure),
            web.post(f"{PREFIX}/pull", self.pull),
            web.post(f"{PREFIX}/commit-push", self.commit_push),
            web.post(f"{PREFIX}/reset", self.reset),
            web.post(f"{PREFIX}/resolve", self.resolve),
            web.post(f"{PREFIX}/merge/abort", self.abort),
            web.post(f"{PREFIX}/merge/continue", self.carry_on),
        ]

    @Answers(GitStatusView, refuses=(404, 409, 502, 504))
    async def status(self, request: web.Request) -> web.Response:
        """How the working copy stands."""
        which = named(request, AppRef)
        found = await self._git.status(which.user_id, which.app_id, which.epoch)
        if found.standing is None:
            return reply(GitStatusView(user_id=which.user_id, app_id=which.app_id, git_repo=False))
        return reply(
            GitStatusView(
                user_id=which.user_id,
                app_id=which.app_id,
                git_repo=True,
                dirty=found.standing.dirty,
                branch=found.standing.branch,
                commit_short=found.standing.short,
                remote_url=found.remote_url,
                conflicted=found.standing.conflicted,
            )
        )

    @Answers(GitLogView, refuses=(404, 409, 502, 504))
    async def log(self, request: web.Request) -> web.Response:
        """The newest commits."""
        which = named(request, LogOf)
        commits, standing = await self._git.log(which.user_id, which.app_id, which.limit, which.epoch)
        rows = (
            GitCommit(sha=one.sha, sha_short=one.sha[:_SHORT], author=one.author, date=one.date, message=one.message)
            for one in commits
        )
        return reply(
            GitLogView(
                user_id=which.user_id,
                app_id=which.app_id,
                commits=tuple(rows),
                branch=standing.branch if standing else None,
                message="" if standing else "the app has no repository here yet",
            )
        )

    @Answers(GitConflictsView, refuses=(404, 409, 502, 504))
    async def conflicts(self, request: web.Request) -> web.Response:
        """What a merge left to the user, with both sides."""
        which = named(request, AppRef)
        return reply(_conflicts(which, await self._merges.conflicts(which.user_id, which.app_id, which.epoch)))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def ensure(self, request: web.Request) -> web.Response:
        """The repository is there."""
        which = named(request, EnsureRepository)
        return reply(_view(which, await self._git.ensure(which.user_id, which.app_id, which.confirm, which.epoch)))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def pull(self, request: web.Request) -> web.Response:
        """What the git server has comes in."""
        which = named(request, AppRef)
        return reply(_view(which, await self._git.pull(which.user_id, which.app_id, which.epoch)))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def commit_push(self, request: web.Request) -> web.Response:
        """What changed goes out."""
        which, body = named(request, AppRef), await read(request, CommitMessage)
        return reply(_view(which, await self._git.commit_push(which.user_id, which.app_id, body.message, which.epoch)))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def reset(self, request: web.Request) -> web.Response:
        """Back to a commit."""
        which = named(request, ResetTo)
        report = await self._git.reset(
            which.user_id, which.app_id, which.commit_sha, force=which.force, epoch=which.epoch
        )
        return reply(_view(which, report))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def resolve(self, request: web.Request) -> web.Response:
        """One file of a merge."""
        which, body = named(request, AppRef), await read(request, ResolveConflict)
        if (body.content is None) is (body.use is Side.CONTENT):
            raise InvalidRequest("content: goes with use=content, and only with it", ["content"])
        report = await self._merges.resolve(
            which.user_id, which.app_id, body.path, body.use, body.content or "", which.epoch
        )
        return reply(_view(which, report))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def abort(self, request: web.Request) -> web.Response:
        """The merge is given up."""
        which = named(request, AppRef)
        return reply(_view(which, await self._merges.abort(which.user_id, which.app_id, which.epoch)))

    @Answers(GitReport, refuses=(404, 409, 502, 504))
    async def carry_on(self, request: web.Request) -> web.Response:
        """The merge is finished."""
        which = named(request, AppRef)
        return reply(_view(which, await self._merges.carry_on(which.user_id, which.app_id, which.epoch)))


def _view(which: AppRef, report: Report) -> GitReport:
    return GitReport(
        user_id=which.user_id,
        app_id=which.app_id,
        result=report.result,
        branch=report.standing.branch,
        commit_short=report.standing.short,
        target_commit=report.target,
        safety_refs=report.safety,
        conflicts=report.conflicts,
        message=report.message,
    )


def _conflicts(which: AppRef, found: Conflicts) -> GitConflictsView:
    def one(conflict: Conflict) -> GitConflict:
        sides = (conflict.ours, conflict.theirs, conflict.base)
        ours, theirs, base = (_side(sha, found.blobs.get(sha or "")) for sha in sides)
        return GitConflict(path=conflict.path, ours=ours, theirs=theirs, base=base)

    return GitConflictsView(
        user_id=which.user_id,
        app_id=which.app_id,
        merging=found.merging,
        files=tuple(map(one, found.files)),
        truncated=not found.whole,
    )


def _side(sha: str | None, blob: Blob | None) -> GitSide:
    return GitSide(present=sha is not None, size=blob.size if blob else None, content=text_of(blob))
