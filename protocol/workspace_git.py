"""Git of an app in its user's workspace: what is asked for, and how it went."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.workspaces import AppRef

#: Full, or abbreviated to at least seven digits.
_COMMIT: Final = r"^[0-9a-f]{7,64}$"
_MOST_TEXT: Final = 2 * 1024 * 1024


def _path(value: str) -> str:
    parts = value.split("/")
    if "\0" in value or not all(parts) or {".", "..", ".git"} & {part.lower() for part in parts}:
        raise ValueError("must be a path within the app, without '.', '..' and '.git'")
    return value


CommitSha = Annotated[str, StringConstraints(pattern=_COMMIT)]


class GitResult(StrEnum):
    """How it went. CONFLICT is ours: a merge waits for the user (`GET conflicts`, `POST resolve`)."""

    CLONED = "CLONED"
    NEED_CONFIRM = "NEED_CONFIRM"
    NEED_COMMIT = "NEED_COMMIT"
    PULLED = "PULLED"
    ALREADY_UP_TO_DATE = "ALREADY_UP_TO_DATE"
    SUCCESS = "SUCCESS"
    NO_CHANGES = "NO_CHANGES"
    PUSH_FAILED = "PUSH_FAILED"
    CONFLICT = "CONFLICT"
    FAILED = "FAILED"


class Confirm(StrEnum):
    """What becomes of files that are there before the repository is: they stay over what it has, or are put aside."""

    ADOPT = "adopt"
    REPLACE = "replace"


class Side(StrEnum):
    """Which content settles a conflict."""

    OURS = "ours"
    THEIRS = "theirs"
    CONTENT = "content"


class EnsureRepository(AppRef):
    """Query of `POST ensure`."""

    confirm: Confirm | None = None


class LogOf(AppRef):
    """Query of `GET log`."""

    limit: Annotated[int, Field(ge=1, le=50)] = 10


class ResetTo(AppRef):
    """Query of `POST reset`. Without `force`, uncommitted changes refuse it."""

    commit_sha: CommitSha
    force: bool = False


class CommitMessage(Wire):
    """Body of `POST commit-push`, which may be left out."""

    message: Annotated[str, StringConstraints(max_length=4000)] | None = None


class ResolveConflict(Wire):
    """Body of `POST resolve`; `content` goes with the side of that name."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_path)]
    use: Side
    content: Annotated[str, StringConstraints(max_length=_MOST_TEXT)] | None = None


class GitStatusView(Wire):
    """How a working copy stands. `remoteUrl` carries no password. `conflicted`: a merge waits for the user."""

    user_id: UserId
    app_id: AppId
    git_repo: bool
    dirty: bool = False
    branch: str | None = None
    commit_short: str | None = None
    remote_url: str | None = None
    conflicted: bool = False
    message: str = ""


class GitReport(Wire):
    """How a change went. `safetyRefs` keep what a reset left behind."""

    user_id: UserId
    app_id: AppId
    result: GitResult
    branch: str | None = None
    commit_short: str | None = None
    target_commit: str | None = None
    safety_refs: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    message: str = ""


class GitCommit(Wire):
    """One commit; `date` is ISO 8601."""

    sha: str
    sha_short: str
    author: str
    date: str
    message: str


class GitLogView(Wire):
    """The newest commits of the branch, the newest first."""

    user_id: UserId
    app_id: AppId
    commits: tuple[GitCommit, ...] = ()
    branch: str | None = None
    message: str = ""


class GitSide(Wire):
    """A file as one side of a merge has it; `present` is false where that side removed it. Content that is no text, or
    too long, is not shown."""

    present: bool
    size: int | None = None
    content: str | None = None


class GitConflict(Wire):
    """A file that both sides changed; `base` is what they began with."""

    path: str
    ours: GitSide
    theirs: GitSide
    base: GitSide


class GitConflictsView(Wire):
    """What is left to be settled. `merging`: a merge is going on; without files left it can be continued."""

    user_id: UserId
    app_id: AppId
    merging: bool
    files: tuple[GitConflict, ...] = ()
    truncated: bool = False
    message: str = ""
