"""`funai deploy|retry|cancel|logs|cordon|uncordon`: what the console does, in one command each."""

import re
import sys
import uuid
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from pydantic import TypeAdapter, ValidationError

from console.cli import names
from console.cli.outcome import FAILED, USAGE, Failure, run
from console.cli.output import Output, OutputOption, answered
from console.live.feed import log_pieces
from console.live.order import InvalidOrder, Wish, order, wish_of
from console.live.plain import PlainText, line
from console.live.views.jobs import short, why
from protocol.client.deploy import AdminClient
from protocol.client.transport import Refused
from protocol.configuration import AppConfig
from protocol.jobs import HIGHEST_PRIORITY, LOWEST_PRIORITY, CreateJob, JobStatus, JobView, OnConflict, RetryJob
from protocol.names import Labels

app = typer.Typer(rich_markup_mode=None)
_JOB_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{3,63}")
_SEARCHED_JOBS: Final = 200
_LABELS: Final = TypeAdapter[tuple[str, ...]](Labels)

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id, or how it begins.", autocompletion=names.jobs)
]
RefOption = Annotated[str, typer.Option("--ref", metavar="REF", help="Branch, tag or commit to build.")]
ImageOption = Annotated[str, typer.Option("--image", metavar="IMAGE", help="Deploy this image without a build.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="JSON: environment, secrets, limits, strategy.", dir_okay=False),
]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Show the log until the job ended.")]
SupersedeOption = Annotated[
    bool, typer.Option("--supersede", help="Replace the app's waiting job; wait behind the running one.")
]
CancelRunningOption = Annotated[
    bool, typer.Option("--cancel-running", help="As --supersede, and cancel the running job unless it is going live.")
]


@app.command()
def deploy(
    app_id: Annotated[str, typer.Argument(metavar="APP", help="The app's id.", autocompletion=names.apps)],
    ref: RefOption = "",
    user: Annotated[str, typer.Option(metavar="ID", help="The app's owner; known after the first job.")] = "",
    repo: Annotated[str, typer.Option(metavar="URL", help="ssh:// URL to build from; known after the first job.")] = "",
    image: ImageOption = "",
    supersede: SupersedeOption = False,
    cancel_running: CancelRunningOption = False,
    priority: Annotated[
        int, typer.Option(min=LOWEST_PRIORITY, max=HIGHEST_PRIORITY, help="A higher one goes first.")
    ] = 0,
    require: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="Only on a runner that offers it; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    follow: FollowOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deploy an app; what is not given is taken from its newest job.

    This is ordered of the control plane, which knows no users: the owner's limit of apps that run does not count here.
    `funai apps deploy` goes the owner's way, and is refused where the owner would be.
    """
    if image and (ref or repo):
        raise typer.BadParameter("--image deploys without a build; leave out --ref and --repo")
    place = {"priority": priority, "requires": _labels(require or [])}
    configured = config_of(config) if config is not None else None

    async def work(client: AdminClient) -> None:
        policy = policy_of(supersede=supersede, cancel_running=cancel_running)
        ordered = await complete(client, Wish(app_id, user, ref, repo, image), configured)
        await started(client, await submit(client, ordered.model_copy(update=place), policy), output, follow=follow)

    run(work, f"app {app_id} was not deployed")


@app.command()
def retry(
    job: JobArgument,
    supersede: SupersedeOption = False,
    cancel_running: CancelRunningOption = False,
    follow: FollowOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Order again what a job that failed or was cancelled was to deploy."""

    async def work(client: AdminClient) -> None:
        policy = policy_of(supersede=supersede, cancel_running=cancel_running)
        ended = await find(client, job)
        made = await client.retry(ended.id, policy, idempotency_key=uuid.uuid4().hex)
        await started(client, made, output, follow=follow)

    run(work, f"job {job} was not retried")


@app.command()
def cancel(job: JobArgument, output: OutputOption = Output.TABLE) -> None:
    """Cancel a job; what runs of its app keeps running."""

    async def work(client: AdminClient) -> None:
        done = await client.cancel((await find(client, job)).id)
        answered(output, done, f"job {done.id} of app {done.app_id} is {done.status.value}")

    run(work, f"job {job} was not cancelled")


@app.command()
def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ended.")] = False,
) -> None:
    """Write a job's log to standard output."""

    async def work(client: AdminClient) -> None:
        await show_log(client, (await find(client, job)).id, follow=follow)

    run(work, f"the log of job {job} cannot be read")


def _labels(given: list[str]) -> tuple[str, ...]:
    try:
        return _LABELS.validate_python(tuple(given))
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"], param_hint="--require") from None


def config_of(path: Path) -> AppConfig:
    """A configuration in a file, because what stands on a command line can be read by everyone on the machine. Raises
    BadParameter."""
    try:
        return AppConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--config") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise typer.BadParameter(f"{where}: {problem['msg']}", param_hint="--config") from None


async def complete(client: AdminClient, wish: Wish, config: AppConfig | None = None) -> CreateJob:
    """The order from the wish and, for what it leaves open, the app's newest job.

    Raises Failure when that is not enough, ClientError when the control plane refuses.
    """
    try:
        newest = await client.of_app(wish.app_id, 1)
        earlier = newest[0].payload if newest else None
        before = wish_of(earlier) if earlier else Wish()
        whole = Wish(
            wish.app_id,
            wish.user_id or before.user_id,
            wish.git_ref or before.git_ref,
            wish.repo or before.repo,
            wish.image or ("" if wish.git_ref or wish.repo else before.image),
        )
        return order(whole, earlier, config)
    except InvalidOrder as problem:
        options = {
            "userId": " (--user)",
            "repoSshUrl": " (--repo, --image)",
            "gitRef": " (--ref)",
            "image": " (--image)",
            "config": " (--config)",
        }
        raise Failure(f"{problem.field}{options.get(problem.field, '')} {problem.message}", USAGE) from None


async def submit(client: AdminClient, ready: CreateJob, policy: RetryJob) -> JobView:
    """Create a job. Raises ClientError when the control plane refuses."""
    conflict = {"on_conflict": policy.on_conflict, "cancel_running": policy.cancel_running}
    return await client.create(ready.model_copy(update=conflict), idempotency_key=uuid.uuid4().hex)


async def find(client: AdminClient, text: str) -> JobView:
    """The job with this id, or the one recent job whose id begins so. Raises Failure, ClientError."""
    if not _JOB_ID.fullmatch(text):
        raise Failure(f"{text!r} is not a job's id; give at least its first four characters", USAGE)
    try:
        return await client.get(text)
    except Refused as refusal:
        if refusal.status != 404:
            raise
    found = [job for job in await client.newest(_SEARCHED_JOBS) if job.id.startswith(text)]
    if not found:
        raise Failure(f"there is no job {text}; see `funai jobs`")
    if len(found) > 1:
        raise Failure(f"{len(found)} jobs begin with {text}; give more of the id", USAGE)
    return found[0]


async def show_log(client: AdminClient, job_id: str, *, follow: bool, to: TextIO | None = None) -> None:
    """Write the log's bytes as they come (to standard output unless told): as they are into a file or pipe, without
    control sequences to a terminal."""
    sink = to or sys.stdout
    plain = PlainText() if sink.isatty() else None
    async for piece in log_pieces(client, job_id, follow=follow):
        if piece.problem:
            sys.stderr.write(f"funai: {piece.problem}; trying again\n")
        _write(sink, plain.feed(piece.data).encode() if plain else piece.data)
    if plain:
        _write(sink, plain.feed(b"", last=True).encode())


def _write(sink: TextIO, data: bytes) -> None:
    if data:
        sink.buffer.write(data)
        sink.buffer.flush()


def policy_of(*, supersede: bool, cancel_running: bool) -> RetryJob:
    """What becomes of the app's active jobs."""
    conflict = OnConflict.SUPERSEDE if supersede or cancel_running else OnConflict.REJECT
    return RetryJob(on_conflict=conflict, cancel_running=cancel_running)


async def started(client: AdminClient, job: JobView, output: Output, *, follow: bool) -> None:
    """Write the id of a job that was made and, if wanted, its log until it ends; for programs the job itself, as it
    ended if that was waited for, and the log to standard error. Raises Failure, ClientError."""
    people = output is Output.TABLE
    if people or not follow:
        answered(output, job, job.id)
    if follow:
        await show_log(client, job.id, follow=True, to=None if people else sys.stderr)
        ended = await client.get(job.id)
        if not people:
            answered(output, ended, ended.id)
        judge(ended)


def judge(job: JobView) -> None:
    """Say how an ended job ended, without what a build may have put into its message. Raises Failure."""
    said = f"job {short(job.id)} {job.status.value}{f': {line(why(job))}' if why(job) else ''}"
    if job.status is not JobStatus.SUCCEEDED:
        raise Failure(said, FAILED)
    sys.stderr.write(f"funai: {said}\n")
