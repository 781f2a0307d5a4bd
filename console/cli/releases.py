"""`funai releases|rollback`: what an app ran, and going back to it without a build."""

import sys
import uuid
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from console.cli import names
from console.cli.actions import CancelRunningOption, FollowOption, SupersedeOption, policy_of, started
from console.cli.outcome import Failure, run
from console.cli.output import Output, OutputOption, listed
from console.live.cells import Column, Row, cell
from console.live.plain import line
from console.live.views.jobs import short
from protocol.client.deploy import AdminClient
from protocol.names import AppId
from protocol.releases import ReleasePage, ReleaseView, RollbackApp

app = typer.Typer(rich_markup_mode=None)
_COMMIT_DIGITS: Final = 12
_COLUMNS: Final = (
    Column("", 1),
    Column("NUMBER", 6, right=True),
    Column("CREATED", 16),
    Column("COMMIT", _COMMIT_DIGITS),
    Column("JOB", 8),
    Column("KEPT", 9),
    Column("IMAGE", 40, flex=True),
)


def app_id_of(text: str) -> str:
    """The text, if it can be an app's id. Raises BadParameter."""
    try:
        return TypeAdapter[str](AppId).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(
            f"{text!r} is not an app's id: it must be 1 to 40 lower-case letters, digits or '-'"
        ) from None


AppArgument = Annotated[
    str, typer.Argument(metavar="APP", help="The app's id.", callback=app_id_of, autocompletion=names.apps)
]

ToOption = Annotated[
    int | None, typer.Option("--to", min=1, metavar="NUMBER", help="A release; else the newest that differs.")
]


@app.command()
def releases(
    app_id: AppArgument,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many rows.")] = 20,
) -> None:
    """List what an app ran, newest first; the asterisk marks what runs now."""

    async def work(client: AdminClient) -> None:
        page = await client.releases(app_id, limit=limit)
        listed(output, page.items, _COLUMNS, _row)
        _say_cleanup(page)

    run(work, f"the releases of app {app_id} cannot be listed")


@app.command()
def rollback(
    app_id: AppArgument,
    to: ToOption = None,
    supersede: SupersedeOption = False,
    cancel_running: CancelRunningOption = False,
    follow: FollowOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go back to an earlier release of an app, without a build.

    This is ordered of the control plane, which knows no users: the owner's limit of apps that run does not count here.
    `funai apps rollback` goes the owner's way, and is refused where the owner would be.
    """

    async def work(client: AdminClient) -> None:
        newest = (await client.releases(app_id, limit=1)).items
        if not newest:
            raise Failure(f"app {app_id} has no release; see `funai jobs`")
        policy = policy_of(supersede=supersede, cancel_running=cancel_running)
        order = RollbackApp(
            user_id=newest[0].user_id,
            release=to,
            on_conflict=policy.on_conflict,
            cancel_running=policy.cancel_running,
        )
        job = await client.rollback(app_id, order, idempotency_key=uuid.uuid4().hex)
        sys.stderr.write(f"funai: back to release {job.release}; its image is in the {job.present_in.value}\n")
        await started(client, job, output, follow=follow)

    run(work, f"app {app_id} was not rolled back")


def _row(release: ReleaseView) -> Row:
    kept = "pinned" if release.pinned else ""
    if release.image_removed_at is not None:
        kept = "gone"
    cells = (
        cell("*" if release.current else " "),
        cell(str(release.number)),
        cell(f"{release.created_at:%Y-%m-%d %H:%M}"),
        cell((release.commit or "")[:_COMMIT_DIGITS]),
        cell(short(release.job_id)),
        cell(kept),
        cell(release.image),
    )
    return Row(str(release.number), cells)


def _say_cleanup(page: ReleasePage) -> None:
    if page.cleanup is not None and page.cleanup.last_error:
        sys.stderr.write(f"funai: old images are not removed yet: {line(page.cleanup.last_error)}\n")
