"""`funai strays`: containers on nodes that nobody answers for."""

import shutil
import sys
from typing import Annotated, Final

import orjson
import typer

from console.cli.listing import Output, OutputOption, table
from console.cli.outcome import run
from console.live.cells import Column, Row, cell
from console.live.plain import line
from protocol.client.deploy import AdminClient
from protocol.inventory import StrayContainer, StrayReport

app = typer.Typer(rich_markup_mode=None)
_COLUMNS: Final = (
    Column("NODE", 16),
    Column("CONTAINER", 20),
    Column("APP", 14),
    Column("USER", 6),
    Column("STATE", 7),
    Column("WHY", 0, flex=True),
)


@app.command()
def strays(
    output: OutputOption = Output.TABLE,
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="Only those of this node.")] = None,
) -> None:
    """List containers that nobody answers for, such as those of apps that are not known. Nothing is deleted."""

    async def work(client: AdminClient) -> None:
        report = await client.strays(node)
        for unasked in report.unasked:
            sys.stderr.write(f"funai: node {unasked.node} could not be asked: {line(unasked.message)}\n")
        sys.stdout.write((_json if output is Output.JSON else _table)(report) + "\n")

    run(work, "containers cannot be looked for")


def _json(report: StrayReport) -> str:
    return orjson.dumps(report.to_data(), option=orjson.OPT_INDENT_2).decode()


def _table(report: StrayReport) -> str:
    if not report.strays:
        return f"no container on {len(report.asked)} nodes is without an owner"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return table(_COLUMNS, [_row(each) for each in report.strays], width)


def _row(view: StrayContainer) -> Row:
    cells = (
        cell(view.node),
        cell(line(view.container)),
        cell(line(view.app_id)),
        cell(line(view.user_id)),
        cell("running" if view.running else "ended"),
        cell(line(view.message)),
    )
    return Row(view.container, cells)
