"""`funai strays`: containers on nodes that nobody answers for."""

import sys
from typing import Annotated, Final

import typer

from console.cli import names
from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered, listed, say
from console.live.cells import Column, Row, cell
from console.live.plain import line
from console.live.words import tn
from protocol.client.deploy import AdminClient
from protocol.inventory import StrayContainer

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
    node: Annotated[
        str | None, typer.Option("--node", metavar="NODE", help="Only those of this node.", autocompletion=names.nodes)
    ] = None,
) -> None:
    """List containers that nobody answers for, such as those of apps that are not known. Nothing is deleted."""

    async def work(client: AdminClient) -> None:
        report = await client.strays(node)
        for unasked in report.unasked:
            sys.stderr.write(f"funai: node {unasked.node} could not be asked: {line(unasked.message)}\n")
        if output is Output.JSON:
            answered(output, report, "")
        elif output is Output.TABLE and not report.strays:
            asked = len(report.asked)
            say(
                tn(
                    "no container on {count} node is without an owner",
                    "no container on {count} nodes is without an owner",
                    asked,
                )
            )
        else:
            listed(output, report.strays, _COLUMNS, _row)

    run(work, "containers cannot be looked for")


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
