"""`funai nodes|placements|runners` and every other view of the console: once, or with --watch as it changes."""

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from console.cli import names
from console.cli.outcome import run
from console.cli.output import LimitOption, Output, OutputOption
from console.cli.rows import FilterOption, SortOption, WatchOption, arranged, filled, write
from console.cli.rows import watch as watched
from console.live.catalog import VIEWS
from console.live.library import read_once
from console.live.model import Model
from console.live.pages import topics_of
from console.live.reduce import load
from console.live.views.nodes import NODES
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec
from protocol.client.operator import OperatorClient

app = typer.Typer(rich_markup_mode=None)


@app.command()
def nodes(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """List runtime nodes with their free disk and what speaks against them."""
    _list(NODES, output, limit, (words, sort), watch=watch)


@app.command()
def placements(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """List which node each app lives on."""
    _list(PLACEMENTS, output, limit, (words, sort), watch=watch)


@app.command()
def runners(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """List runners and the jobs they hold."""
    _list(RUNNERS, output, limit, (words, sort), watch=watch)


@app.command()
def view(
    name: Annotated[str, typer.Argument(metavar="VIEW", help="Which one.", autocompletion=names.views)],
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """Any view of the console by its name; `funai schema` lists them."""
    _list(named(name), output, limit, (words, sort), watch=watch)


def named(name: str) -> ViewSpec[Any]:
    """The view of that name. Raises BadParameter."""
    for each in VIEWS:
        if each.name == name:
            return each
    raise typer.BadParameter(f"must be one of {', '.join(each.name for each in VIEWS)}", param_hint="VIEW")


async def seen(client: OperatorClient, view: ViewSpec[Any], most: int) -> Model:
    """A snapshot with what the view needs beside it, as far back as `most` objects; what of it can be spared and is not
    to be had is told on standard error. Raises ClientError."""
    model = load(await client.snapshot(), 0)
    beside = await read_once(client, topics_of(view), most)
    for problem in dict.fromkeys(each.problem for each in beside.fetched.values() if each.problem):
        sys.stderr.write(f"funai: {problem}\n")
    beside.backlog.follow(model.jobs)
    return replace(model, beside=beside)


def _list(view: ViewSpec[Any], output: Output, limit: int, order: tuple[str, str], *, watch: bool) -> None:
    async def work(client: OperatorClient) -> None:
        arrangement = arranged(view, *order)
        if watch:
            await watched(client, view, arrangement, output, limit)
        write(filled(view, await seen(client, view, limit), arrangement), output, limit)

    run(work, f"{view.name} cannot be listed")
