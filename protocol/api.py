"""The API entry on the wire: what people send and see, and the access file it writes for the git server."""

import re
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from protocol.base import Wire
from protocol.configuration import GivenConfig
from protocol.names import (
    AppId,
    AppSlug,
    GitRef,
    HttpPath,
    ImageRef,
    ImageTag,
    Port,
    ReleaseNumber,
    RepositoryPath,
    ShortText,
    UserId,
)
from protocol.running import AppLogQuery
from protocol.workspace_runs import RunView

_JOB_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_REPOSITORY: Final = re.compile(r"\*|[a-z0-9][a-z0-9_-]{0,63}/[a-z0-9][a-z0-9._-]{0,99}")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_PUBLIC_KEY: Final = re.compile(r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/]{16,8192}={0,2}")


def _job_id(value: str) -> str:
    if not _JOB_ID.fullmatch(value):
        raise ValueError("must be a job's id: at most 64 letters, digits or '-'")
    return value


def _line(value: str) -> str:
    if not value.isprintable() or value != value.strip() or not value:
        raise ValueError("must be one line of printable characters without spaces at the ends")
    return value


def _repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or ".." in value:
        raise ValueError("must be OWNER/NAME without .git, or * for all")
    return value


def _one_repository(value: str) -> str:
    if _repository(value) == "*":
        raise ValueError("must be one repository")
    return value


def _fingerprint(value: str) -> str:
    if not _FINGERPRINT.fullmatch(value):
        raise ValueError("must be SHA256: and 43 characters of base64")
    return value


def _public_key(value: str) -> str:
    if not _PUBLIC_KEY.fullmatch(value):
        raise ValueError("must be a public key: its type, a space and its base64, on one line")
    return value


#: How many apps a user may have, and how many of them may deploy or run at a time.
MOST_APPS: Final = 20
MOST_LIVE_APPS: Final = 3
JobId = Annotated[str, AfterValidator(_job_id)]
Line = Annotated[str, StringConstraints(max_length=255), AfterValidator(_line)]


class AppState(IntEnum):
    """`appStatus`; UPLOADED is also the state after a stop or a cancelled job."""

    CREATED = 0
    UPLOADED = 1
    DEPLOYING = 2
    READY = 3
    FAILED = 4
    DISABLED = 5


class RepoStatus(StrEnum):
    """`repoStatus`: whether an app's repository is set up. FAILED: the last attempt was in vain, as `repoReason` says,
    and it is tried again without another call."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"


class UserInfo(Wire):
    """`GET /api/fun-ai/user/me`: whose token this is."""

    user_id: int
    user_name: str
    user_type: int = 0


class OfUser(Wire):
    """Query of calls about a user's things; `userId` may be left out, and must be the caller's when it is there."""

    user_id: UserId | None = None


class OfApp(OfUser):
    """Query of calls about one app."""

    app_id: AppId


class OfRelease(OfApp):
    """Query of `POST /api/fun-ai/deploy/app/rollback`; without `release` to the newest that differs from the current
    one."""

    release: ReleaseNumber | None = None


class ReleasesOfApp(OfApp):
    """Query of `GET /api/fun-ai/deploy/app/releases`; `cursor` is the `nextCursor` of the page before."""

    cursor: Annotated[str, StringConstraints(max_length=256)] | None = None


class OutputOfApp(OfApp, AppLogQuery):
    """Query of `GET /api/fun-ai/deploy/app/logs`."""


class OfJob(Wire):
    """Query of calls about one job."""

    job_id: JobId


class OfKey(Wire):
    """Query of calls about one of the caller's SSH keys."""

    key_id: int


class CreateApp(Wire):
    """Body of `POST /api/fun-ai/app/create`; an app without a name is called `Untitled app N`."""

    app_name: Line | None = None
    app_description: Annotated[str, StringConstraints(max_length=255)] | None = None
    app_type: Annotated[str, StringConstraints(max_length=64)] | None = None


class AppInfo(Wire):
    """An app as its owner sees it. `deployAccessUrl` and the older `accessUrl` are set while it is READY. `statusAsOf`
    is set while the control plane cannot be asked: the state is the one that its newest told result left then.
    `stopPending` is true while the app's node has not carried out the last stop yet: until it does the app may answer.
    """

    id: int
    user_id: int
    app_name: str
    app_description: str | None = None
    app_type: str | None = None
    app_status: AppState
    last_deploy_error: str | None = None
    last_job_id: str | None = None
    deploy_url: str | None = None
    deploy_access_url: str | None = None
    access_url: str | None = None
    status_as_of: AwareDatetime | None = None
    stop_pending: bool = False
    repo_ssh_url: str
    repo_status: RepoStatus = RepoStatus.PENDING
    repo_reason: str | None = None
    app_slug: str | None = None
    create_time: AwareDatetime
    update_time: AwareDatetime


class UpdateApp(OfApp):
    """Body of `POST /api/fun-ai/app/update-basic`; what is left out stays as it is. An empty `appSlug` gives up the one
    that the app has."""

    app_name: Line | None = None
    app_description: Annotated[str, StringConstraints(max_length=255)] | None = None
    app_type: Annotated[str, StringConstraints(max_length=64)] | None = None
    app_slug: AppSlug | None = None


