"""`funai jobs|nodes|placements|runners`: what the console shows, once, for people or as JSON."""

import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, Final

import orjson
import typer
from rich.cells import cell_len, set_cell_size

from console.cli.outcome import run
from console.live.cells import Column, Row
from console.live.model import Link, LinkState, Live, World
from console.live.reduce import load
from console.live.table import Table
from console.live.views.jobs import JOBS
from console.live.views.nodes import NODES
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec
from protocol.client.deploy import AdminClient
from protocol.events import Snapshot
from protocol.jobs import JobStatus, JobView

app = typer.Typer(rich_markup_mode=None)
_GAP: Final = "  "
_PAGE: Final = 200


class Output(StrEnum):
    """How a listing is written."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=5000, help="At most so many rows.")]


@app.command()
def jobs(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 50,
    everything: Annotated[bool, typer.Option("--all", help="As many as there are, whatever --limit says.")] = False,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    app_id: Annotated[str, typer.Option("--app", metavar="APP", help="Only jobs of this app.")] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="Only jobs of this user.")] = "",
) -> None:
    """List jobs, newest first."""

    async def work(client: AdminClient) -> None:
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
        as_text = _json if output is Output.JSON else _table
        sys.stdout.write(as_text(JOBS, snapshot, len(found)) + "\n")
        sys.stdout.flush()

    run(work, "jobs cannot be listed")


@app.command()
def nodes(output: OutputOption = Output.TABLE, limit: LimitOption = 1000) -> None:
    """List runtime nodes with their free disk and what speaks against them."""
    _list(NODES, output, limit)


@app.command()
def placements(output: OutputOption = Output.TABLE, limit: LimitOption = 1000) -> None:
    """List which node each app lives on."""
    _list(PLACEMENTS, output, limit)


@app.command()
def runners(output: OutputOption = Output.TABLE, limit: LimitOption = 1000) -> None:
    """List runners and the jobs they hold."""
    _list(RUNNERS, output, limit)


def table(columns: Sequence[Column], shown: Sequence[Row], width: int | None) -> str:
    """The rows as aligned text with a header; the flexible column is cut to `width` cells, or never when None."""
    lines = [
        tuple(column.title.strip() for column in columns),
        *(tuple(cell.text for cell in row.cells) for row in shown),
    ]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    if width is not None:
        taken = sum(size for size, column in zip(widths, columns, strict=True) if not column.flex)
        room = max(20, width - taken - len(_GAP) * (len(columns) - 1))
        widths = [min(size, room) if column.flex else size for size, column in zip(widths, columns, strict=True)]
    return "\n".join(_line(line, columns, widths) for line in lines)


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        cut = text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
        blanks = " " * (width - cell_len(cut))
        parts.append(blanks + cut if column.right else cut + blanks)
    return _GAP.join(parts).rstrip()


def _list(view: ViewSpec[Any], output: Output, limit: int) -> None:
    async def work(client: AdminClient) -> None:
        snapshot = await client.snapshot()
        text = _json(view, snapshot, limit) if output is Output.JSON else _table(view, snapshot, limit)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    run(work, f"{view.name} cannot be listed")


def _filled(view: ViewSpec[Any], snapshot: Snapshot) -> Table[Any]:
    """The view's table of one snapshot, in its first order."""
    table = Table(view)
    table.follow(World({"": Live(load(snapshot, 0), Link(LinkState.LIVE, 0))}), 0)
    return table


def _table(view: ViewSpec[Any], snapshot: Snapshot, limit: int) -> str:
    filled = _filled(view, snapshot)
    shown = [filled.row(row) for row in range(min(limit, len(filled)))]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return table(tuple(field.column for field in view.fields), shown, width)


def _json(view: ViewSpec[Any], snapshot: Snapshot, limit: int) -> str:
    filled = _filled(view, snapshot)
    values = (filled.value(key) for key in islice(filled.shown(), limit))
    found = [value.to_data() for value in values if value is not None]
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()
