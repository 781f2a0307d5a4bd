"""`funai apps show|delete`: one app with all that is known of it, and its deletion, seen to its end."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered
from console.cli.releases import AppArgument
from console.live.cells import Cell
from console.live.plain import line
from console.live.views.app_panels import (
    deleted_parts,
    deletion_progress,
    host_cell,
    push_cells,
    repository_cell,
)
from console.live.views.apps import AppRow, row, running, state_cell, why
from protocol.api import AppDeletionView
from protocol.app_details import AppDetail
from protocol.apps import AppView
from protocol.client.operator import OperatorClient
from protocol.client.transport import ClientError, Refused, Unreachable

_NAME: Final = "{:<11}"
_LOOK_SECONDS: Final = 1.0
_BUSY: Final = 429

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask: the app is gone for good.")]
UntilGoneOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on until nothing is left of it, and say what is in the way.")
]


def show(app_id: AppArgument, output: OutputOption = Output.TABLE) -> None:
    """Show an app: how it stands, its addresses, hosts and repository, what a push does, how its deletion goes."""

    async def work(client: OperatorClient) -> None:
        detail = await client.api_plane.app_detail(app_id)
        found = row(await _view(client, app_id), detail.app, detail.deletion, app_id)
        answered(output, detail, "\n".join(_facts(detail, found)))

    run(work, f"app {app_id} cannot be shown")


def delete(
    app_id: AppArgument, yes: YesOption = False, follow: UntilGoneOption = False, output: OutputOption = Output.TABLE
) -> None:
    """Delete an app everywhere and for good, as its owner could: files, repository, container, data, releases, images.

    What cannot be reached now is taken away later, without another call; asked again, it is told how far that is.
    """
    if not yes:
        _ask(app_id)

    async def work(client: OperatorClient) -> None:
        done = await client.api_plane.delete_for_owner(app_id)
        if follow:
            done = await _followed(client, done)
        named = f"app {done.app_id} {line(done.app_name)} of user {done.user_id}"
        more = "" if done.complete else f"; funai apps show {done.app_id} says how far that is"
        answered(output, done, f"{named}: {line(done.message)}{more}")

    run(work, f"app {app_id} was not deleted")


def _ask(app_id: str) -> None:
    """Says whose app it is, and what is lost. Raises typer.Exit, Abort."""

    async def look(client: OperatorClient) -> None:
        detail = await client.api_plane.app_detail(app_id)
        if detail.app is None:
            return
        named = f"app {app_id} {line(detail.app.app_name)} of user {detail.user_id}"
        lost = "its files, repository, container, data, releases and images are removed wherever they are"
        typer.confirm(f"Delete {named}? This cannot be undone: {lost}.", abort=True, err=True)

    run(look, f"app {app_id} was not deleted")


async def _view(client: OperatorClient, app_id: str) -> AppView | None:
    """What the control plane knows of it; an app that never ran, or a control plane that is away: nothing."""
    try:
        return await client.app(app_id)
    except ClientError as error:
        if not isinstance(error, Refused) or error.status != 404:
            sys.stderr.write(f"funai: how it runs is not known: {line(str(error))}\n")
        return None


def _facts(detail: AppDetail, found: AppRow) -> Iterator[str]:
    now = datetime.now(UTC)  # noqa: TID251 - ages are for people; no decision is made of them
    for name, text in _of(detail, found, now):
        if text:
            yield f"{_NAME.format(name)}{line(text)}"


def _of(detail: AppDetail, found: AppRow, now: datetime) -> Iterator[tuple[str, str]]:
    yield "app", f"{detail.app_id} {found.app_name or ''} of user {detail.user_id}"
    if detail.deletion is not None:
        yield "deletion", _dotted(deleted_parts(detail.deletion))
        yield "", deletion_progress(detail.deletion, now).text
        return
    where = f"on {found.node_name}" if found.node_name else ""
    release = f"release {running(found)}" if running(found) else ""
    yield "state", " · ".join(filter(None, (state_cell(found).text.partition(" ")[2], where, release)))
    yield "why", why(found)
    app = detail.app
    if app is not None:
        yield "address", " · ".join(filter(None, (app.deploy_url, app.app_slug and f"/{app.app_slug}")))
        for host in detail.domains:
            yield "host", host_cell(host).text
        yield "repository", repository_cell(app).text
    if detail.push_to_deploy is not None:
        yield "pushes", _dotted(push_cells(detail.push_to_deploy, now))


def _dotted(cells: tuple[Cell, ...]) -> str:
    return " · ".join(each.text for each in cells)


async def _followed(client: OperatorClient, deletion: AppDeletionView) -> AppDeletionView:
    """The deletion at its end; each step is told. It goes on also when nobody looks. Raises ClientError."""
    told = ""
    while True:
        left = ", ".join(part.value for part in deletion.left)
        said = f"left: {left}{f' · {line(deletion.problem)}' if deletion.problem else ''}" if left else ""
        if said not in ("", told):
            sys.stderr.write(f"funai: {said}\n")
            told = said
        if deletion.complete:
            return deletion
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            deletion = (await client.api_plane.app_detail(str(deletion.app_id))).deletion or deletion
        except (Unreachable, Refused) as error:
            if isinstance(error, Refused) and error.status < _BUSY:
                raise
            sys.stderr.write(f"funai: {line(str(error))}; it goes on meanwhile, and is looked at again\n")
