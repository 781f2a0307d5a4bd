"""`funai jobs|nodes|placements|runners` and every other view of the console: once, or with --watch as it changes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, Final

import typer

from console.cli import names
from console.cli.outcome import USAGE, Failure, run
from console.cli.output import LimitOption, Output, OutputOption, say, say_csv, say_documents, table, terminal_width
from console.cli.watching import Watch
from console.live.catalog import VIEWS
from console.live.filter import parse
from console.live.library import read_once
from console.live.model import Link, LinkState, Live, Model, World
from console.live.pages import topics_of
from console.live.reduce import load
from console.live.table import Arrangement, Table
from console.live.views.jobs import JOBS
from console.live.views.nodes import NODES
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec
from protocol.client.deploy import AdminClient
from protocol.events import Snapshot
from protocol.jobs import JobStatus, JobView

app = typer.Typer(rich_markup_mode=None)
_PAGE: Final = 200

WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Go on: a table again, or a line for what changed. Ctrl-C ends it.")
]
FilterOption = Annotated[
    str, typer.Option("--filter", "-f", metavar="WORDS", help="As after / in the console: words, column:word, !word.")
]
SortOption = Annotated[
    str, typer.Option(metavar="COLUMN", help="By this column; with a minus before it, from its end.")
]


@app.command()
def jobs(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 50,
    everything: Annotated[bool, typer.Option("--all", help="As many as there are, whatever --limit says.")] = False,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    app_id: Annotated[
        str, typer.Option("--app", metavar="APP", help="Only jobs of this app.", autocompletion=names.apps)
    ] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="Only jobs of this user.")] = "",
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """List jobs, newest first."""

    def wanted(job: JobView) -> bool:
        return status in (None, job.status) and app_id in ("", job.app_id) and user in ("", job.user_id)

    async def work(client: AdminClient) -> None:
        arrangement = arranged(JOBS, words, sort, wanted)
        if watch:
            await Watch(JOBS, arrangement, output, limit).follow(client)
        found, cursor = list[JobView](), None
        while True:
            size = _PAGE if everything else min(_PAGE, limit - len(found))
            page = await client.page(
                cursor=cursor, limit=size, status=status, app_id=app_id or None, user_id=user or None
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None or (len(found) >= limit and not everything):
                break
        now = (await client.health()).timestamp
        snapshot = Snapshot(seq=0, at=now, jobs=tuple(found), nodes=(), runners=(), placements=())
        _write(filled(JOBS, load(snapshot, 0), arrangement), output, len(found))

    run(work, "jobs cannot be listed")


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


def arranged(
    view: ViewSpec[Any], words: str, sort: str, scope: Callable[[Any], bool] | None = None
) -> Arrangement[Any]:
    """How the table is to be sorted and filtered. Raises Failure."""
    order, reverse = (sort.removeprefix("-") or view.order), sort.startswith("-")
    columns = [field.name for field in view.fields]
    if order not in columns:
        raise Failure(f"{view.name} have no column {order!r} to sort by; choose one of {', '.join(columns)}", USAGE)
    wanted = parse(words, columns)
    if wanted.problem:
        raise Failure(f"--filter: {wanted.problem}", USAGE)
    return Arrangement(order, reverse, wanted, scope)


def filled(view: ViewSpec[Any], model: Model, arrangement: Arrangement[Any]) -> Table[Any]:
    """The view's table of one model."""
    filled = Table(view)
    filled.follow(World({"": Live(model, Link(LinkState.LIVE, 0))}), 0)
    filled.arrange(arrangement)
    return filled


async def seen(client: AdminClient, view: ViewSpec[Any], most: int) -> Model:
    """A snapshot with what the view needs beside it, as far back as `most` objects. Raises ClientError."""
    model = load(await client.snapshot(), 0)
    beside = await read_once(client, topics_of(view), most)
    beside.backlog.follow(model.jobs)
    return replace(model, beside=beside)


def _list(view: ViewSpec[Any], output: Output, limit: int, order: tuple[str, str], *, watch: bool) -> None:
    async def work(client: AdminClient) -> None:
        arrangement = arranged(view, *order)
        if watch:
            await Watch(view, arrangement, output, limit).follow(client)
        _write(filled(view, await seen(client, view, limit), arrangement), output, limit)

    run(work, f"{view.name} cannot be listed")


def _write(shown: Table[Any], output: Output, limit: int) -> None:
    keys = list(islice(shown.shown(), limit))
    fields = shown.view.fields
    match output:
        case Output.TABLE:
            rows = [shown.row(row) for row in range(len(keys))]
            say(table(tuple(field.column for field in fields), rows, terminal_width()))
        case Output.CSV:
            say_csv([field.name for field in fields], [plain_cells(shown, key) for key in keys])
        case Output.JSON | Output.NDJSON:
            values = (shown.value(key) for key in keys)
            say_documents(output, [value.to_data() for value in values if value is not None])


def plain_cells(shown: Table[Any], key: str) -> list[str]:
    """The cells of an object in plain words; none when it is gone."""
    value, scene = shown.value(key), shown.scene(key)
    if value is None or scene is None:
        return []
    return [field.text(value, scene) for field in shown.view.fields]
