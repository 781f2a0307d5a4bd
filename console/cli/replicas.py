"""`funai singletons`: which replica of the control plane does the work that only one of them does."""

import shutil
import sys
from typing import Final

import orjson
import typer

from console.cli.listing import Output, OutputOption, table
from console.cli.outcome import run
from console.live.cells import Column, Row, cell
from protocol.client.deploy import AdminClient
from protocol.replicas import SingletonView

app = typer.Typer(rich_markup_mode=None)
_COLUMNS: Final = (
    Column("WORK", 12),
    Column("SINCE", 16),
    Column("TAKEOVERS", 9, right=True),
    Column("REPLICA", 24, flex=True),
)


@app.command()
def singletons(output: OutputOption = Output.TABLE) -> None:
    """List the work that one replica does for all, and which one does it."""

    async def work(client: AdminClient) -> None:
        found = await client.singletons()
        if output is Output.JSON:
            items = [each.to_data() for each in found]
            sys.stdout.write(orjson.dumps(items, option=orjson.OPT_INDENT_2).decode() + "\n")
            return
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write(table(_COLUMNS, [_row(each) for each in found], width) + "\n")

    run(work, "the replicas' work cannot be listed")


def _row(view: SingletonView) -> Row:
    holder = view.holder if view.held else f"nobody since {view.lease_until:%Y-%m-%d %H:%M:%S}"
    return Row(
        view.name, (cell(view.name), cell(f"{view.since:%Y-%m-%d %H:%M}"), cell(str(view.epoch - 1)), cell(holder))
    )
