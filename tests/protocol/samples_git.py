"""One full value of every wire model of git in workspaces."""

from protocol import workspace_git as git
from protocol.base import Wire

_SIDE = git.GitSide(present=True, size=5, content="ours\n")

GIT_SAMPLES: tuple[Wire, ...] = (
    git.EnsureRepository(user_id="7", app_id="20001", epoch=3, confirm=git.Confirm.ADOPT),
    git.LogOf(user_id="7", app_id="20001", epoch=3, limit=20),
    git.ResetTo(user_id="7", app_id="20001", epoch=3, commit_sha="0123456789abcdef", force=True),
    git.CommitMessage(message="Add a page"),
    git.ResolveConflict(path="web/page.html", use=git.Side.CONTENT, content="both\n"),
    git.GitStatusView(
        user_id="7",
        app_id="20001",
        git_repo=True,
        dirty=True,
        branch="main",
        commit_short="0123456",
        remote_url="ssh://git@git.example:2222/funai/u7-app20001.git",
        conflicted=True,
        message="a merge waits",
    ),
    git.GitReport(
        user_id="7",
        app_id="20001",
        result=git.GitResult.PUSH_FAILED,
        branch="main",
        commit_short="0123456",
        target_commit="0123456789abcdef",
        safety_refs=("refs/funai/before-reset/1767323045678",),
        conflicts=("web/page.html",),
        message="the commit stays in the workspace",
    ),
    git.GitCommit(
        sha="0123456789abcdef0123456789abcdef01234567",
        sha_short="0123456",
        author="workspace-bot",
        date="2026-01-02T03:04:05+00:00",
        message="Add a page (userId=7, appId=20001)",
    ),
    git.GitLogView(user_id="7", app_id="20001", commits=(), branch="main", message="no commits yet"),
    _SIDE,
    git.GitConflict(path="web/page.html", ours=_SIDE, theirs=git.GitSide(present=False), base=_SIDE),
    git.GitConflictsView(user_id="7", app_id="20001", merging=True, files=(), truncated=True, message="more follow"),
)