class SlugQuestion(OfUser):
    """Query of `GET /api/fun-ai/app/slug/check`; with `appId`, whether that app may have it."""

    app_slug: Annotated[str, StringConstraints(max_length=255)]
    app_id: AppId | None = None


class SlugAnswer(Wire):
    """Whether an app may have the slug, as of now; `reason` is why not: invalid, reserved or taken."""

    app_slug: str
    available: bool
    reason: str | None = None


class OpenedEditor(Wire):
    """Answer of `POST /api/fun-ai/app/open-editor`: the app's folder is there and its owner's container runs; nothing
    of the app was started. `app` is null while nobody knows how its deployments stand, `runStatus` while the node does
    not say how its run goes. `runStatus` has a `previewUrl` only if the run is this app's. `message` says what of this
    is missing, and what to do next."""

    user_id: int
    app_id: str
    app: AppInfo | None = None
    project_dir: str
    has_package_json: bool
    run_status: RunView | None = None
    message: str = ""


class AppPart(StrEnum):
    """What an app has outside the API's own tables."""

    #: The right to push to its repository.
    ACCESS = "access"
    #: Its files, runs, terminals and development data on its owner's workspace node.
    WORKSPACE = "workspace"
    #: Its jobs, container, data, releases and images.
    DEPLOYMENTS = "deployments"
    REPOSITORY = "repository"


class AppDeletionView(Wire):
    """How the deletion of an app goes. The app is gone for its owner at once; what it has elsewhere is `left` until it
    was taken away there, which is tried until it is done. Times are UTC."""

    app_id: int
    user_id: int
    app_name: str
    complete: bool
    left: tuple[AppPart, ...] = ()
    attempts: int = 0
    problem: str | None = None
    asked_at: AwareDatetime
    next_attempt_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    message: str


class AppIds(Wire):
    """`GET /api/fun-ai/internal/apps/ids`: every app there is."""

    app_ids: tuple[int, ...]
    count: int


class StartDeployment(Wire):
    """Body of `POST /api/fun-ai/deploy/job/create`; what is left out gets its documented default."""

    container_port: Port | None = None
    git_ref: GitRef | None = None
    git_submodules: bool | None = None
    base_path: HttpPath | None = None
    health_check_path: HttpPath | None = None
    image_tag: ImageTag | None = None
    dockerfile_path: RepositoryPath | None = None
    build_context: RepositoryPath | None = None
    image: ImageRef | None = None
    config: GivenConfig | None = None


class StoppedDeployment(Wire):
    """Answer of `POST /api/fun-ai/deploy/app/stop`. While `pending` is true, and `status` STOPPING, the app's node has
    not done it yet, as `message` says: it is asked again until it has, without another call."""

    user_id: int
    app_id: str
    status: str = "STOPPED"
    pending: bool = False
    message: str | None = None


class AddGitKey(Wire):
    """Body of `POST /api/fun-ai/git/keys`: one line as `ssh-keygen` writes it to a `.pub` file."""

    title: Line
    public_key: Annotated[str, StringConstraints(min_length=1, max_length=16_384)]


class GitKeyInfo(Wire):
    """One of the caller's SSH keys."""

    id: int
    title: str
    fingerprint: str
    public_key: str
    create_time: AwareDatetime


class GitAccess(StrEnum):
    """What a key may do; write includes read."""

    READ = "read"
    WRITE = "write"


class GitGrant(Wire):
    """One right of a key: `owner/name`, or `*` for every repository."""

    repository: Annotated[str, AfterValidator(_repository)]
    access: GitAccess


class GitKey(Wire):
    """One key that may enter: `principal` is `user:{userId}` or the name of a bot."""

    principal: ShortText
    fingerprint: Annotated[str, AfterValidator(_fingerprint)]
    public_key: Annotated[str, AfterValidator(_public_key)]
    grants: tuple[GitGrant, ...]


class GitLoan(GitKey):
    """A key that may enter until a moment (milliseconds since 1970): one file in the folder of loans, written by the
    daemon that lends it and gone when it takes it back."""

    expires_at_ms: int


def loan_file(fingerprint: str) -> str:
    """The name of the file of a key that is lent, whatever characters its fingerprint has."""
    return f"{sha256(fingerprint.encode()).hexdigest()}.json"


class GitTemplate(Wire):
    """A file that a new repository begins with."""

    path: RepositoryPath
    content: Annotated[str, StringConstraints(max_length=65_536)]


class GitCreation(Wire):
    """An order to make a repository, unless it is there; while it has no branch, one with these files is made. The git
    server puts `.done` behind the file's name once it is there."""

    repository: Annotated[str, AfterValidator(_one_repository)]
    templates: Annotated[tuple[GitTemplate, ...], Field(max_length=16)] = ()


class GitRemoval(Wire):
    """An order to remove a repository, with all that was ever pushed to it. The git server puts `.done` behind the
    file's name once the repository is gone."""

    repository: Annotated[str, AfterValidator(_one_repository)]


def order_file(repository: str) -> str:
    """The name of the file of an order about a repository, in the folder of orders of its kind."""
    return f"{sha256(repository.encode()).hexdigest()}.json"


class GitAccessFile(Wire):
    """The whole access file. The API replaces it; the git server reads it again when it was replaced."""

    keys: tuple[GitKey, ...]
