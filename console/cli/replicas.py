"""`funai singletons`: which replica of the control plane does the work that only one of them does."""

from typing import Final

import typer

from console.cli.outcome import run
from console.cli.output import Output, OutputOption, listed
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
        listed(output, await client.singletons(), _COLUMNS, _row)

    run(work, "the replicas' work cannot be listed")


def _row(view: SingletonView) -> Row:
    holder = view.holder if view.held else f"nobody since {view.lease_until:%Y-%m-%d %H:%M:%S}"
    return Row(
        view.name, (cell(view.name), cell(f"{view.since:%Y-%m-%d %H:%M}"), cell(str(view.epoch - 1)), cell(holder))
    )
